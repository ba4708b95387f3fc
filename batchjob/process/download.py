"""An opened object to a file in scratch: large ones by ranges side by side, each resumed where it broke off."""

import errno
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from batchjob.errors import ObjectMissingError, PreconditionFailedError, TransientError
from batchjob.ports import Get, ObjectMeta, Opened
from batchjob.scratch import full_scratch

MIB = 1024 * 1024
SPARE = 16 * MIB
"""Bytes that stay free in the scratch folder, for the first page images."""
_CHUNK = 64 * 1024
"""Bytes read at once, and so the most that a connection can bring in vain before it breaks."""
_TRIES = 5
"""Connections in a row that bring nothing before a part is given up."""
_PAUSE = 0.05
"""Seconds before the next try, twice as many after each one that failed."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """From which size on an object comes in ranges, their size, and how many at once; sizes in bytes.

    AWS advises ranges of 8 to 16 MB, since one connection brings about 85 MB/s
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html).
    """

    above: int = 64 * MIB
    size: int = 16 * MIB
    at_once: int = 8


RANGES = Ranges()


def download(source: Get, opened: Opened, path: Path, ranges: Ranges = RANGES) -> str:
    """Writes the object whose first answer is `opened` to `path`, and returns its SHA-256; closes `opened`.

    Every later request carries `If-Match` of that answer. Raises PreconditionFailedError (the object is another
    one by now, or gone: look at it again), TransientError, MachineError (scratch folder full), and what
    `source.open` raises.
    """
    meta = opened.meta
    _check_room(path.parent, meta)
    digest = hashlib.sha256()
    with opened, _full_disk(path.parent):
        path.write_bytes(b"")
        if opened.remote and meta.size > ranges.above:
            _side_by_side(source, opened, path, ranges, digest.update)
        else:
            _Copy(source, meta, path, digest.update).run(range(meta.size), opened.body)
    return digest.hexdigest()


def _check_room(folder: Path, meta: ObjectMeta) -> None:
    free = shutil.disk_usage(folder).free
    if free < meta.size + SPARE:
        raise full_scratch(folder, f"{free:,} bytes are left, {meta.key!r} needs {meta.size + SPARE:,} bytes")


@contextmanager
def _full_disk(folder: Path) -> Iterator[None]:
    """Sources raise no OSError, so one comes from writing."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise full_scratch(folder, str(error.strerror)) from error


def _side_by_side(
    source: Get, opened: Opened, path: Path, ranges: Ranges, seen: Callable[[bytes], None]
) -> None:
    """The first answer brings the first part. `seen` gets the bytes in order, while later parts still come."""
    copy = _Copy(source, opened.meta, path)
    whole = range(opened.meta.size)
    parts = [whole[start : start + ranges.size] for start in range(0, len(whole), ranges.size)]
    with ThreadPoolExecutor(ranges.at_once, thread_name_prefix="range") as pool:
        running = [pool.submit(copy.run, part, None if part.start else opened.body) for part in parts]
        try:
            for part, future in zip(parts, running, strict=True):
                future.result()
                _read_back(path, part, seen)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _read_back(path: Path, part: range, seen: Callable[[bytes], None]) -> None:
    with path.open("rb") as file:
        file.seek(part.start)
        for start in range(part.start, part.stop, _CHUNK):
            seen(file.read(min(_CHUNK, part.stop - start)))


class _Copy:
    """Copies parts of one version of an object into a file. Safe between threads, a part each."""

    def __init__(
        self, source: Get, meta: ObjectMeta, path: Path, seen: Callable[[bytes], None] = lambda chunk: None
    ) -> None:
        self._source = source
        self._meta = meta
        self._path = path
        self._seen = seen

    def run(self, part: range, body: BinaryIO | None) -> None:
        """`body` stands at the part's beginning. A broken connection is followed by one for what is left."""
        tries = 0
        with self._path.open("r+b") as file:
            file.seek(part.start)
            while True:
                before = file.tell()
                broken = self._take(file, part, body or self._open(range(before, part.stop)))
                if broken is None:
                    return
                tries = 1 if file.tell() > before else tries + 1
                if tries == _TRIES or file.tell() == part.stop:
                    raise broken
                time.sleep(_PAUSE * 2 ** (tries - 1))
                body = None

    def _open(self, part: range) -> BinaryIO:
        key, etag = self._meta.key, self._meta.etag
        try:
            opened = self._source.open(key, byte_range=(part.start, part.stop - 1), if_match=etag)
        except ObjectMissingError as error:
            raise PreconditionFailedError(key) from error
        if opened.meta.etag != etag:
            opened.body.close()
            raise PreconditionFailedError(key)
        return opened.body

    def _take(self, file: BinaryIO, part: range, body: BinaryIO) -> TransientError | None:
        """Writes what `body` brings of the part; an error where that is not all of it."""
        try:
            with body:
                while chunk := body.read(min(_CHUNK, part.stop - file.tell())):
                    self._seen(chunk)
                    file.write(chunk)
                if part.stop == self._meta.size:
                    self._check_end(body)
        except TransientError as error:
            return error
        if file.tell() < part.stop:
            return self._wrong_length(f"{file.tell():,}")
        return None

    def _check_end(self, body: BinaryIO) -> None:
        """The store checks the whole where it says that nothing comes any more."""
        if body.read(1):
            raise self._wrong_length("more")

    def _wrong_length(self, arrived: str) -> TransientError:
        return TransientError(
            f"{self._meta.key!r}: {arrived} of {self._meta.size:,} bytes arrived; try again",
            cause="short_read",
        )
