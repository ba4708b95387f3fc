"""The reducer's main flow: receipts → bulk load → read back → summary."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from batchjob import layout
from batchjob.errors import TransientError, UsageError
from batchjob.ports import BulkLoad, Clock, Delete, ManageIndex, ReadDocuments, Store
from batchjob.records import RunInfo, Summary
from batchjob.reduce.checkpoint import CheckpointFile
from batchjob.reduce.finish import Ending, finish_run
from batchjob.reduce.gather import Gathered, gather
from batchjob.reduce.load import Observer, Target, load_items
from batchjob.reduce.mapping import ensure_index
from batchjob.reduce.outcomes import MergedFile
from batchjob.reduce.receipts import Item, items, read_receipts
from batchjob.reduce.retrying import RETRY_SECONDS, Patience
from batchjob.reduce.verify import altered_documents, missing_documents, stored_versions
from batchjob.runs import read_summary
from batchjob.scratch import scratch_folder

PASSES = 3
"""How often a run is loaded again because the alias moved or documents are missing."""


class ReduceIndex(BulkLoad, ReadDocuments, ManageIndex, Protocol):
    """The verbs a reducer needs."""


DELETIONS_ALLOWED = 1000
DELETION_SHARE_ALLOWED = 0.05


@dataclass(frozen=True, slots=True)
class ReduceJob:
    """Which run this process loads, under which writer's name, and whether it may delete much.

    `scratch` is a folder for temporary files (None: the system's); `retry_seconds`: how long a request to the index
    is sent again without progress; `dictionary`: the rules of the user dictionary that its index must have.
    """

    run: RunInfo
    writer: str
    allow_deletes: bool = False
    scratch: Path | None = None
    retry_seconds: float = RETRY_SECONDS
    dictionary: tuple[str, ...] = ()


def reduce_run(job: ReduceJob, store: Store, index: ReduceIndex, clock: Clock, observer: Observer) -> Summary:
    """Loads a run and finishes it; a finished run's summary is returned as it is.

    Raises FencedError (another reducer goes on), TransientError (try again), UsageError, TooManyFailedError.
    """
    finished = read_summary(store, job.run.run_id)
    if finished is not None:
        return finished
    started = time.monotonic()
    run, patience = job.run, Patience(job.retry_seconds)
    receipts = read_receipts(store, run)
    name = patience.call(lambda: _ensure_index(job, index))
    if not job.allow_deletes and run.kind != "reindex":
        _check_deletions(run, sum(receipt.counts.deletions for receipt in receipts), index, patience)
    checkpoint = CheckpointFile.take_over(store, run.run_id, job.writer)
    bodies = items(receipts)
    for _ in range(PASSES):
        target = Target(run.run_id, run.rows, run.index, name, job.retry_seconds)
        load_items(target, bodies, store, index, checkpoint, observer)
        with scratch_folder(job.scratch) as scratch:
            marked = set(checkpoint.state.marked)
            gathered = gather(store, run, receipts, [b for b in bodies if b.number in marked], scratch)
            merged, wrong = _read_back(gathered, scratch, index, name, patience)
            wrong = wrong or altered_documents(store, index, name, bodies, patience)
            behind = patience.call(lambda: _ensure_index(job, index))
            if not wrong and behind == name:
                checkpoint.confirm()
                versions = partial(stored_versions, index, name, patience)
                seconds = time.monotonic() - started
                ending = Ending(run, receipts, gathered, merged, checkpoint.state, versions, seconds)
                return finish_run(store, ending, clock)
        _forget(store, run, [body for body in bodies if body.number in marked])
        checkpoint.reset()
        name = behind
    raise TransientError(
        f"run {run.run_id}: after {PASSES} loads {len(wrong)} documents are not in {name!r}, or not as they were sent "
        f"({', '.join(wrong[:3])}): look at the cluster's health, then reduce again",
        cause="verification",
    )


def _ensure_index(job: ReduceJob, index: ManageIndex) -> str:
    run = job.run
    return ensure_index(index, run.index, run.fingerprint, job.dictionary, create=run.kind != "reindex")


def _forget(store: Delete, run: RunInfo, marked: Sequence[Item]) -> None:
    """What was refused or kept is found out again; after a crash before the reset, reading back finds it missing."""
    for item in marked:
        store.delete(layout.rejected(run.run_id, item.shard, item.part))
        store.delete(layout.kept(run.run_id, item.shard, item.part))


def _read_back(
    gathered: Gathered, scratch: Path, index: ReduceIndex, name: str, patience: Patience
) -> tuple[Path, list[str]]:
    """The merged outcomes as a file, and the keys of documents that are missing."""
    path = scratch / "outcomes.parquet"
    missing: list[str] = []
    patience.call(lambda: index.refresh(name))
    with closing(MergedFile(path)) as merged:
        for group in gathered.sorter.groups():
            merged.add(group)
            missing += missing_documents(index, name, group, patience)
    return path, missing


def _check_deletions(run: RunInfo, deletions: int, index: ManageIndex, patience: Patience) -> None:
    """A source that went away must not empty the index (invariant 3). Raises UsageError."""
    if deletions <= DELETIONS_ALLOWED:
        return
    limit = max(
        DELETIONS_ALLOWED, int(patience.call(lambda: index.count(run.index)) * DELETION_SHARE_ALLOWED)
    )
    if deletions > limit:
        raise UsageError(
            f"run {run.run_id} would delete {deletions} documents, more than {limit}: if the source is whole, "
            f"reduce with --allow-deletes"
        )
