"""Ends runs that an index refused, before the swap or after it: every row skipped, since another run has done it."""

from batchjob import layout
from batchjob.drain.ledger import read_ledger
from batchjob.errors import AlreadyExistsError
from batchjob.ports import Clock, Store
from batchjob.records import FinalState, Outcome, RunInfo, Summary, manifest_from_parquet, outcomes_to_parquet
from batchjob.reindex.state import Reindex, Round
from batchjob.runs import read_run, read_summary


def retirable(store: Store, state: Reindex) -> list[tuple[RunInfo, Round]]:
    """Open runs that are not finished, with the round that did their rows."""
    by_run = {run: one for one in state.rounds for run in one.covers}
    return [
        (read_run(store, name), by_run[name])
        for name in read_ledger(store).open
        if name in by_run and read_summary(store, name) is None
    ]


def retire(store: Store, clock: Clock, run: RunInfo, done_by: Round) -> None:
    """Finishes a run without loading it (invariant 1). Raises TransientError."""
    why = f"processed anew under the settings of the index, in run {', '.join(done_by.runs)}"
    outcomes = [
        Outcome(
            layout.doc_id(row.bucket, row.key),
            row.bucket,
            row.key,
            FinalState.SKIPPED,
            row.attempt,
            message=why,
        )
        for shard in range(run.shards)
        for row in manifest_from_parquet(_read(store, layout.manifest(run.run_id, shard)))
    ]
    outcomes.sort(key=lambda outcome: outcome.doc_id)
    store.put(layout.merged_outcomes(run.run_id), outcomes_to_parquet(outcomes))
    summary = Summary(
        run_id=run.run_id,
        index=run.index,
        rows=run.rows,
        states={state: len(outcomes) if state is FinalState.SKIPPED else 0 for state in FinalState},
        pages=0,
        ocr_pages=0,
        cache_hits=0,
        requests=0,
        retries=0,
        bytes=0,
        seconds=0.0,
        finished_at=clock.now_ms(),
    )
    try:
        store.create_once(layout.summary(run.run_id), summary.to_json())
    except AlreadyExistsError:
        return


def _read(store: Store, key: str) -> bytes:
    with store.open(key) as opened:
        return opened.body.read()
