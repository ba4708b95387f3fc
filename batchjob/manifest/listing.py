"""A manifest from a bucket's listing: many prefixes side by side, and after a kill only those that were not done."""

import hashlib
import io
import itertools
import secrets
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from itertools import islice
from typing import Literal, Protocol

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from batchjob import layout
from batchjob.errors import AlreadyExistsError, TransientError
from batchjob.manifest.batches import manifest_batch
from batchjob.manifest.select import Selection, Tally, select
from batchjob.ports import Bucket, Clock, CreateOnce, Delete, Get, Level, List, ObjectMeta, Put, read_or_none
from batchjob.records import Record

THREADS = 16
WANTED_UNITS = 64
"""Prefixes after which no more are looked for."""
MOST_WHOLES = 256
"""Units that prefixes are dealt out to: a bucket may have thousands of small folders."""
MOST_LEVELS = 1000
"""Levels looked at: deep chains of folders with one entry each must not take a request each for ever."""
LARGE_LEVEL = 10_000
"""Entries of a level (10 requests) above which it is listed as it is, not split."""
KEYS_A_BATCH = 5_000
BATCHES_A_PART = 20
MOST_AGE_MS = 24 * 3600 * 1000
"""A listing that was left off longer ago is begun anew."""


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


@dataclass(frozen=True, slots=True)
class Listing:
    """What is to be listed. The same bucket and selection go on from where an earlier process was killed."""

    bucket: str
    selection: Selection

    @property
    def name(self) -> str:
        told = orjson.dumps([self.bucket, *astuple(self.selection)])
        return hashlib.sha256(told).hexdigest()[:16]


def list_bucket(
    listing: Listing, source: Bucket, store: ListingStore, clock: Clock, writer: str, tally: Tally
) -> Iterator[pa.RecordBatch]:
    """The selected objects of a bucket in MANIFEST_SCHEMA, each once, by prefixes and in no other order.

    What was listed is kept in `store` until `forget_listing`, so that the same call goes on after a kill. Objects that
    appear meanwhile may be missing: events tell of them. Raises UsageError, TransientError.
    """
    plan = _plan(listing, source, store, clock)
    units = len(plan.levels) + len(plan.wholes)

    def list_unit(unit: int) -> UnitDone:
        return _list_unit(listing, plan, unit, source, store, writer)

    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="list")
    try:
        done = list(pool.map(list_unit, range(units)))
    finally:
        pool.shutdown(cancel_futures=True)
    for unit in done:
        tally.read += unit.read
        tally.passed_over += unit.passed_over
        for part in unit.parts:
            with store.open(part) as opened:
                yield from pq.ParquetFile(io.BytesIO(opened.body.read())).iter_batches()


def forget_listing(listing: Listing, store: ListingStore) -> None:
    """Removes what was kept, the plan first: without it nothing is taken for done. Raises TransientError."""
    store.delete(layout.listing_plan(listing.name))
    for meta in list(store.list(layout.listing(listing.name))):
        store.delete(meta.key)


def forget_older(listing: Listing, store: ListingStore, moment: int) -> None:
    """Removes what was kept by a listing that began before `moment` (ms). Raises TransientError."""
    kept = read_or_none(store, layout.listing_plan(listing.name))
    if kept is not None and Plan.model_validate_json(kept).started_at < moment:
        forget_listing(listing, store)


def _plan(listing: Listing, source: Bucket, store: ListingStore, clock: Clock) -> Plan:
    """The plan of an earlier process, if it is not too old, or a new one."""
    key, now = layout.listing_plan(listing.name), clock.now_ms()
    kept = read_or_none(store, key)
    if kept is not None:
        plan = Plan.model_validate_json(kept)
        if now - plan.started_at < MOST_AGE_MS:
            return plan
        forget_listing(listing, store)
    levels, wholes = discover(source, listing.selection.prefix)
    dealt = tuple(wholes[start::MOST_WHOLES] for start in range(min(MOST_WHOLES, len(wholes))))
    plan = Plan(name=secrets.token_hex(8), started_at=now, levels=levels, wholes=dealt)
    try:
        store.create_once(key, plan.to_json())
    except AlreadyExistsError:
        other = read_or_none(store, key)
        if other is None:
            raise TransientError(
                "another process finished the same listing just now: try again", cause="listing"
            ) from None
        return Plan.model_validate_json(other)
    return plan


def discover(source: Level, prefix: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Levels and wholes (see Plan) that together hold each object below `prefix` once.

    Folders are opened, the highest first, until there are enough of them. Raises TransientError.
    """
    levels: list[str] = []
    small: list[str] = []
    open_ = deque([prefix])
    while open_ and len(open_) + len(small) < WANTED_UNITS and len(levels) < MOST_LEVELS:
        current = open_.popleft()
        entries = list(islice(source.level(current), LARGE_LEVEL + 1))
        below = [entry for entry in entries if isinstance(entry, str)]
        if below and len(entries) <= LARGE_LEVEL:
            levels.append(current)
            open_.extend(below)
        else:
            small.append(current)
    return tuple(levels), (*small, *open_)


def _unit_objects(plan: Plan, unit: int, source: Bucket) -> Iterator[ObjectMeta]:
    """A level gives its objects, and all that is below a folder which the plan did not see yet."""
    if unit >= len(plan.levels):
        for prefix in plan.wholes[unit - len(plan.levels)]:
            yield from source.list(prefix)
        return
    known = {*plan.levels, *itertools.chain(*plan.wholes)}
    for entry in source.level(plan.levels[unit]):
        if isinstance(entry, ObjectMeta):
            yield entry
        elif entry not in known:
            yield from source.list(entry)


def _list_unit(
    listing: Listing, plan: Plan, unit: int, source: Bucket, store: ListingStore, writer: str
) -> UnitDone:
    key = layout.listing_unit(listing.name, plan.name, unit)
    kept = read_or_none(store, key)
    if kept is not None:
        return UnitDone.model_validate_json(kept)
    tally = Tally()
    parts: list[str] = []
    batches = select(
        object_batches(listing.bucket, _unit_objects(plan, unit, source), tally), listing.selection, tally
    )
    while held := list(islice(batches, BATCHES_A_PART)):
        table = pa.Table.from_batches(held)
        if len(table):
            parts.append(layout.listing_part(listing.name, plan.name, unit, writer, len(parts)))
            store.put(parts[-1], _parquet(table))
    done = UnitDone(parts=tuple(parts), read=tally.read, passed_over=tally.passed_over)
    try:
        store.create_once(key, done.to_json())
    except AlreadyExistsError:
        return UnitDone.model_validate_json(read_or_none(store, key) or b"")
    return done


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
