"""A manifest from a bucket's listing: many prefixes side by side, and after a kill only what was not done."""

import io
import secrets
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq

from batchjob import layout
from batchjob.errors import AlreadyExistsError, TransientError
from batchjob.manifest.select import Tally
from batchjob.manifest.units import Listing, ListingStore, Plan, UnitDone, list_unit
from batchjob.ports import Bucket, Clock, Level, read_or_none

THREADS = 16
WANTED_UNITS = 64
"""Prefixes after which no more are looked for."""
MOST_WHOLES = 256
"""Units that prefixes are dealt out to: a bucket may have thousands of small folders."""
MOST_LEVELS = 1000
"""Levels looked at: deep chains of folders with one entry each must not take a request each for ever."""
LARGE_LEVEL = 10_000
"""Entries of a level (10 requests) above which it is listed as it is, not split."""
MOST_AGE_MS = 24 * 3600 * 1000
"""A listing that was left off longer ago is begun anew."""


def list_bucket(
    listing: Listing, source: Bucket, store: ListingStore, clock: Clock, writer: str, tally: Tally
) -> Iterator[pa.RecordBatch]:
    """The selected objects of a bucket in MANIFEST_SCHEMA, each once, by prefixes and in no other order.

    What was listed is kept in `store` until `forget_listing`, so that the same call goes on after a kill. Objects that
    appear meanwhile may be missing: events tell of them. Raises UsageError, TransientError.
    """
    plan = _plan(listing, source, store, clock)
    units = len(plan.levels) + len(plan.wholes)

    def listed(unit: int) -> UnitDone:
        return list_unit(listing, plan, unit, source, store, writer)

    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="list")
    try:
        done = list(pool.map(listed, range(units)))
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
