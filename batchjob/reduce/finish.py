"""The end of a run: a final state for every row, retries and give-ups written, the summary created once."""

import io
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

import pyarrow.parquet as pq

from batchjob import layout
from batchjob.errors import AlreadyExistsError, FencedError, UsageError
from batchjob.ports import Clock, CreateOnce, Delete, Get, List, Put, PutFile, read_or_none
from batchjob.records import (
    DIED,
    NOT_COUNTED,
    Checkpoint,
    FinalState,
    GivenUp,
    ManifestRow,
    Outcome,
    Receipt,
    RunInfo,
    Summary,
    manifest_row,
    manifest_to_parquet,
    outcomes_of,
)
from batchjob.reduce.gather import BATCH_ROWS, Gathered
from batchjob.runs import parse_record

FIRST_RETRY_MS = 15 * 60 * 1000
"""Delay before a row's second attempt; doubled for the third."""


SUSPICION = 8.0
"""By this the cost of a row rises that may have killed its shard; a few times make it dearer than a whole shard."""


Versions = Callable[[Sequence[str]], Mapping[str, int]]
"""What the index holds of documents: the time of each one's observation (ms), by its id."""


class FinishStore(Get, Put, PutFile, CreateOnce, List, Delete, Protocol):
    """The verbs for the end of a run."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A run whose documents have been read back from what `versions` asks.

    `merged` is the file of its outcomes, `seconds` what it took.
    """

    run: RunInfo
    receipts: Sequence[Receipt]
    gathered: Gathered
    merged: Path
    state: Checkpoint
    versions: Versions
    seconds: float


def write_retries(
    store: FinishStore, run: RunInfo, shard: int, outcomes: Sequence[Outcome], versions: Versions, now: int
) -> None:
    """Of `outcomes`, rows that come back go into the inbox, others are given up: into quarantine (invariant 5).

    Not those of which the index holds a later observation: a later run had success, and is finished already.
    """
    requeued = {(o.bucket, o.key): o for o in outcomes if o.state is FinalState.REQUEUED}
    given_up = [o for o in outcomes if o.state is not FinalState.REQUEUED]
    later = versions([o.doc_id for o in given_up])
    hopeless = {
        (o.bucket, o.key): o
        for o in given_up
        if later.get(o.doc_id, 0) <= (o.gave_up_at or o.observed_at or now)
    }
    rows = _manifest_rows(store, run, shard, requeued.keys() | hopeless.keys())
    for row in rows:
        if outcome := hopeless.get((row.bucket, row.key)):
            _give_up(store, run, row, outcome, now)
    retried = [
        _next_attempt(row, requeued[row.bucket, row.key], now)
        for row in rows
        if (row.bucket, row.key) in requeued
    ]
    if retried:
        with suppress(AlreadyExistsError):
            store.create_once(layout.retry_segment(run.run_id, shard), manifest_to_parquet(retried))


def _manifest_rows(store: Get, run: RunInfo, shard: int, wanted: Set[tuple[str, str]]) -> list[ManifestRow]:
    with store.open(layout.manifest(run.run_id, shard)) as opened:
        file = pq.ParquetFile(io.BytesIO(opened.body.read()))
    records = (record for batch in file.iter_batches(BATCH_ROWS) for record in batch.to_pylist())
    return [manifest_row(record) for record in records if (record["bucket"], record["key"]) in wanted]


def _next_attempt(row: ManifestRow, outcome: Outcome, now: int) -> ManifestRow:
    """What was no fault of the row is no attempt. Its cost is estimated anew, save where one of many killed a shard:

    then all of them are cut into smaller and smaller shards, until the one is alone.
    """
    if outcome.category in NOT_COUNTED:
        cost = row.cost * SUSPICION if outcome.category == DIED else 0.0
        return replace(row, cost=cost, not_before=now + FIRST_RETRY_MS)
    wait = FIRST_RETRY_MS * 2 ** (row.attempt - 1)
    return replace(row, attempt=row.attempt + 1, cost=0.0, not_before=now + wait)


def _give_up(store: FinishStore, run: RunInfo, row: ManifestRow, outcome: Outcome, now: int) -> None:
    given_up = GivenUp(
        run_id=run.run_id,
        at=outcome.gave_up_at or now,
        category=outcome.category or "",
        message=outcome.message or "",
        row=asdict(row),
    )
    store.put(layout.quarantined_row(outcome.doc_id), given_up.to_json())


def clear_quarantine(store: FinishStore, outcomes: Sequence[Outcome]) -> None:
    """A later success clears what was given up of the same object (invariant 5). Raises TransientError."""
    listed = [meta.key for meta in store.list(layout.QUARANTINED_ROWS)]
    if not listed:
        return
    seen_at = {
        layout.quarantined_row(o.doc_id): o.observed_at or 0
        for o in outcomes
        if o.state in (FinalState.INDEXED, FinalState.DELETED)
    }
    for key in listed:
        data = read_or_none(store, key) if key in seen_at else None
        if data is not None and parse_record(GivenUp, key, data).at < seen_at[key]:
            store.delete(key)


def finish_run(store: FinishStore, ending: Ending, clock: Clock) -> Summary:
    """Writes the merged outcomes, the retries and last the summary. Raises FencedError where it is there already."""
    run = ending.run
    _check_rows(run, ending.gathered)
    for shard, path in ending.gathered.returning.items():
        rows = outcomes_of(pq.read_table(path))
        write_retries(store, run, shard, rows, ending.versions, clock.now_ms())
    clear_quarantine(store, ending.gathered.well)
    store.put_file(layout.merged_outcomes(run.run_id), ending.merged)
    summary = _summary(ending, clock.now_ms())
    try:
        store.create_once(layout.summary(run.run_id), summary.to_json())
    except AlreadyExistsError:
        raise FencedError(f"another reducer finished run {run.run_id} first") from None
    return summary


def _check_rows(run: RunInfo, gathered: Gathered) -> None:
    """Exactly one final state a row (invariant 1). Raises UsageError."""
    if gathered.states.total() != run.rows:
        raise UsageError(
            f"run {run.run_id} has {run.rows} rows and {gathered.states.total()} outcomes: its files are not of one run"
        )


def _summary(ending: Ending, now: int) -> Summary:
    run, counts = ending.run, [receipt.counts for receipt in ending.receipts]
    return Summary(
        run_id=run.run_id,
        index=run.index,
        rows=run.rows,
        states={name: ending.gathered.states.get(name, 0) for name in FinalState},
        failures=dict(ending.gathered.failures),
        pages=sum(count.pages for count in counts),
        ocr_pages=sum(count.ocr_pages for count in counts),
        cache_hits=sum(count.cache_hits for count in counts),
        requests=ending.state.requests,
        retries=ending.state.retries,
        bytes=sum(output.size for r in ending.receipts for output in (*r.parts, *r.failures)),
        seconds=round(ending.seconds, 3),
        finished_at=now,
    )
