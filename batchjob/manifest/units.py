"""A listing's units: prefixes that are listed one by one, each kept part by part, so that a kill costs a part."""

import hashlib
import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from itertools import islice
from typing import Literal, Protocol

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from batchjob import layout
from batchjob.errors import AlreadyExistsError
from batchjob.manifest.batches import manifest_batch
from batchjob.manifest.select import Selection, Tally, select
from batchjob.ports import Bucket, CreateOnce, Delete, Get, List, ObjectMeta, Put, read_or_none
from batchjob.records import Record

KEYS_A_BATCH = 5_000
BATCHES_A_PART = 20


class ListingStore(Get, Put, CreateOnce, List, Delete, Protocol):
    """The verbs for keeping what was listed."""


class Plan(Record):
    """What a listing is cut into: `levels` are single ones, of which objects are taken; of `wholes` all that is below.

    `name` tells it from an earlier plan for the same listing; `started_at` in ms: events after it win.
    """

    format: Literal[1] = 1
    name: str
    started_at: int
    levels: tuple[str, ...]
    wholes: tuple[tuple[str, ...], ...]


class UnitDone(Record):
    """A unit that was listed whole: its files, and how many objects it gave and how many of them were passed over."""

    format: Literal[1] = 1
    parts: tuple[str, ...]
    read: int
    passed_over: int


class UnitProgress(Record):
    """How far a unit is: its first `prefixes` are listed, and of the next one all keys up to `after`."""

    format: Literal[1] = 1
    parts: tuple[str, ...] = ()
    read: int = 0
    passed_over: int = 0
    prefixes: int = 0
    after: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """What is to be listed. The same bucket and selection go on from where an earlier process was killed."""

    bucket: str
    selection: Selection

    @property
    def name(self) -> str:
        told = orjson.dumps([self.bucket, *astuple(self.selection)])
        return hashlib.sha256(told).hexdigest()[:16]


def list_unit(
    listing: Listing, plan: Plan, unit: int, source: Bucket, store: ListingStore, writer: str
) -> UnitDone:
    """Lists a unit, or what is left of it, and keeps what it gives. Raises UsageError, TransientError."""
    key = layout.listing_unit(listing.name, plan.name, unit)
    kept = read_or_none(store, key)
    if kept is not None:
        return UnitDone.model_validate_json(kept)
    done = _Work(listing, plan, unit, store, writer).run(source)
    try:
        store.create_once(key, done.to_json())
    except AlreadyExistsError:
        return UnitDone.model_validate_json(read_or_none(store, key) or b"")
    return done


class _Work:
    """A unit while it is listed. Only wholes are taken up where they were left: a level is a few requests."""

    def __init__(self, listing: Listing, plan: Plan, unit: int, store: ListingStore, writer: str) -> None:
        self._listing, self._plan, self._unit = listing, plan, unit
        self._store, self._writer = store, writer
        self._whole = unit >= len(plan.levels)
        self._progress = layout.listing_progress(listing.name, plan.name, unit)
        kept = read_or_none(store, self._progress)
        begun = UnitProgress() if kept is None else UnitProgress.model_validate_json(kept)
        self._parts = [*begun.parts]
        self._tally = Tally(read=begun.read, passed_over=begun.passed_over)
        self._prefixes, self._after = begun.prefixes, begun.after

    def run(self, source: Bucket) -> UnitDone:
        plan, tally = self._plan, self._tally
        if self._whole:
            objects = self._below(plan.wholes[self._unit - len(plan.levels)], source)
        else:
            objects = _level_objects(plan, plan.levels[self._unit], source)
        listed = object_batches(self._listing.bucket, objects, tally)
        batches = select(listed, self._listing.selection, tally)
        while held := list(islice(batches, BATCHES_A_PART)):
            self._keep(pa.Table.from_batches(held))
            if self._whole and len(held) == BATCHES_A_PART:
                self._remember()
        return UnitDone(parts=tuple(self._parts), read=tally.read, passed_over=tally.passed_over)

    def _below(self, prefixes: Sequence[str], source: Bucket) -> Iterator[ObjectMeta]:
        """All that is left below the prefixes."""
        for prefix in prefixes[self._prefixes :]:
            for meta in source.list(prefix, start_after=self._after):
                self._after = meta.key
                yield meta
            self._prefixes, self._after = self._prefixes + 1, ""

    def _keep(self, table: pa.Table) -> None:
        if len(table):
            names = (self._listing.name, self._plan.name, self._unit, self._writer, len(self._parts))
            self._parts.append(layout.listing_part(*names))
            self._store.put(self._parts[-1], _parquet(table))

    def _remember(self) -> None:
        """Of two processes at once the later one counts, and each says all that came before."""
        progress = UnitProgress(
            parts=tuple(self._parts),
            read=self._tally.read,
            passed_over=self._tally.passed_over,
            prefixes=self._prefixes,
            after=self._after,
        )
        self._store.put(self._progress, progress.to_json())


def _level_objects(plan: Plan, level: str, source: Bucket) -> Iterator[ObjectMeta]:
    """A level gives its objects, and all that is below a folder which the plan did not see yet."""
    known = {*plan.levels, *itertools.chain(*plan.wholes)}
    for entry in source.level(level):
        if isinstance(entry, ObjectMeta):
            yield entry
        elif entry not in known:
            yield from source.list(entry)


def object_batches(bucket: str, objects: Iterator[ObjectMeta], tally: Tally) -> Iterator[pa.RecordBatch]:
    """Objects as rows in MANIFEST_SCHEMA; `event_time` is when each was last changed."""
    while held := list(islice(objects, KEYS_A_BATCH)):
        tally.read += len(held)
        yield manifest_batch(
            {
                "bucket": pa.repeat(bucket, len(held)),
                "key": pa.array([meta.key for meta in held], pa.string()),
                "version_id": pa.array([meta.version_id for meta in held], pa.string()),
                "size": pa.array([meta.size for meta in held], pa.int64()),
                "etag": pa.array([meta.etag for meta in held], pa.string()),
                "event_time": pa.array(
                    [int(meta.last_modified.timestamp() * 1000) for meta in held], pa.int64()
                ),
            },
            len(held),
        )


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
