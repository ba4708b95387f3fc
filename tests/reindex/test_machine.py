"""A full re-index while documents come, change and go: afterwards the index is the bucket, wherever it died."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from batchjob import layout
from batchjob.adapters import embedded
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.drain.ledger import read_ledger
from batchjob.errors import TransientError, UsageError
from batchjob.ports import BulkItem
from batchjob.records import FinalState, ManifestRow, manifest_batches, outcomes_from_parquet
from batchjob.reindex.machine import Machine, abandon, advance, begin, begin_rollback, drop_old, newest
from batchjob.reindex.state import Phase, Reindex
from batchjob.runs import read_summary
from tests.support.faults import KINDS, FaultIndex, Faults, Kind, SimulatedCrash
from tests.support.rebuilding import NEW, OLD, STEADY, World, again, plan

START = partial(begin, places=["/documents"])
STEPS = ("ledger.json", "create live", "configure", "change aliases", "drop", "create_once reindex/")
"""Operations that are not seen again and again: those that quick tests let fail."""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearchIndex]:
    server = embedded.start(tmp_path_factory.mktemp("embedded"), keep=False)
    yield OpenSearchIndex(server.url)
    server.stop()


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory, index: OpenSearchIndex) -> World:
    """A world whose cache knows all documents under both settings."""
    cold = World(tmp_path_factory.mktemp("cold"), index, most_changes=6)
    cold.fill()
    cold.until_done(START, NEW)
    cold.settle(NEW)
    cold.check(NEW)
    return cold


@pytest.fixture
def world(known: World, tmp_path: Path) -> World:
    return again(known, tmp_path)


def operations(world: World, folder: Path, changes: int) -> list[str]:
    """Names of a re-index's durable operations, and of the way back."""
    faults, trial = Faults(), again(world, folder)
    trial.most_changes = changes
    trial.until_done(START, NEW, faults)
    return faults.operations


def survive(world: World, at: int, kind: Kind) -> None:
    world.until_done(START, NEW, plan(at, kind))
    world.settle(NEW)
    world.check(NEW)


def test_every_step_may_die(known: World, tmp_path: Path) -> None:
    names = operations(known, tmp_path / "undisturbed", 3)
    chosen = [at for at, name in enumerate(names, 1) if any(step in name for step in STEPS)]
    assert len(chosen) == 6
    for at in chosen:
        trial = again(known, tmp_path / str(at))
        trial.most_changes = 3
        survive(trial, at, "crash_after")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_operation_may_fail(known: World, tmp_path: Path, kind: Kind) -> None:
    at = 0
    for at, _ in enumerate(operations(known, tmp_path / "undisturbed", 6), 1):
        trial = again(known, tmp_path / str(at))
        trial.most_changes = 6
        survive(trial, at, kind)
    assert at > 20


def test_the_way_back_catches_up(world: World) -> None:
    world.most_changes = 3
    done = world.until_done(START, NEW)
    world.settle(NEW)
    world.live, world.most_changes = True, 5
    world.change()
    back = world.until_done(begin_rollback, OLD)
    assert (back.old, back.new) == (done.new, done.old)
    assert world.index.resolve(world.alias) == done.old
    world.settle(OLD)
    world.check(OLD)
    forth = world.until_done(begin_rollback, NEW)
    world.settle(NEW)
    world.check(NEW)
    assert world.index.resolve(world.alias) == forth.new == done.new


def test_going_back_is_done_at_once_and_waits_for_the_old_settings_to_catch_up(world: World) -> None:
    world.live = False
    done = world.until_done(START, NEW)
    world.settle(NEW)
    world.change()
    world.settle(NEW)
    with pytest.raises(UsageError, match="settings and the image"):
        world.until_done(begin_rollback, NEW)
    assert world.index.resolve(world.alias) == done.old
    world.until_done(begin_rollback, OLD)
    world.settle(OLD)
    world.check(OLD)


class Interrupted(FaultIndex):
    """An index to which something happens before the first bulk request."""

    def __init__(self, world: World, happens: Any) -> None:
        super().__init__(world.index, Faults())
        self._happens = happens

    def bulk(self, alias: str, body: bytes) -> Sequence[BulkItem] | None:
        happens, self._happens = self._happens, lambda: None
        happens()
        return super().bulk(alias, body)


