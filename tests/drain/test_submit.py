"""Submission dies, is refused, or meets another one at every step: one submission counts, and none is lost."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from batchjob import layout
from batchjob.adapters.batch import BatchJobs
from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.drain.commit import commit_inbox
from batchjob.drain.cut import cut
from batchjob.drain.freeze import Target, new_runs
from batchjob.drain.ledger import commit_runs, read_ledger
from batchjob.drain.submit import (
    GRACE_MS,
    Submitting,
    process_name,
    reduce_name,
    start_reducer,
    submit_run,
    submit_runs,
)
from batchjob.errors import TransientError, UsageError
from batchjob.ports import Jobs, Store
from batchjob.records import RunInfo, Submission
from tests.adapters.test_jobs_contract import local_queue
from tests.support.batchjobs import Queue, new_queue
from tests.support.faults import KINDS, FaultJobs, FaultPlan, Faults, FaultStore, Kind, SimulatedCrash
from tests.support.manual_clock import ManualClock
from tests.support.segments import intake
from tests.support.servers import BatchServer, unique_name

GRACE_SECONDS = GRACE_MS / 1000


@dataclass
class World:
    """A committed run that has no jobs, the job queue, and a clock."""

    store: Store
    queue: Queue
    clock: ManualClock
    run: RunInfo

    def process(
        self, writer: str, faults: Faults | None = None, *, unseen: bool = False, jobs: Jobs | None = None
    ) -> Submitting:
        """A process that submits."""
        faults = faults or Faults()
        inner = jobs or self.queue.jobs
        return Submitting(
            FaultStore(self.store, faults), FaultJobs(inner, faults, unseen=unseen), self.clock, writer
        )

    def submission(self) -> Submission:
        with self.store.open(layout.submission(self.run.run_id)) as opened:
            return Submission.model_validate_json(opened.body.read())

    def jobs(self) -> tuple[list[str], list[str]]:
        """Ids of the array jobs, and of the reducers."""
        names = process_name(self.run.run_id), reduce_name(self.run.run_id)
        array, reducers = ([job.id for job in self.queue.jobs.find(name)] for name in names)
        return array, reducers


@pytest.fixture(scope="module")
def queue(batch_server: BatchServer) -> Queue:
    return new_queue(batch_server)


def submit_unsubmitted(by: Submitting) -> dict[str, Submission]:
    return submit_runs(by, sorted(read_ledger(by.store).unsubmitted))


def commit(store: Store, runs: list[RunInfo]) -> None:
    for run in runs:
        store.create_once(layout.run_info(run.run_id), run.to_json())
    commit_runs(store, "drain", [run.run_id for run in runs], [], 0)


def new_world(folder: Path, queue: Queue, shards: int = 2) -> World:
    store, clock = FolderStore(folder), ManualClock()
    runs = new_runs(cut(np.ones(shards), shards), Target("incremental", "documents", "f"), [], clock)
    commit(store, runs)
    return World(store, queue, clock, runs[0])


@pytest.fixture
def world(tmp_path: Path, queue: Queue) -> World:
    return new_world(tmp_path / "work", queue)


def test_a_run_gets_its_array_and_a_reducer_after_it(world: World) -> None:
    done = submit_unsubmitted(world.process("one"))[world.run.run_id]
    assert ([done.process_job], [done.reduce_job]) == world.jobs()
    assert world.submission() == done
    assert read_ledger(world.store).unsubmitted == ()
    again = Faults()
    assert submit_run(world.process("two", again), world.run.run_id) == done
    assert again.operations == []


@pytest.mark.parametrize("shards", [[1], [2], [25_000]])
def test_shards_become_plain_jobs_arrays_or_several_arrays(
    tmp_path: Path, queue: Queue, shards: list[int]
) -> None:
    store, clock = FolderStore(tmp_path), ManualClock()
    runs = new_runs(cut(np.ones(shards[0]), shards[0]), Target("incremental", "documents", "f"), [], clock)
    commit(store, runs)
    done = submit_unsubmitted(Submitting(store, queue.jobs, clock, "one"))
    assert list(done) == [run.run_id for run in runs]
    told = queue.client.describe_jobs(jobs=[one.process_job for one in done.values()])["jobs"]
    sizes = [job.get("arrayProperties", {}).get("size", 1) for job in told]
    assert sorted(sizes) == sorted(run.shards for run in runs)
    assert (sum(sizes), len(sizes)) == (shards[0], 3 if shards[0] > 20_000 else 1)


def test_without_rows_there_is_no_run_and_no_job(tmp_path: Path, queue: Queue) -> None:
    store = FolderStore(tmp_path)
    assert commit_inbox(intake(tmp_path / "scratch"), store, SystemClock()).runs == []
    faults = Faults()
    by = Submitting(FaultStore(store, faults), FaultJobs(queue.jobs, faults), ManualClock(), "one")
    assert submit_unsubmitted(by) == {}
    assert faults.operations == []


def test_the_steps_are_those_of_the_design(world: World) -> None:
    faults = Faults()
    submit_unsubmitted(world.process("one", faults))
    run_id = world.run.run_id
    assert faults.operations == [
        f"create_once {layout.submission(run_id)}",
        f"submit {process_name(run_id)}",
        f"submit {reduce_name(run_id)}",
        f"replace_if_match {layout.submission(run_id)}",
        f"replace_if_match {layout.LEDGER}",
    ]


STEPS = range(1, 6)


@pytest.mark.parametrize("unseen", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", STEPS)
def test_every_step_may_fail(world: World, at: int, kind: Kind, unseen: bool) -> None:
    """`unseen`: the dead process's jobs do not show up by name; only then may shards start twice."""
    with suppress(SimulatedCrash, TransientError):  # What it finds out by itself does not end it.
        submit_unsubmitted(world.process("first", Faults(FaultPlan(at, kind)), unseen=unseen))
    world.clock.pass_seconds(GRACE_SECONDS)
    for number in range(2):
        submit_unsubmitted(world.process(f"later-{number}", unseen=unseen))
    check(world, arrays=2 if unseen else 1)


