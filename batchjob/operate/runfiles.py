"""What runs left of one object, found without reading the runs whole."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchjob import layout
from batchjob.errors import ObjectMissingError, PreconditionFailedError, TransientError
from batchjob.ports import Get, Level, ObjectMeta
from batchjob.records import OUTCOME_SCHEMA, ManifestRow, Outcome, manifest_row, outcomes_of
from batchjob.reduce.receipts import in_order

TAIL = 128 * 1024
"""Bytes at the end of a file that are read first: its footer, and all of a small one."""
AT_ONCE = 16
"""Runs or shards that are looked into at once."""


class RunFiles(Get, Level, Protocol):
    """The verbs for looking into runs."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run by its files: `merged` outcomes once it is nearly finished, `finished_at` (ms) once it is."""

    run_id: str
    info: ObjectMeta | None
    merged: ObjectMeta | None
    finished_at: int | None


def run_names(store: Level) -> list[str]:
    """The names of all that lies where runs do, oldest first. Raises TransientError."""
    found = (entry for entry in store.level(layout.RUNS) if isinstance(entry, str))
    return sorted(entry.removeprefix(layout.RUNS).rstrip("/") for entry in found)


def look_into(store: Level, run_id: str) -> RunFolder:
    files = {e.key: e for e in store.level(layout.run_folder(run_id)) if isinstance(e, ObjectMeta)}
    summary = files.get(layout.summary(run_id))
    return RunFolder(
        run_id,
        files.get(layout.run_info(run_id)),
        files.get(layout.merged_outcomes(run_id)),
        int(summary.last_modified.timestamp() * 1000) if summary else None,
    )


def all_runs(store: Level) -> list[RunFolder]:
    """Every run, oldest first. Raises TransientError."""
    return list(in_order(lambda name: look_into(store, name), run_names(store), AT_ONCE))


class _Ranges(io.RawIOBase):
    """A stored object as a file of which only the parts that are asked for are read."""

    def __init__(self, store: Get, meta: ObjectMeta) -> None:
        self._store = store
        self._meta = meta
        self._place = 0
        self._tail_from = max(0, meta.size - TAIL)
        self._tail = self._fetch(self._tail_from, meta.size)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._meta.size}[whence]
        self._place = start + offset
        return self._place

    def read(self, size: int = -1) -> bytes:
        end = self._meta.size if size < 0 else min(self._place + size, self._meta.size)
        start, self._place = self._place, end
        if start >= end:
            return b""
        if start >= self._tail_from:
            return self._tail[start - self._tail_from : end - self._tail_from]
        return self._fetch(start, end)

    def _fetch(self, start: int, end: int) -> bytes:
        if start >= end:
            return b""
        with self._store.open(
            self._meta.key, byte_range=(start, end - 1), if_match=self._meta.etag
        ) as opened:
            return opened.body.read()


def find_outcomes(store: Get, merged: ObjectMeta, doc_id: str) -> list[Outcome]:
    """The outcomes of one object in a run's merged file, sorted by document id: by the statistics of its row groups.

    Raises TransientError, also where the file cannot be read.
    """
    try:
        file = pq.ParquetFile(pa.PythonFile(_Ranges(store, merged), mode="r"), pre_buffer=True)
        return [found for group in _may_hold(file, doc_id) for found in _in_group(file, group, doc_id)]
    except (ObjectMissingError, PreconditionFailedError):
        return []
    except pa.ArrowInvalid as error:
        raise TransientError(f"{merged.key} cannot be read: {error}", cause="output_damaged") from None


def _may_hold(file: pq.ParquetFile, doc_id: str) -> Iterator[int]:
    column = OUTCOME_SCHEMA.get_field_index("doc_id")
    for group in range(file.metadata.num_row_groups):
        told = file.metadata.row_group(group).column(column).statistics
        if told is None or not told.has_min_max or told.min <= doc_id <= told.max:
            yield group


def _in_group(file: pq.ParquetFile, group: int, doc_id: str) -> list[Outcome]:
    names = file.read_row_group(group, columns=["doc_id"])["doc_id"]
    if not pc.any(pc.equal(names, doc_id)).as_py():
        return []
    rows = file.read_row_group(group)
    return outcomes_of(rows.filter(pc.equal(rows["doc_id"], doc_id)))


def manifest_rows(store: Get, run_id: str, shards: int, key: str) -> Iterator[tuple[int, ManifestRow]]:
    """The rows of an object key, in any bucket, with the shard of each. A missing manifest holds none."""

    def read(shard: int) -> list[ManifestRow]:
        return rows_of(store, layout.manifest(run_id, shard), key)

    for shard, rows in enumerate(in_order(read, range(shards), AT_ONCE)):
        for row in rows:
            yield shard, row


def rows_of(store: Get, place: str, key: str) -> list[ManifestRow]:
    """The rows of an object key in one manifest or segment. Raises TransientError where it cannot be read."""
    try:
        with store.open(place) as opened:
            table = pq.read_table(io.BytesIO(opened.body.read()), filters=[("key", "==", key)])
    except ObjectMissingError:
        return []
    except (pa.ArrowInvalid, KeyError) as error:
        raise TransientError(f"{place} cannot be read: {error}", cause="output_damaged") from None
    return [manifest_row(record) for record in table.to_pylist()]