def test_a_reducer_that_loads_while_the_alias_moves_leaves_nothing_of_the_old_settings(world: World) -> None:
    world.live = False
    machine = world.machine(NEW)
    name = START(machine)
    world.change()
    [run_id] = read_ledger(world.store).open

    def swap() -> None:
        while (state := advance(world.machine(NEW), name)).swapped_at is None:
            assert state.phase is Phase.LOAD

    world.process(run_id)
    with pytest.raises(UsageError, match="processed anew"):
        world.reduce(run_id, Interrupted(world, swap))
    world.until_done(lambda machine: name, NEW)
    world.settle(NEW)
    world.check(NEW)


def test_a_run_of_the_old_settings_is_processed_anew_wherever_the_swap_met_it(world: World) -> None:
    """Not processed, processed, and committed after the swap by a drain that has old settings still."""
    world.live = False
    name = START(world.machine(NEW))
    for _ in range(2):
        world.change()
    _, processed = read_ledger(world.store).open
    world.process(processed)
    world.until_done(START, NEW)
    world.change()
    late = read_ledger(world.store).open[-1]
    world.process(late)
    with pytest.raises(UsageError, match="processed anew"):
        world.reduce(late)
    state = world.until_done(lambda machine: name, NEW)
    assert state.phase is Phase.DONE
    for run_id in read_ledger(world.store).open:
        summary = read_summary(world.store, run_id)
        assert summary is not None
        assert summary.states[FinalState.SKIPPED] == summary.rows == 1
        with world.store.open(layout.merged_outcomes(run_id)) as opened:
            [outcome] = outcomes_from_parquet(opened.body.read())
        assert "in run " in str(outcome.message)
    world.settle(NEW)
    world.check(NEW)


def test_a_drain_that_has_the_new_settings_too_early_costs_nothing(world: World) -> None:
    world.live = False
    START(world.machine(NEW))
    world.incremental = NEW
    world.change()
    [early] = read_ledger(world.store).open
    world.process(early)
    with pytest.raises(UsageError, match="filled under"):
        world.reduce(early)
    world.until_done(START, NEW)
    assert read_summary(world.store, early) is not None
    world.settle(NEW)
    world.check(NEW)


def test_an_index_that_runs_made_meanwhile_is_the_one_to_replace(world: World) -> None:
    world.live = world.searching = False
    world.index.drop(f"{world.alias}-000001")
    machine = world.machine(NEW)
    assert advance(machine, START(machine)).old is None
    world.change()
    world.work_off(OLD)
    done = world.until_done(START, NEW)
    assert (done.old, world.index.resolve(world.alias)) == (f"{world.alias}-000001", done.new)
    world.settle(NEW)
    world.check(NEW)


def test_settings_of_the_index_are_those_of_a_live_one_after_the_swap(world: World) -> None:
    world.live = False
    machine = world.machine(NEW)
    name = START(machine)
    state = advance(machine, name)
    while_filled = world.index.structure(state.new)["settings"]["index"]
    assert (while_filled["refresh_interval"], while_filled["number_of_replicas"]) == ("-1", "0")
    world.until_done(START, NEW)
    live = world.index.structure(state.new)
    assert "refresh_interval" not in live["settings"]["index"]
    assert live["settings"]["index"]["number_of_replicas"] == "1"
    assert list(live["aliases"]) == [world.alias]


def checked(world: World) -> Reindex:
    """A re-index as strict as by default, called until it is done or refuses."""
    for _ in range(10):
        machine = world.machine(NEW, tolerance=0.01)
        state = advance(machine, START(machine))
        if not state.active:
            return state
    raise AssertionError(state.phase)


def test_a_source_that_lost_its_documents_is_not_swapped_in(world: World) -> None:
    world.live = False
    old = world.index.resolve(world.alias)
    for name in STEADY[1:]:
        (world.source / name).unlink()
    with pytest.raises(UsageError, match=r"not swapped.*documents: 4 before, 1 now"):
        checked(world)
    assert world.index.resolve(world.alias) == old
    state = abandon(world.machine(NEW))
    assert world.index.indexes(state.new) == []
    assert read_ledger(world.store).reindex is None
    assert len(world.shown()) == len(STEADY)
    with pytest.raises(UsageError, match="nothing to abandon"):
        abandon(world.machine(NEW))


def test_what_differs_too_much_is_swapped_in_by_a_word(world: World) -> None:
    world.live = False
    for name in STEADY[1:]:
        (world.source / name).unlink()
    world.searching = False
    with pytest.raises(UsageError, match="--swap-anyway"):
        checked(world)
    machine = world.machine(NEW, tolerance=0.01)
    assert advance(machine, START(machine), anyway=True).phase is Phase.DONE
    assert set(world.shown()) == {STEADY[0]}


