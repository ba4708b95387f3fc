"""The work folder of a run on one machine: a store in plain files that keeps the promises of S3."""

import errno
import fcntl
import io
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder_files import file_meta, in_order, opened_file
from batchjob.adapters.folder_keys import file_path, folder_path, part_of_key
from batchjob.adapters.objects import checked_key
from batchjob.errors import (
    AlreadyExistsError,
    BatchjobError,
    ObjectMissingError,
    PreconditionFailedError,
    TransientError,
    UsageError,
)
from batchjob.ports import Clock, ObjectMeta, Opened

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG}
STAGING = "%tmp"
LOCK = "%lock"
ABANDONED_SECONDS = 3600
"""Age at which a staged file can have no writer any more; staging one takes seconds."""


class FolderStore:
    """Implements ports.Store in `root`, which is created where missing. Safe between threads and processes.

    A file is staged, flushed to disk, and appears under its name in one step; what appears under a name is
    serialised by a lock. Raises UsageError where the folder cannot be written.
    """

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self._root = root.absolute()
        self._staging = self._root / STAGING
        self._clock = clock or SystemClock()
        try:
            self._staging.mkdir(parents=True, exist_ok=True)
            with self._staged(b""), self._locked():
                self._sweep()
        except OSError as error:
            raise self._error(error) if error.errno in NO_SPACE else self._not_writable(error) from None

    def open(
        self, key: str, *, byte_range: tuple[int, int] | None = None, if_match: str | None = None
    ) -> Opened:
        path = self._path(key)
        with self._errors():
            try:
                file = path.open("rb")
            except FileNotFoundError:
                self._check_there()
                raise ObjectMissingError(key, self._clock.now_ms()) from None
            meta = file_meta(key, os.fstat(file.fileno()), etag_of)
            now = self._clock.now_ms()
            return opened_file(file, meta, now, byte_range, if_match, etag_of, self._error)

    def put(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> str:
        path = self._path(key)
        with self._errors(), self._staged(data) as staged, self._locked():
            return self._replace(staged, path)

    def put_file(self, key: str, path: Path) -> None:
        target = self._path(key)
        with self._errors(), path.open("rb") as source, self._staged(source) as staged, self._locked():
            self._replace(staged, target)

    def create_once(self, key: str, data: bytes) -> str:
        path = self._path(key)
        with self._errors(), self._staged(data) as staged, self._locked():
            _make_folders(path.parent)
            try:
                path.hardlink_to(staged)
            except FileExistsError:
                if path.read_bytes() != data:
                    raise AlreadyExistsError(key) from None
            _flush_folder(path.parent)
            return etag_of(path.stat())

    def replace_if_match(self, key: str, data: bytes, etag: str) -> str:
        path = self._path(key)
        with self._errors(), self._staged(data) as staged, self._locked():
            if not path.exists():
                raise PreconditionFailedError(key)
            found = etag_of(path.stat())
            if found == etag:
                return self._replace(staged, path)
            if path.read_bytes() != data:
                raise PreconditionFailedError(key)
            return found

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """In bytewise order of the keys."""
        wanted = checked_key(prefix) if prefix else b""
        after = checked_key(start_after) if start_after else b""
        known = wanted[: wanted.rfind(b"/") + 1]
        with self._errors():
            self._check_there()
            start = str(self._root / folder_path(known))
            for found, path in in_order(start, known, _children, wanted, after):
                if meta := _file_meta(found, path):
                    yield meta

    def level(self, prefix: str) -> Iterator[ObjectMeta | str]:
        wanted = checked_key(prefix) if prefix else b""
        known = wanted[: wanted.rfind(b"/") + 1]
        with self._errors():
            self._check_there()
            yield from self._below(str(self._root / folder_path(known)), known, wanted)

    def _below(self, folder: str, known: bytes, wanted: bytes) -> Iterator[ObjectMeta | str]:
        for found, path, is_folder in sorted(_children(folder, known)):
            if is_folder and not found.endswith(b"/"):  # the first part of a long name
                yield from self._below(path, found, wanted)
            elif found.startswith(wanted):
                entry = found.decode() if is_folder else _file_meta(found, path)
                if entry is not None:
                    yield entry

    def delete(self, key: str) -> None:
        path = self._path(key)
        with self._errors(), self._locked():
            path.unlink(missing_ok=True)
            self._remove_empty(path.parent)

    def _check_there(self) -> None:
        if not self._staging.is_dir():
            raise TransientError(
                f"work folder {self._root} is gone: mount it again, or choose another with --work",
                cause="store_unavailable",
            )

    def _path(self, key: str) -> Path:
        return self._root / file_path(key)

    def _replace(self, staged: Path, path: Path) -> str:
        """Puts a staged file in place, with a later time than the version before, so that no ETag recurs."""
        _make_folders(path.parent)
        if path.exists():
            moment = max(staged.stat().st_mtime_ns, path.stat().st_mtime_ns + 1)
            os.utime(staged, ns=(moment, moment))
        etag = etag_of(staged.stat())
        staged.replace(path)
        _flush_folder(path.parent)
        return etag

    @contextmanager
    def _staged(self, data: bytes | BinaryIO) -> Iterator[Path]:
        path = self._staging / secrets.token_hex(16)
        try:
            with path.open("xb") as file:
                shutil.copyfileobj(io.BytesIO(data) if isinstance(data, bytes) else data, file)
                file.flush()
                # The kernel stamps files in steps of some milliseconds; ETags need finer ones.
                os.utime(file.fileno(), ns=(now := time.time_ns(), now))
                os.fsync(file.fileno())
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._root / LOCK).open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _sweep(self) -> None:
        for path in self._staging.iterdir():
            try:
                if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                    path.unlink()
            except FileNotFoundError:
                continue

    def _remove_empty(self, folder: Path) -> None:
        while folder != self._root:
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._error(error) from error

    def _error(self, error: OSError) -> BatchjobError:
        if error.errno in NO_SPACE:
            return TransientError(
                f"work folder {self._root} is full ({error.strerror}): free some space and run again",
                cause="disk_full",
            )
        if error.errno in NOT_WRITABLE:
            return self._not_writable(error)
        return TransientError(f"work folder {self._root}: {error}", cause="store_unavailable")

    def _not_writable(self, error: OSError) -> UsageError:
        return UsageError(
            f"work folder {self._root} is not writable: {error.strerror}, choose another with --work"
        )


def etag_of(state: os.stat_result) -> str:
    """Unlike that of any other version of a key: _replace never lets a time recur."""
    return f'"{state.st_ino:x}-{state.st_mtime_ns:x}-{state.st_size:x}"'


def _make_folders(folder: Path) -> None:
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for child in reversed(missing):
        child.mkdir(exist_ok=True)
        _flush_folder(child.parent)


def _flush_folder(folder: Path) -> None:
    """Makes names durable, as fsync of a file does for its bytes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _children(path: str, known: bytes) -> Iterator[tuple[bytes, str, bool]]:
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                is_folder = entry.is_dir(follow_symlinks=False)
                part = None if entry.name == STAGING else part_of_key(entry.name, is_folder=is_folder)
                if part is not None:
                    yield known + part, entry.path, is_folder
    except FileNotFoundError:
        return


def _file_meta(known: bytes, path: str) -> ObjectMeta | None:
    """None for a file that was deleted meanwhile, or that no key could name."""
    try:
        return file_meta(known.decode(), Path(path).stat(), etag_of)
    except (FileNotFoundError, UnicodeDecodeError):
        return None