def check(world: World, arrays: int) -> None:
    done = world.submission()
    array, reducers = world.jobs()
    assert done.process_job in array
    assert done.reduce_job in reducers
    assert len(array) <= arrays
    assert len(reducers) <= arrays
    assert read_ledger(world.store).unsubmitted == ()


@pytest.mark.parametrize("at", STEPS)
def test_a_process_that_died_is_waited_for_then_followed(world: World, at: int) -> None:
    with pytest.raises(SimulatedCrash):
        submit_unsubmitted(world.process("first", Faults(FaultPlan(at, "crash_after"))))
    recorded = world.submission().process_job is not None
    world.clock.pass_seconds(GRACE_SECONDS - 1)
    if not recorded:
        with pytest.raises(TransientError, match=r"by first .* in 2 s"):
            submit_run(world.process("second"), world.run.run_id)
        world.clock.pass_seconds(1)
    submit_unsubmitted(world.process("second"))
    check(world, arrays=1)


class Halting:
    """Jobs and a store that let another process run before their `at`-th durable operation."""

    def __init__(self, at: int, other: Callable[[], object]) -> None:
        self.faults = Faults()
        self._at = at
        self._other = other
        self._inner = self.faults.durable
        self.faults.durable = self._durable  # type: ignore[method-assign]

    def _durable(self, name: str, action: Callable[[], str]) -> str:
        if len(self.faults.operations) + 1 == self._at:
            self._other()
        return self._inner(name, action)


@pytest.mark.parametrize("unseen", [False, True])
@pytest.mark.parametrize("at", STEPS)
def test_a_process_may_sleep_at_any_step_while_another_takes_over(
    world: World, at: int, unseen: bool
) -> None:
    """At most one array more than needed is submitted, and it is terminated by who wakes up late."""

    def other() -> None:
        world.clock.pass_seconds(GRACE_SECONDS)
        submit_unsubmitted(world.process("other", unseen=unseen))

    sleeper = Halting(at, other)
    submit_unsubmitted(world.process("sleeper", sleeper.faults, unseen=unseen))
    check(world, arrays=2)
    done, (array, reducers) = world.submission(), world.jobs()
    terminated = {name.split()[1] for name in sleeper.faults.operations if name.startswith("terminate")}
    assert terminated == {*array, *reducers} - {done.process_job, done.reduce_job}


