"""The rounds of a re-index: the whole source, then what changed meanwhile, then what could not be reached."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchjob import layout
from batchjob.drain.commit import Intake, freeze_rows
from batchjob.drain.freeze import Target, discard
from batchjob.drain.ledger import read_ledger
from batchjob.drain.openruns import missing_shards
from batchjob.errors import TransientError, UsageError
from batchjob.ports import Clock, Get, Store, read_or_none
from batchjob.records import MANIFEST_SCHEMA, FinalState, RunInfo, Summary
from batchjob.reindex.state import OvertakenError, Reindex, Round, StateFile, read_state
from batchjob.runs import read_run, read_summary

MOST_REPEATS = 3
"""How often rows that could not be reached are tried again before they are left to the next drain."""
MOST_CATCH_UPS = 3
"""Rounds of catching up before the swap: each is shorter than the one before, but runs may never stop coming."""
FRESH = {"attempt": 1, "cost": 0.0, "not_before": None}
"""What a row is given when its run is processed anew."""


@dataclass(frozen=True, slots=True)
class Freezer:
    """How runs come to be; `intake.target` names the extraction that all of them stand for."""

    store: Store
    clock: Clock
    intake: Intake


def add_round(
    by: Freezer, file: StateFile, batches: Iterable[pa.RecordBatch], make: Callable[[Round], Round]
) -> bool:
    """Freezes runs and commits them by the record; False where there are no rows. Raises TransientError."""
    state = file.state
    index = state.building if state.swapped_at is None else state.alias
    intake = replace(by.intake, target=Target("reindex", index, state.fingerprint))
    frozen = freeze_rows(intake, by.store, by.clock, batches)
    made = make(Round(runs=tuple(run.run_id for run in frozen.runs), rows=frozen.rows))
    if not frozen.runs and not made.covers:
        return False
    try:
        file.change(rounds=(*state.rounds, made))
    except OvertakenError:
        _discard_lost(by.store, state.name, frozen.runs)
        raise
    return True


def _discard_lost(store: Store, name: str, runs: Sequence[RunInfo]) -> None:
    """Removes runs unless the record names them: it may have been replaced again since this process did.

    Without an answer to the replacement they stay, since it may still come to pass.
    """
    committed = {run for one in read_state(store, name)[0].rounds for run in one.runs}
    if not committed.intersection(run.run_id for run in runs):
        discard(runs, store)


def list_source(by: Freezer, file: StateFile, batches: Iterable[pa.RecordBatch]) -> None:
    """The first round. Raises UsageError where the source is empty, TransientError."""
    if not add_round(by, file, batches, lambda made: made):
        raise UsageError(
            f"no documents in {', '.join(file.state.places)}: a re-index of nothing would empty the index; "
            "`batchjob reindex --abandon`"
        )


def unfinished(store: Get, state: Reindex) -> list[str]:
    """Runs of the rounds that have no summary yet."""
    return [run for one in state.rounds for run in one.runs if read_summary(store, run) is None]


def summaries(store: Get, one: Round) -> list[Summary]:
    """Of a round that is finished."""
    return [found for run in one.runs if (found := read_summary(store, run)) is not None]


def repeat(by: Freezer, file: StateFile) -> bool:
    """One more round of the rows that came back from finished ones; False where there is none to make."""
    rounds = file.state.rounds
    repeated = {number for one in rounds for number in one.repeats}
    waiting = [
        number
        for number, one in enumerate(rounds)
        if number not in repeated and one.depth < MOST_REPEATS and _requeued(by.store, one)
    ]
    if not waiting:
        return False
    runs = [run for number in waiting for run in rounds[number].runs]
    depth = 1 + max(rounds[number].depth for number in waiting)
    batches = (batch for run in runs for batch in _requeued_rows(by.store, run))
    return add_round(
        by, file, batches, lambda made: made.model_copy(update={"repeats": tuple(waiting), "depth": depth})
    )


def _requeued(store: Get, one: Round) -> int:
    return sum(found.states[FinalState.REQUEUED] for found in summaries(store, one))


def _requeued_rows(store: Get, run_id: str) -> Iterator[pa.RecordBatch]:
    data = read_or_none(store, layout.merged_outcomes(run_id))
    if data is None:
        raise TransientError(f"{layout.merged_outcomes(run_id)} is missing", cause="output_missing")
    columns = ["bucket", "key", "state"]
    outcomes = pq.read_table(io.BytesIO(data), columns=columns)
    back = outcomes.filter(pc.equal(outcomes["state"], FinalState.REQUEUED.value)).select(["bucket", "key"])
    if len(back):
        for batch in manifest_rows(store, read_run(store, run_id)):
            rows = pa.Table.from_batches([batch])
            numbered = rows.select(["bucket", "key"]).append_column("place", pa.array(range(len(rows))))
            found = numbered.join(back, ["bucket", "key"], join_type="left semi")["place"]
            yield from rows.take(found).to_batches()


def manifest_rows(store: Get, run: RunInfo) -> Iterator[pa.RecordBatch]:
    """All rows of a run, as if they had never been tried. Raises UsageError where a file of it is missing."""
    for shard in range(run.shards):
        key = layout.manifest(run.run_id, shard)
        data = read_or_none(store, key)
        if data is None:
            raise UsageError(f"{key} is missing: put an earlier version of the object back")
        rows = pq.read_table(io.BytesIO(data), schema=MANIFEST_SCHEMA)
        for name, value in FRESH.items():
            field = MANIFEST_SCHEMA.field(name)
            values = pa.array([value] * len(rows), field.type)
            rows = rows.set_column(MANIFEST_SCHEMA.get_field_index(name), field, values)
        yield from rows.combine_chunks().to_batches()


def catch_up(by: Freezer, file: StateFile) -> bool:
    """One round of all runs since the watermark that the new index lacks; False where there is none."""
    runs = lacking(by.store, file.state)
    if not runs:
        return False
    batches = (batch for run in runs for batch in manifest_rows(by.store, run))
    covers = tuple(run.run_id for run in runs)
    return add_round(by, file, batches, lambda made: made.model_copy(update={"covers": covers}))


def behind(store: Store, state: Reindex) -> bool:
    """Whether one more round of catching up is due before the swap."""
    made = sum(bool(one.covers) for one in state.rounds)
    return made < MOST_CATCH_UPS and bool(lacking(store, state))


def lacking(store: Store, state: Reindex) -> list[RunInfo]:
    """Runs whose manifests are to be processed under the new settings.

    Before the swap: those with all their receipts. What is observed later beats whatever such a run still writes; one
    that is still at work may observe later than its round. After the swap a run that began before it (`before`) is
    either in the old index, or on its way there: those with all their receipts are taken again, since their reducer may
    have written through the alias while it moved. A run of other settings without them never gets into the new index:
    its reducer, which must come after the swap, is refused (invariant 10).
    """
    ledger = read_ledger(store)
    covered = state.covered
    names = ledger.since if state.swapped_at is None else (*state.before, *ledger.open)
    runs = [read_run(store, name) for name in dict.fromkeys(names) if name not in covered]
    return [
        run
        for run in runs
        if run.kind == "incremental" and run.index == state.alias and _due(store, state, run)
    ]


def _due(store: Store, state: Reindex, run: RunInfo) -> bool:
    if state.swapped_at is not None:
        if run.fingerprint != state.fingerprint:
            return True
        if run.run_id not in state.before:
            return False
    return read_summary(store, run.run_id) is not None or not missing_shards(store, run)
