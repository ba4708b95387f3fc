"""The end of a run: a final state for every row, retries and give-ups written, the summary created once."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Protocol

from batchjob import layout
from batchjob.errors import AlreadyExistsError, FencedError, UsageError
from batchjob.ports import Clock, CreateOnce, Delete, Get, List, Put, read_or_none
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
    manifest_from_parquet,
    manifest_to_parquet,
    outcomes_to_parquet,
)
from batchjob.reduce.load import kept_ids, rejected_ids
from batchjob.reduce.receipts import Item, read_outcomes
from batchjob.runs import parse_record

FIRST_RETRY_MS = 15 * 60 * 1000
"""Delay before a row's second attempt; doubled for the third."""


SUSPICION = 8.0
"""By this the cost of a row rises that may have killed its shard; a few times make it dearer than a whole shard."""


Versions = Callable[[Sequence[str]], Mapping[str, int]]
"""What the index holds of documents: the time of each one's observation (ms), by its id."""


class FinishStore(Get, Put, CreateOnce, List, Delete, Protocol):
    """The verbs for the end of a run."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Documents whose end differs from what their shard proposed."""

    rejected: set[str]
    kept: set[str]

    def of(self, outcome: Outcome) -> Outcome:
        """The outcome with its final state (invariant 1)."""
        if outcome.doc_id in self.rejected:
            return replace(outcome, state=FinalState.REJECTED)
        if outcome.state is FinalState.FAILED and outcome.doc_id in self.kept:
            return replace(outcome, state=FinalState.KEPT_PREVIOUS)
        return outcome


def read_verdicts(store: Get, run_id: str, items: Sequence[Item], state: Checkpoint) -> Verdicts:
    return Verdicts(
        rejected_ids(store, run_id, items, state.marked), kept_ids(store, run_id, items, state.marked)
    )


def final_outcomes(store: Get, receipts: Sequence[Receipt], verdicts: Verdicts) -> list[Outcome]:
    """Every row of the run with its final state, sorted by document id."""
    outcomes = [verdicts.of(outcome) for _, shard in read_outcomes(store, receipts) for outcome in shard]
    return sorted(outcomes, key=lambda outcome: outcome.doc_id)


def write_retries(
    store: FinishStore, run: RunInfo, shard: int, outcomes: Sequence[Outcome], versions: Versions, now: int
) -> None:
    """Rows that come back, into the inbox; rows given up, into quarantine (invariant 5).

    Not those of which the index holds a later observation: a later run had success, and is finished already.
    """
    requeued = {(o.bucket, o.key): o for o in outcomes if o.state is FinalState.REQUEUED}
    given_up = [o for o in outcomes if o.state is FinalState.FAILED and o.observed_at is None]
    later = versions([o.doc_id for o in given_up])
    hopeless = {(o.bucket, o.key): o for o in given_up if later.get(o.doc_id, 0) <= (o.gave_up_at or now)}
    if not requeued and not hopeless:
        return
    with store.open(layout.manifest(run.run_id, shard)) as opened:
        rows = manifest_from_parquet(opened.body.read())
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


def finish_run(
    store: FinishStore,
    run: RunInfo,
    receipts: Sequence[Receipt],
    outcomes: Sequence[Outcome],
    state: Checkpoint,
    versions: Versions,
    clock: Clock,
    seconds: float,
) -> Summary:
    """Writes the merged outcomes, the retries and last the summary. Raises FencedError where it is there already."""
    by_shard = read_outcomes(store, receipts)
    for shard, proposed in by_shard:
        write_retries(store, run, shard, proposed, versions, clock.now_ms())
    clear_quarantine(store, outcomes)
    store.put(layout.merged_outcomes(run.run_id), outcomes_to_parquet(outcomes))
    summary = _summary(run, receipts, outcomes, state, clock.now_ms(), seconds)
    try:
        store.create_once(layout.summary(run.run_id), summary.to_json())
    except AlreadyExistsError:
        raise FencedError(f"another reducer finished run {run.run_id} first") from None
    return summary


def _summary(
    run: RunInfo,
    receipts: Sequence[Receipt],
    outcomes: Sequence[Outcome],
    state: Checkpoint,
    now: int,
    seconds: float,
) -> Summary:
    states = Counter(outcome.state for outcome in outcomes)
    if sum(states.values()) != run.rows:
        raise UsageError(
            f"run {run.run_id} has {run.rows} rows and {sum(states.values())} outcomes: its files are not of one run"
        )
    return Summary(
        run_id=run.run_id,
        index=run.index,
        rows=run.rows,
        states={name: states.get(name, 0) for name in FinalState},
        failures=dict(Counter(o.category for o in outcomes if o.state is FinalState.FAILED and o.category)),
        pages=sum(r.counts.pages for r in receipts),
        ocr_pages=sum(r.counts.ocr_pages for r in receipts),
        cache_hits=sum(r.counts.cache_hits for r in receipts),
        requests=state.requests,
        retries=state.retries,
        bytes=sum(output.size for r in receipts for output in (*r.parts, *r.failures)),
        seconds=round(seconds, 3),
        finished_at=now,
    )