def test_of_two_at_once_one_submits(tmp_path: Path, queue: Queue) -> None:
    for number in range(10):
        world = new_world(tmp_path / str(number), queue)
        barrier = threading.Barrier(4)

        def one(name: str, world: World = world, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            try:
                submit_unsubmitted(world.process(name))
            except TransientError as error:
                assert "is being submitted by" in str(error)  # noqa: PT017 - who is late may also find it done

        threads = [threading.Thread(target=one, args=(f"writer-{index}",)) for index in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check(world, arrays=1)


@pytest.mark.parametrize("station", ["process", "reduce"])
def test_what_was_refused_is_submitted_as_soon_as_it_is_put_right(world: World, station: str) -> None:
    target = world.queue.target
    definitions = {**target.definitions, station: "no-such-definition"}
    broken = BatchJobs(world.queue.client, type(target)(target.queue, definitions))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no-such-definition"):
        submit_unsubmitted(world.process("first", jobs=broken))
    assert read_ledger(world.store).unsubmitted == (world.run.run_id,)
    submit_unsubmitted(world.process("second"))
    check(world, arrays=1)


def test_a_run_that_cannot_be_submitted_holds_up_no_other(tmp_path: Path, queue: Queue) -> None:
    world = new_world(tmp_path, queue)
    other = world.run.model_copy(update={"run_id": f"{world.run.run_id}-later"})
    commit(world.store, [other])
    intent = Submission(writer="alive", at=world.clock.now_ms())
    world.store.create_once(layout.submission(world.run.run_id), intent.to_json())
    with pytest.raises(TransientError, match="alive"):
        submit_unsubmitted(world.process("one"))
    assert read_ledger(world.store).unsubmitted == (world.run.run_id,)


def test_the_reducer_of_a_failed_array_is_started_by_itself(tmp_path: Path) -> None:
    """Nothing that depends on a failed job ever starts, so it gets no reducer until somebody asks for one."""
    store, clock, jobs = FolderStore(tmp_path / "work"), ManualClock(), local_queue()
    run = RunInfo(
        run_id=unique_name(), kind="incremental", index="documents", fingerprint="f", rows=2, shards=2
    )
    commit(store, [run])
    nowhere = {"BATCHJOB_WORK": str(tmp_path / "elsewhere")}
    first = Submitting(store, jobs, clock, "first", nowhere)
    dying = FaultJobs(jobs, Faults(FaultPlan(1, "crash_after")))
    with pytest.raises(SimulatedCrash):
        submit_run(Submitting(store, dying, clock, "dead", nowhere), run.run_id)
    jobs.wait()
    clock.pass_seconds(GRACE_SECONDS)
    done = submit_run(first, run.run_id)
    (array,) = jobs.find(process_name(run.run_id))
    assert (array.status, done.process_job, done.reduce_job) == ("FAILED", array.id, None)
    reducer = start_reducer(first, run.run_id)
    assert [job.id for job in jobs.find(reduce_name(run.run_id))] == [reducer]
    jobs.wait()


def test_a_run_that_is_not_there_or_is_finished_is_said(world: World) -> None:
    with pytest.raises(UsageError, match="no run 'other'"):
        submit_run(world.process("one"), "other")
    world.store.create_once(layout.summary(world.run.run_id), SUMMARY)
    with pytest.raises(UsageError, match="is finished"):
        submit_run(world.process("one"), world.run.run_id)


@pytest.mark.parametrize("found", [b"", b"{}", b'{"format": 2}', b"\xff"])
def test_a_damaged_record_is_said_and_its_removal_submits_nothing_twice(world: World, found: bytes) -> None:
    submit_unsubmitted(world.process("first"))
    key = layout.submission(world.run.run_id)
    world.store.put(key, found)
    with pytest.raises(UsageError, match="remove it"):
        submit_run(world.process("second"), world.run.run_id)
    world.store.delete(key)
    submit_run(world.process("second"), world.run.run_id)
    check(world, arrays=1)


def test_an_intent_from_a_wrong_clock_does_not_hold_for_ever(world: World) -> None:
    intent = Submission(writer="ahead", at=world.clock.now_ms() + 10 * GRACE_MS)
    world.store.create_once(layout.submission(world.run.run_id), intent.to_json())
    submit_unsubmitted(world.process("second"))
    check(world, arrays=1)


SUMMARY = (
    b'{"format": 1, "run_id": "r", "index": "i", "rows": 0, "states": {}, "pages": 0, "ocr_pages": 0, '
    b'"cache_hits": 0, "requests": 0, "retries": 0, "bytes": 0, "seconds": 0, "finished_at": 0}'
)
