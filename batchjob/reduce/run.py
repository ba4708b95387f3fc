"""The reducer's main flow: receipts → bulk load → read back → summary."""

import time
from dataclasses import dataclass
from typing import Protocol

from batchjob.errors import TransientError
from batchjob.ports import BulkLoad, Clock, ManageIndex, ReadDocuments, Store
from batchjob.records import RunInfo, Summary
from batchjob.reduce.checkpoint import CheckpointFile
from batchjob.reduce.finish import final_outcomes, finish_run, read_summary, read_verdicts
from batchjob.reduce.load import Observer, Target, load_items
from batchjob.reduce.mapping import ensure_index
from batchjob.reduce.receipts import items, read_receipts
from batchjob.reduce.verify import missing_documents

PASSES = 3
"""How often a run is loaded again because the alias moved or documents are missing."""


class ReduceIndex(BulkLoad, ReadDocuments, ManageIndex, Protocol):
    """The verbs a reducer needs."""


@dataclass(frozen=True, slots=True)
class ReduceJob:
    """Which run this process loads, and under which writer's name it holds the checkpoint."""

    run: RunInfo
    writer: str


def reduce_run(job: ReduceJob, store: Store, index: ReduceIndex, clock: Clock, observer: Observer) -> Summary:
    """Loads a run and finishes it; a finished run's summary is returned as it is.

    Raises FencedError (another reducer goes on), TransientError (try again), UsageError, TooManyFailedError.
    """
    finished = read_summary(store, job.run.run_id)
    if finished is not None:
        return finished
    started = time.monotonic()
    run = job.run
    receipts = read_receipts(store, run)
    name = ensure_index(index, run.index, run.fingerprint)
    checkpoint = CheckpointFile.take_over(store, run.run_id, job.writer)
    bodies = items(receipts)
    for _ in range(PASSES):
        load_items(Target(run.run_id, run.rows, run.index, name), bodies, store, index, checkpoint, observer)
        index.refresh(name)
        outcomes = final_outcomes(store, receipts, read_verdicts(store, run.run_id, bodies, checkpoint.state))
        missing = missing_documents(index, name, outcomes)
        behind = ensure_index(index, run.index, run.fingerprint)
        if not missing and behind == name:
            seconds = time.monotonic() - started
            return finish_run(store, run, receipts, outcomes, checkpoint.state, clock, seconds)
        checkpoint.reset()
        name = behind
    raise TransientError(
        f"run {run.run_id}: after {PASSES} loads {len(missing)} documents are not in {name!r} "
        f"({', '.join(missing[:3])}): look at the cluster's health, then reduce again",
        cause="verification",
    )
