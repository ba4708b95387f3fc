"""Runs that are not finished: how far they are, and giving up shards that no process will do (invariant 8)."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from batchjob import layout
from batchjob.drain.ledger import read_ledger
from batchjob.errors import AlreadyExistsError, UsageError
from batchjob.ports import CreateOnce, Get, List, Put, read_or_none
from batchjob.records import (
    FinalState,
    ManifestRow,
    Outcome,
    Output,
    Receipt,
    RunInfo,
    ShardCounts,
    manifest_from_parquet,
    outcomes_to_parquet,
)
from batchjob.runs import read_run


class RunsStore(Get, List, Protocol):
    """The verbs for looking at runs."""


class AbandonStore(Get, Put, CreateOnce, List, Protocol):
    """The verbs for giving up shards."""


class Phase(StrEnum):
    """How far a run is. `processed`: only the reducer is missing."""

    UNSUBMITTED = "unsubmitted"
    PROCESSING = "processing"
    PROCESSED = "processed"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run of the ledger and which of its shards have no receipt."""

    run: RunInfo
    phase: Phase
    missing: list[int]


def open_runs(store: RunsStore) -> Iterator[OpenRun]:
    """The runs that the ledger calls open, oldest first. Raises TransientError."""
    ledger = read_ledger(store)
    for run_id in sorted(ledger.open):
        run = read_run(store, run_id)
        missing = missing_shards(store, run)
        if read_or_none(store, layout.summary(run_id)) is not None:
            phase = Phase.FINISHED
        elif run_id in ledger.unsubmitted:
            phase = Phase.UNSUBMITTED
        else:
            phase = Phase.PROCESSING if missing else Phase.PROCESSED
        yield OpenRun(run, phase, missing)


def missing_shards(store: List, run: RunInfo) -> list[int]:
    """Shards without a receipt, in order. Raises TransientError."""
    done = {layout.shard_of_receipt(meta.key) for meta in store.list(layout.receipts(run.run_id))}
    return [shard for shard in range(run.shards) if shard not in done]


def abandon(store: AbandonStore, run: RunInfo, shards: Iterable[int], writer: str, why: str) -> list[int]:
    """Gives up shards: their rows come back when the run is reduced. Returns those that no process did after all.

    The receipt decides the race with a process that is still alive: it is created once. Raises UsageError (no such
    shard), TransientError.
    """
    return [shard for shard in shards if _abandon(store, run, shard, writer, why)]


def _abandon(store: AbandonStore, run: RunInfo, shard: int, writer: str, why: str) -> bool:
    data = read_or_none(store, layout.manifest(run.run_id, shard))
    if data is None:
        raise UsageError(f"run {run.run_id} has no shard {shard}: its shards are 0 to {run.shards - 1}")
    rows = manifest_from_parquet(data)
    outcomes = outcomes_to_parquet(_requeued(row, why) for row in rows)
    key = layout.outcomes(run.run_id, shard, writer)
    store.put(key, outcomes)
    receipt = Receipt(
        shard=shard,
        writer=writer,
        parts=(),
        failures=(),
        outcomes=Output(key=key, size=len(outcomes), sha256=hashlib.sha256(outcomes).hexdigest()),
        counts=ShardCounts(rows=len(rows), requeued=len(rows)),
        seconds=0.0,
        abandoned=why,
    )
    try:
        store.create_once(layout.receipt(run.run_id, shard), receipt.to_json())
    except AlreadyExistsError:
        return False
    return True


def _requeued(row: ManifestRow, why: str) -> Outcome:
    return Outcome(
        layout.doc_id(row.bucket, row.key),
        row.bucket,
        row.key,
        FinalState.REQUEUED,
        row.attempt,
        category="abandoned",
        message=why,
    )
