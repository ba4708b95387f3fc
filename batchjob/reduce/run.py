"""The reducer's main flow: receipts → bulk load → read back → summary."""

import time
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from batchjob.errors import TransientError, UsageError
from batchjob.ports import BulkLoad, Clock, ManageIndex, ReadDocuments, Store
from batchjob.records import RunInfo, Summary
from batchjob.reduce.checkpoint import CheckpointFile
from batchjob.reduce.finish import final_outcomes, finish_run, read_verdicts
from batchjob.reduce.load import Observer, Target, load_items
from batchjob.reduce.mapping import ensure_index
from batchjob.reduce.receipts import items, read_receipts
from batchjob.reduce.verify import missing_documents, stored_versions
from batchjob.runs import read_summary

PASSES = 3
"""How often a run is loaded again because the alias moved or documents are missing."""


class ReduceIndex(BulkLoad, ReadDocuments, ManageIndex, Protocol):
    """The verbs a reducer needs."""


DELETIONS_ALLOWED = 1000
DELETION_SHARE_ALLOWED = 0.05


@dataclass(frozen=True, slots=True)
class ReduceJob:
    """Which run this process loads, under which writer's name, and whether it may delete much.

    `dictionary`: the rules of the user dictionary that its index must have.
    """

    run: RunInfo
    writer: str
    allow_deletes: bool = False
    dictionary: tuple[str, ...] = ()


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
    name = _ensure_index(job, index)
    if not job.allow_deletes and run.kind != "reindex":
        _check_deletions(run, sum(receipt.counts.deletions for receipt in receipts), index)
    checkpoint = CheckpointFile.take_over(store, run.run_id, job.writer)
    bodies = items(receipts)
    for _ in range(PASSES):
        load_items(Target(run.run_id, run.rows, run.index, name), bodies, store, index, checkpoint, observer)
        index.refresh(name)
        outcomes = final_outcomes(store, receipts, read_verdicts(store, run.run_id, bodies, checkpoint.state))
        missing = missing_documents(index, name, outcomes)
        behind = _ensure_index(job, index)
        if not missing and behind == name:
            seconds = time.monotonic() - started
            checkpoint.confirm()
            versions = partial(stored_versions, index, name)
            return finish_run(store, run, receipts, outcomes, checkpoint.state, versions, clock, seconds)
        checkpoint.reset()
        name = behind
    raise TransientError(
        f"run {run.run_id}: after {PASSES} loads {len(missing)} documents are not in {name!r} "
        f"({', '.join(missing[:3])}): look at the cluster's health, then reduce again",
        cause="verification",
    )


def _ensure_index(job: ReduceJob, index: ManageIndex) -> str:
    run = job.run
    return ensure_index(index, run.index, run.fingerprint, job.dictionary, create=run.kind != "reindex")


def _check_deletions(run: RunInfo, deletions: int, index: ManageIndex) -> None:
    """A source that went away must not empty the index (invariant 3). Raises UsageError."""
    if deletions <= DELETIONS_ALLOWED:
        return
    limit = max(DELETIONS_ALLOWED, int(index.count(run.index) * DELETION_SHARE_ALLOWED))
    if deletions > limit:
        raise UsageError(
            f"run {run.run_id} would delete {deletions} documents, more than {limit}: if the source is whole, "
            f"reduce with --allow-deletes"
        )
