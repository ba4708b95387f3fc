"""From the inbox to committed runs: gather, cut, freeze, one CAS of the ledger, and only then segments go."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from batchjob.drain.cost import read_rates
from batchjob.drain.cut import Cut, cut, cut_evenly
from batchjob.drain.freeze import Target, discard, freeze, new_runs
from batchjob.drain.gather import gather
from batchjob.drain.inbox import (
    SegmentsDamagedError,
    list_segments,
    read_segments,
    remove_segments,
    set_aside,
    sort_by_due,
)
from batchjob.drain.ledger import SegmentsTakenError, commit_runs, forget_segments, read_ledger
from batchjob.errors import ObjectMissingError, TransientError
from batchjob.ports import Clock, Store
from batchjob.records import RunInfo
from batchjob.scratch import scratch_folder

ROUNDS = 10
"""How often a drain begins anew because another took segments that it had read."""


@dataclass(frozen=True, slots=True)
class Intake:
    """How runs are made: for what, of which size, by whom.

    Shards cost about `shard_cost` CPU seconds, so that a row which may have killed its shard, and costs more each
    time, ends alone. `shards` is a number of them instead, for runs whose rows do not come back so. `writer` is this
    process's name; `scratch` is a folder on a disk with room for the rows, without it the system's temporary folder.
    """

    target: Target
    writer: str
    shard_cost: float
    shards: int | None = None
    scratch: Path | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """What became of the inbox: runs with one row an object; `repeated` rows named one that another row names.

    `waiting`: segments whose rows are not due yet; `damaged`: where unreadable ones were put. `cost` of all rows in CPU
    seconds; `imbalance`: the heaviest shard over the mean, save a document that exceeds it alone.
    """

    runs: list[RunInfo] = field(default_factory=list)
    rows: int = 0
    repeated: int = 0
    waiting: int = 0
    damaged: list[str] = field(default_factory=list)
    cost: float = 0.0
    imbalance: float = 1.0


def commit_inbox(intake: Intake, store: Store, clock: Clock) -> Committed:
    """Makes runs of all that is due in the inbox; of nothing, no run.

    Any number of drains may do this at once, and die anywhere: the ledger decides whose run a segment is in, and
    what is not in one stays in the inbox. Raises TransientError.
    """
    damaged: list[str] = []
    rounds = 0
    while rounds < ROUNDS:
        pending = tidy_inbox(intake.writer, store, clock)
        try:
            found = sort_by_due(store, pending, clock.now_ms())
            if not found.due:
                return Committed(waiting=len(found.waiting), damaged=damaged)
            done = _commit(intake, store, clock, found.due, read_segments(store, found.due))
        except (ObjectMissingError, SegmentsTakenError):
            rounds += 1
            continue
        except SegmentsDamagedError as error:
            damaged += [set_aside(store, key) for key in error.keys]
            continue
        remove_segments(store, found.due)
        return replace(done, waiting=len(found.waiting), damaged=damaged)
    raise TransientError(f"other drains took the inbox's segments {ROUNDS} times: try again", cause="ledger")


def tidy_inbox(writer: str, store: Store, clock: Clock) -> list[str]:
    """Removes segments that a committed run holds and a dead drain left; returns those that no run holds.

    Raises TransientError.
    """
    listed = list_segments(store)
    adopted = read_ledger(store).adopted
    remove_segments(store, [key for key in listed if key in adopted])
    forget_segments(store, writer, listed, clock.now_ms())
    return [key for key in listed if key not in adopted]


def commit_rows(intake: Intake, store: Store, clock: Clock, batches: Iterable[pa.RecordBatch]) -> Committed:
    """Makes runs of rows from elsewhere, in MANIFEST_SCHEMA. Raises TransientError and what reading them raises."""
    return _commit(intake, store, clock, (), batches)


def _commit(
    intake: Intake, store: Store, clock: Clock, segments: Sequence[str], batches: Iterable[pa.RecordBatch]
) -> Committed:
    frozen = freeze_rows(intake, store, clock, batches, segments)
    if frozen.runs:
        try:
            names = [run.run_id for run in frozen.runs]
            commit_runs(store, intake.writer, names, segments, clock.now_ms())
        except SegmentsTakenError:
            discard(frozen.runs, store)
            raise
    return frozen


def freeze_rows(
    intake: Intake,
    store: Store,
    clock: Clock,
    batches: Iterable[pa.RecordBatch],
    segments: Sequence[str] = (),
) -> Committed:
    """Freezes runs of rows in MANIFEST_SCHEMA without committing them. Raises UsageError (scratch), TransientError."""
    with scratch_folder(intake.scratch) as scratch, _room(scratch):
        rows = gather(batches, scratch, read_rates(store))
        if not len(rows):
            return Committed()
        pieces = _cut(intake, rows.costs)
        runs = new_runs(pieces, intake.target, segments, clock)
        freeze(runs, rows, pieces, store, scratch)
        return Committed(
            runs,
            len(rows),
            rows.repeated,
            cost=float(rows.costs.sum()),
            imbalance=pieces.imbalance,
        )


@contextmanager
def _room(scratch: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TransientError(
            f"rows could not be kept in {scratch}: {error}; set BATCHJOB_SCRATCH to a folder with room",
            cause="scratch_full",
        ) from error


def _cut(intake: Intake, costs: np.ndarray) -> Cut:
    return cut_evenly(costs, intake.shard_cost) if intake.shards is None else cut(costs, intake.shards)
