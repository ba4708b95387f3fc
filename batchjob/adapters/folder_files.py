"""Plain files as objects, opened and listed: the same for the work folder and for folders of documents."""

import heapq
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import BinaryIO

from batchjob.adapters.objects import body, checked_range
from batchjob.errors import BatchjobError, PreconditionFailedError, TransientError
from batchjob.ports import ObjectMeta, Opened

EtagOf = Callable[[os.stat_result], str]
ToError = Callable[[OSError], BatchjobError]


def file_meta(key: str, state: os.stat_result, etag_of: EtagOf) -> ObjectMeta:
    modified = datetime.fromtimestamp(state.st_mtime, UTC)
    return ObjectMeta(key, state.st_size, etag_of(state), modified)


def opened_file(
    file: BinaryIO,
    meta: ObjectMeta,
    observed_at: int,
    byte_range: tuple[int, int] | None,
    if_match: str | None,
    etag_of: EtagOf,
    to_error: ToError,
) -> Opened:
    """Closes `file` on any error. Reading a file that changes meanwhile ends in TransientError."""
    try:
        if if_match is not None and if_match != meta.etag:
            raise PreconditionFailedError(meta.key)
        first, length = checked_range(meta, byte_range)
        file.seek(first)
    except BaseException:
        file.close()
        raise
    reader = _FileReader(file, meta, length, etag_of, to_error)
    return Opened(meta, observed_at, body(reader.read, file.close))


class _FileReader:
    def __init__(
        self, file: BinaryIO, meta: ObjectMeta, length: int, etag_of: EtagOf, to_error: ToError
    ) -> None:
        self._file = file
        self._meta = meta
        self._left = length
        self._etag_of = etag_of
        self._to_error = to_error

    def read(self, size: int) -> bytes:
        if not self._left:
            return b""
        try:
            data = self._file.read(min(size, self._left))
            self._left -= len(data)
            if not self._left or not data:
                self._check_unchanged()
        except OSError as error:
            raise self._to_error(error) from error
        return data

    def _check_unchanged(self) -> None:
        if self._etag_of(os.fstat(self._file.fileno())) != self._meta.etag:
            raise TransientError(f"{self._meta.key!r} changed while it was read", cause="changed")


Child = tuple[bytes, str, bool]
"""A file's key or what all keys in a folder begin with; the path; whether it is a folder."""


def in_order(
    start: str, known: bytes, children: Callable[[str, bytes], Iterable[Child]], wanted: bytes, after: bytes
) -> Iterator[tuple[bytes, str]]:
    """Keys under `start` that begin with `wanted` and sort after `after`, and their paths, in bytewise order.

    The smallest beginning is always taken next; a folder is read only when the order reaches it.
    """
    waiting: list[Child] = [(known, start, True)]
    while waiting:
        known, path, is_folder = heapq.heappop(waiting)
        if not is_folder:
            yield known, path
            continue
        for child in children(path, known):
            if _may_hold(child, wanted, after):
                heapq.heappush(waiting, child)


def _may_hold(child: Child, wanted: bytes, after: bytes) -> bool:
    known, _, is_folder = child
    if not is_folder:
        return known.startswith(wanted) and known > after
    in_prefix = known.startswith(wanted) or wanted.startswith(known)
    return in_prefix and (known > after or after.startswith(known))