def test_one_at_a_time(world: World) -> None:
    world.live = False
    machine = world.machine(NEW)
    name = START(machine)
    assert START(world.machine(NEW)) == name
    with pytest.raises(UsageError, match="is at `create`"):
        begin(world.machine(NEW), ["/elsewhere"])
    with pytest.raises(UsageError, match="no swap to go back from"):
        begin_rollback(world.machine(NEW))
    with pytest.raises(UsageError, match="settings and the image"):
        advance(world.machine("2" * 32), name)
    other = world.machine(NEW)
    advance(machine, name)
    assert advance(other, name).name == name


def test_two_at_once_make_one_index(world: World) -> None:
    """One of them lists while the other one has listed already: its runs are discarded."""
    world.live = False
    first, second = world.machine(NEW), world.machine(NEW)
    name = START(first)
    listing = second.rows

    def rows(places: Sequence[str], after: int) -> Any:
        advance(first, name)
        return listing(places, after)

    object.__setattr__(second, "rows", rows)
    with pytest.raises(TransientError, match="another process advances"):
        advance(second, name)
    state = world.until_done(START, NEW)
    runs = {meta.key.split("/")[1] for meta in world.store.list("runs/") if meta.key.endswith("run.json")}
    assert {run for one in state.rounds for run in one.runs} == {
        run for run in runs if is_reindex(world, run)
    }
    world.check(NEW)


def is_reindex(world: World, run_id: str) -> bool:
    with world.store.open(layout.run_info(run_id)) as opened:
        return b'"kind": "reindex"' in opened.body.read()


def test_rows_that_could_not_be_reached_are_tried_again_before_the_swap(world: World) -> None:
    world.live = False
    machine, marker = world.machine(NEW), world.source / ".batchjob-root"
    batches = list(manifest_batches([ManifestRow(world.bucket, name) for name in STEADY]))
    object.__setattr__(machine, "rows", lambda places, after: nullcontext(iter(batches)))
    marker.unlink()
    (world.source / STEADY[0]).rename(world.folder / "elsewhere.pdf")
    for _ in range(2):
        state = advance(machine, START(machine))
    (world.folder / "elsewhere.pdf").rename(world.source / STEADY[0])
    marker.touch()
    assert (state.phase, state.rounds[1].repeats, state.rounds[1].rows) == (Phase.LOAD, (0,), 1)
    world.until_done(START, NEW)
    world.check(NEW)


def by_job(world: World, writer: str) -> Machine:
    machine = world.machine(NEW)
    intake = replace(machine.by.intake, writer=writer)
    return replace(machine, by=replace(machine.by, intake=intake))


def test_a_job_that_is_tried_again_after_the_end_begins_no_other(world: World) -> None:
    world.live = False
    while (state := advance(machine := by_job(world, "5f1c-22-1-aaaaaaaa"), START(machine))).active:
        pass
    assert START(by_job(world, "5f1c-22-2-bbbbbbbb")) == state.name
    assert START(by_job(world, "hand-1-cccccccc")) != state.name


def test_the_index_that_was_replaced_is_deleted_on_request_only(world: World) -> None:
    world.live = False
    done = world.until_done(START, NEW)
    assert world.index.indexes(str(done.old)) == [done.old]
    drop_old(world.machine(NEW))
    assert world.index.indexes(str(done.old)) == []
    with pytest.raises(UsageError, match="no swap to go back from"):
        begin_rollback(world.machine(NEW))
    assert len(world.shown()) == len(STEADY)


@pytest.mark.parametrize(
    "kind", ["crash_after", *(pytest.param(k, marks=pytest.mark.slow) for k in KINDS[::2])]
)
def test_abandoning_may_die_anywhere(known: World, tmp_path: Path, kind: Kind) -> None:
    for at in range(1, 10):
        world = again(known, tmp_path / str(at))
        world.live = False
        name = START(world.machine(NEW))
        advance(world.machine(NEW), name)
        faults = plan(at, kind)
        try:
            abandon(world.machine(NEW, faults))
        except (SimulatedCrash, TransientError):
            left = newest(world.store)
            if left is not None and left.active:
                abandon(world.machine(NEW))
        assert [*world.index.indexes(f"{world.alias}-*")] == [f"{world.alias}-000001"]
        world.until_done(START, NEW)
        world.check(NEW)
        if len(faults.operations) < at:
            break
    assert at == 4
