"""A plain folder of documents as a source: read, never written."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import structlog

from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder_files import Child, file_meta, in_order, opened_file
from batchjob.adapters.objects import checked_key
from batchjob.errors import BatchjobError, ObjectMissingError, ObjectRefusedError, TransientError
from batchjob.ports import Clock, ObjectMeta, Opened

MARKER = ".batchjob-root"
"""A file of this name at the top says that the folder is mounted, so that an absent file is a deleted one."""
ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}
DENIED = {errno.EACCES, errno.EPERM}

log = structlog.get_logger(__name__)


class SourceFolder:
    """Implements ports.Source over `root`; a key is a file's relative path with slashes.

    Links that leave the folder are refused, and left out of the listing, as are names that begin with a dot
    and links to folders (their files are listed where they are). An ETag stands for the file's identity,
    times and size. A mount below `root` is not covered by the marker: make such a folder its own source.
    """

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self._root = root.absolute()
        self._clock = clock or SystemClock()
        self.left_out = 0

    def open(
        self, key: str, *, byte_range: tuple[int, int] | None = None, if_match: str | None = None
    ) -> Opened:
        _check_path(key)
        try:
            now = self._clock.now_ms()  # before the look: what changes after it is newer
            descriptor = self._descriptor(key, now)
        except OSError as error:
            raise self._error(error) from error
        file = os.fdopen(descriptor, "rb")
        meta = file_meta(key, os.fstat(descriptor), etag_of)
        return opened_file(file, meta, now, byte_range, if_match, etag_of, self._error)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """In bytewise order of the keys.

        What cannot be an object or cannot be read is left out with a warning, and counted in `left_out`.
        """
        self.left_out = 0
        wanted = checked_key(prefix) if prefix else b""
        after = checked_key(start_after) if start_after else b""
        if not self._root.is_dir():
            raise self._error(FileNotFoundError(errno.ENOENT, "no such folder"))
        try:
            for key, path in in_order(str(self._root), b"", self._children, wanted, after):
                try:
                    yield file_meta(key.decode(), Path(path).stat(), etag_of)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    self._leave_out(path, error)
        except OSError as error:
            raise self._error(error) from error

    def _descriptor(self, key: str, now: int) -> int:
        """Opens the file, or looks for the marker, through one descriptor of the root: on the same mount."""
        root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._check_inside(self._root / key)
            try:
                descriptor = os.open(key, os.O_RDONLY | os.O_NONBLOCK, dir_fd=root)
            except OSError as error:
                if error.errno not in ABSENT:
                    raise
            else:
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    return descriptor
                os.close(descriptor)
            self._check_marker(root)
            raise ObjectMissingError(key, now)
        finally:
            os.close(root)

    def _check_marker(self, root: int) -> None:
        try:
            os.stat(MARKER, dir_fd=root)
        except FileNotFoundError:
            raise TransientError(
                f"{self._root} has no file {MARKER}, so an absent file may mean an unmounted folder: "
                f"mount it, or create {self._root / MARKER} if all is there",
                cause="absence_unproven",
            ) from None

    def _check_inside(self, path: Path) -> None:
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self._root)):
            raise ObjectRefusedError(
                f"{path} is a link that leads out of {self._root}, or nowhere; put the file itself there"
            )

    def _children(self, path: str, known: bytes) -> Iterator[Child]:
        try:
            entries = os.scandir(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            if Path(path) == self._root:
                raise
            self._leave_out(path, error)
            return
        with entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                try:
                    key = checked_key(known.decode() + entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        yield key + b"/", entry.path, True
                    elif self._is_document(entry):
                        yield key, entry.path, False
                except (ObjectRefusedError, OSError) as error:
                    self._leave_out(entry.path, error)

    def _leave_out(self, path: str, error: Exception) -> None:
        self.left_out += 1
        shown = os.fsencode(path).decode(errors="backslashreplace")
        log.warning("left out", path=shown, reason=str(error))

    def _is_document(self, entry: os.DirEntry[str]) -> bool:
        if entry.is_symlink():
            self._check_inside(Path(entry.path))
        return entry.is_file()

    def _error(self, error: OSError) -> BatchjobError:
        cause = "access_denied" if error.errno in DENIED else "source_unavailable"
        return TransientError(
            f"folder {self._root} cannot be read ({error}): mount it, or allow reading, and run again",
            cause=cause,
        )


def etag_of(state: os.stat_result) -> str:
    """Contains the time of the last change of any kind, which nobody can set back."""
    parts = (state.st_ino, state.st_mtime_ns, state.st_ctime_ns, state.st_size)
    return '"' + "-".join(f"{part:x}" for part in parts) + '"'


def _check_path(key: str) -> None:
    """One file has one key: a path in its plain form, which cannot lead out of the folder by itself."""
    checked_key(key)
    if any(part in ("", ".", "..") for part in key.split("/")):
        raise ObjectRefusedError(
            f"key {key!r} is not a plain relative path; write it without '..', '.' and '//'"
        )
