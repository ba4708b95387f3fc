"""The inbox: drained events and rows that come back, until a run that holds them is committed."""

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchjob import layout
from batchjob.errors import BatchjobError, ObjectMissingError
from batchjob.ports import Delete, Get, List, Put, read_or_none
from batchjob.records import MANIFEST_SCHEMA, Action, RunInfo

READERS = 8
"""Segments fetched at once, and so the most that are held."""


class SetAsideStore(Get, Put, Delete, Protocol):
    """The verbs for moving a segment to the quarantine."""


class ReadStore(Get, List, Protocol):
    """The verbs for looking at the inbox."""


class SegmentsDamagedError(BatchjobError):
    """Segments are no Parquet files of manifest rows; `why` by key."""

    def __init__(self, why: Mapping[str, str]) -> None:
        first = next(iter(why))
        others = f", and {len(why) - 1} other segments cannot" if len(why) > 1 else ""
        super().__init__(f"{first} cannot be read: {why[first]}{others}")
        self.keys = tuple(why)


@dataclass(frozen=True, slots=True)
class Segments:
    """Keys of segments that no run holds: those to take now, and those whose rows are not due yet."""

    due: list[str]
    waiting: list[str]


def list_segments(store: List) -> list[str]:
    """Every segment in the inbox, also those that a run holds already. Raises TransientError."""
    return sorted(meta.key for meta in store.list(layout.INBOX))


def sort_by_due(store: Get, keys: Collection[str], now: int) -> Segments:
    """A segment waits as a whole until the last of its rows is due (`not_before`).

    The rows of one were all written by one reducer at one time, at most half an hour apart in what they wait for.
    Only retries wait, so nothing else is read. Raises ObjectMissingError, SegmentsDamagedError, TransientError.
    """
    found = Segments([], [])
    retries = [key for key in keys if key.startswith(layout.RETRIES)]
    found.due.extend(sorted(set(keys) - set(retries)))
    for key, rows in _read(store, retries):
        latest = pc.max(rows["not_before"]).as_py()
        (found.due if latest is None or latest <= now else found.waiting).append(key)
    return found


def read_segments(store: Get, keys: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """All rows in MANIFEST_SCHEMA. Raises ObjectMissingError, TransientError, SegmentsDamagedError (at the end)."""
    for _, rows in _read(store, keys):
        yield from rows.to_batches(max_chunksize=65_536)


def _read(store: Get, keys: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
    """Each whole segment; damaged ones are told once all have been read, so that one look finds all of them."""
    damaged: dict[str, str] = {}

    def fetch(key: str) -> pa.Table | None:
        with store.open(key) as opened:
            data = opened.body.read()
        try:
            return _conform(pq.read_table(io.BytesIO(data)))
        except (pa.ArrowException, ValueError, KeyError) as error:
            damaged[key] = str(error)
            return None

    with ThreadPoolExecutor(READERS, thread_name_prefix="inbox") as pool:
        for start in range(0, len(keys), READERS):
            group = keys[start : start + READERS]
            for key, rows in zip(group, pool.map(fetch, group), strict=True):
                if rows is not None:
                    yield key, rows
    if damaged:
        raise SegmentsDamagedError(damaged)


def _conform(rows: pa.Table) -> pa.Table:
    """The columns of MANIFEST_SCHEMA, whatever others there are. Raises KeyError, ValueError, ArrowException."""
    columns = []
    for field in MANIFEST_SCHEMA:
        if field.name in rows.column_names:
            columns.append(rows[field.name].cast(field.type))
        elif field.nullable:
            columns.append(pa.chunked_array([pa.nulls(len(rows), field.type)]))
        else:
            raise KeyError(f"no column {field.name}")
        if not field.nullable and columns[-1].null_count:
            raise ValueError(f"a row has no {field.name}")
    table = pa.table(columns, MANIFEST_SCHEMA)
    if not pc.all(pc.is_in(table["action"], pa.array([str(action) for action in Action]))).as_py() and len(
        rows
    ):
        raise ValueError("an action is neither upsert nor delete")
    return table


def local_retries(store: ReadStore) -> list[str]:
    """Segments of rows that runs of `local` could not reach. They stay until a later `local` has finished with them.

    Raises TransientError.
    """
    keys = sorted(meta.key for meta in store.list(layout.RETRIES))
    infos = {name: read_or_none(store, layout.run_info(name)) for name in map(layout.run_of_retries, keys)}
    local = {
        name for name, data in infos.items() if data and RunInfo.model_validate_json(data).kind == "local"
    }
    return [key for key in keys if layout.run_of_retries(key) in local]


def set_aside(store: SetAsideStore, key: str) -> str:
    """Moves a damaged segment out of the way of the others, and returns where it is. Raises TransientError."""
    place = layout.damaged_segment(key)
    try:
        with store.open(key) as opened:
            store.put(place, opened.body.read())
    except ObjectMissingError:
        return place
    store.delete(key)
    return place


def remove_segments(store: Delete, keys: Collection[str]) -> None:
    """For segments that a committed run holds. Raises TransientError."""
    with ThreadPoolExecutor(READERS, thread_name_prefix="inbox") as pool:
        list(pool.map(store.delete, sorted(keys)))
