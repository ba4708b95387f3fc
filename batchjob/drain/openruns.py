"""Runs that are not finished: how far they are, and giving up shards that no process will do (invariant 8)."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from batchjob import layout
from batchjob.drain.ledger import read_ledger
from batchjob.errors import AlreadyExistsError, FailureCategory, UsageError
from batchjob.ports import CreateOnce, Get, List, Put, read_or_none
from batchjob.records import (
    ABANDONED,
    DIED,
    DIED_ALONE,
    MAX_ATTEMPTS,
    FinalState,
    Ledger,
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


def look_at(store: RunsStore, ledger: Ledger, run_id: str) -> OpenRun:
    """How far a run is that the ledger calls open. Raises UsageError (its record is damaged), TransientError."""
    run = read_run(store, run_id)
    missing = missing_shards(store, run)
    if read_or_none(store, layout.summary(run_id)) is not None:
        phase = Phase.FINISHED
    elif run_id in ledger.unsubmitted:
        phase = Phase.UNSUBMITTED
    else:
        phase = Phase.PROCESSING if missing else Phase.PROCESSED
    return OpenRun(run, phase, missing)


def never_committed(store: RunsStore) -> list[str]:
    """What drains left that died before their commit, oldest first; their rows are in other runs, or in the inbox.

    A drain that is between freezing and its commit may live still: the run's name says when it began. Raises
    TransientError.
    """
    committed = {*read_ledger(store).open}
    found = [run_id for run_id in _run_ids(store) if run_id not in committed and _is_loose(store, run_id)]
    committed = {*read_ledger(store).open}
    return [run_id for run_id in found if run_id not in committed]


def _run_ids(store: List) -> Iterator[str]:
    """All that have any object, a request each."""
    after = ""
    while (meta := next(iter(store.list(layout.RUNS, start_after=after)), None)) is not None:
        run_id = meta.key.split("/")[1]
        yield run_id
        after = layout.after_run(run_id)


def _is_loose(store: RunsStore, run_id: str) -> bool:
    """Not finished, and not of a kind that the ledger does not name. `run.json` comes after the shards."""
    if read_or_none(store, layout.summary(run_id)) is not None:
        return False
    try:
        return read_run(store, run_id).kind == "incremental"
    except UsageError:
        return True


def missing_shards(store: List, run: RunInfo) -> list[int]:
    """Shards without a receipt, in order. Raises TransientError."""
    done = {layout.shard_of_receipt(meta.key) for meta in store.list(layout.receipts(run.run_id))}
    return [shard for shard in range(run.shards) if shard not in done]


def abandon(
    store: AbandonStore,
    run: RunInfo,
    shards: Iterable[int],
    writer: str,
    why: str,
    *,
    killed: Mapping[int, int] | None = None,
) -> list[int]:
    """Gives up shards: their rows come back when the run is reduced. Returns those that no process did after all.

    Of shards that `killed` their process, which began then (ms), one row is to blame: they come back apart from the
    others, and a row that was alone has made an attempt. The receipt decides the race with a process that is still
    alive: it is created once. Raises UsageError (no such shard), TransientError.
    """
    began = killed or {}
    return [shard for shard in shards if _abandon(store, run, shard, writer, why, began.get(shard))]


def _abandon(
    store: AbandonStore, run: RunInfo, shard: int, writer: str, why: str, killed_at: int | None
) -> bool:
    data = read_or_none(store, layout.manifest(run.run_id, shard))
    if data is None:
        raise UsageError(f"run {run.run_id} has no shard {shard}: its shards are 0 to {run.shards - 1}")
    rows = manifest_from_parquet(data)
    cause = ABANDONED if killed_at is None else DIED if len(rows) > 1 else DIED_ALONE
    outcomes = [_outcome(row, cause, why, killed_at) for row in rows]
    encoded = outcomes_to_parquet(outcomes)
    key = layout.outcomes(run.run_id, shard, writer)
    store.put(key, encoded)
    failures = sum(outcome.state is FinalState.FAILED for outcome in outcomes)
    receipt = Receipt(
        shard=shard,
        writer=writer,
        parts=(),
        failures=(),
        outcomes=Output(key=key, size=len(encoded), sha256=hashlib.sha256(encoded).hexdigest()),
        counts=ShardCounts(rows=len(rows), requeued=len(rows) - failures, failures=failures),
        seconds=0.0,
        abandoned=why,
    )
    try:
        store.create_once(layout.receipt(run.run_id, shard), receipt.to_json())
    except AlreadyExistsError:
        return False
    return True


def _outcome(row: ManifestRow, cause: str, why: str, killed_at: int | None) -> Outcome:
    given_up = cause == DIED_ALONE and row.attempt >= MAX_ATTEMPTS
    return Outcome(
        layout.doc_id(row.bucket, row.key),
        row.bucket,
        row.key,
        FinalState.FAILED if given_up else FinalState.REQUEUED,
        row.attempt,
        category=FailureCategory.GAVE_UP.value if given_up else cause,
        message=why,
        gave_up_at=killed_at if given_up else None,
    )
