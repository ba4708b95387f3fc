"""Sweeping: every open run is brought on by one step, once, however often and wherever the sweep dies."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from batchjob import layout
from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.drain.commit import commit_rows
from batchjob.drain.ledger import mark_submitted, read_ledger
from batchjob.drain.openruns import abandon, missing_shards
from batchjob.drain.submit import Submitting
from batchjob.drain.sweep import GRACE_MS, Swept, sweep
from batchjob.errors import TransientError, UsageError
from batchjob.ports import Clock, Job, JobRequest, Store
from batchjob.records import (
    Output,
    Receipt,
    RunInfo,
    ShardCounts,
    Submission,
    manifest_batches,
    outcomes_from_parquet,
)
from batchjob.reduce.receipts import read_output, read_receipts
from tests.support.faults import KINDS, FaultPlan, Faults, FaultStore, Kind, SimulatedCrash
from tests.support.segments import events, intake, put_segment
from tests.support.servers import unique_name

CLOCK = SystemClock()


class Later:
    """After the time for which an intent to submit is waited for."""

    def now_ms(self) -> int:
        return CLOCK.now_ms() + 6 * 60 * 1000


@dataclass
class Service:
    """What the job service shows: states by id, ids by name; and what is asked of submission."""

    states: dict[str, str] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    down: bool = False
    exit_codes: dict[str, int] = field(default_factory=dict)
    reason: str = "why"

    def find(self, name: str) -> Sequence[Job]:
        return self.describe(self.names.get(name, []))

    def describe(self, ids: Sequence[str]) -> Sequence[Job]:
        assert len(ids) <= 100
        return [
            Job(name, name, self.states[name], 0, exit_code=self.exit_codes.get(name), reason=self.reason)
            for name in ids
            if name in self.states
        ]

    def submit(self, request: JobRequest) -> str:
        if self.down:
            raise TransientError("no answer")
        self.asked.append(f"{request.station} {request.run}")
        name = f"submitted-{len(self.asked)}"
        self.states[name] = "SUBMITTED"
        self.names.setdefault(request.name, []).append(name)
        return name

    def terminate(self, job: str, reason: str) -> None:
        raise AssertionError("a sweep ends no job")


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "work")


@pytest.fixture
def service() -> Service:
    return Service()


def new_run(store: Store, shards: int = 3) -> RunInfo:
    [run] = commit_rows(intake(shards), store, CLOCK, manifest_batches(events(unique_name(), 7))).runs
    return run


def submitted_run(store: Store, shards: int = 3, age_ms: int = 0) -> RunInfo:
    run = new_run(store, shards)
    record = Submission(writer="w", at=CLOCK.now_ms() - age_ms, process_job="p", reduce_job="r")
    store.create_once(layout.submission(run.run_id), record.to_json())
    mark_submitted(store, "w", [run.run_id])
    return run


def swept(store: Store, service: Service, clock: Clock = CLOCK) -> Swept:
    return sweep(Submitting(store, service, clock, unique_name("sweep")))


def test_a_run_without_submission_is_submitted_and_a_finished_one_closed(
    store: FolderStore, service: Service
) -> None:
    waiting, finished = new_run(store), submitted_run(store)
    store.put(layout.summary(finished.run_id), b"{}")
    assert swept(store, service) == Swept(closed=[finished.run_id], submitted=[waiting.run_id])
    assert service.asked == [f"process {waiting.run_id}", f"reduce {waiting.run_id}"]
    ledger = read_ledger(store)
    assert (ledger.open, ledger.unsubmitted) == ((waiting.run_id,), ())


def test_one_run_that_cannot_be_submitted_holds_up_no_other(store: FolderStore, service: Service) -> None:
    waiting, finished = new_run(store), submitted_run(store)
    store.put(layout.summary(finished.run_id), b"{}")
    service.down = True
    with pytest.raises(TransientError):
        swept(store, service)
    assert (read_ledger(store).open, read_ledger(store).unsubmitted) == ((waiting.run_id,),) * 2


def test_living_jobs_are_left_alone(store: FolderStore, service: Service) -> None:
    submitted_run(store)
    service.states = {"p": "PENDING", "p:0": "FAILED", "p:1": "RUNNING", "r": "PENDING"}
    assert swept(store, service) == Swept()


def test_dead_shards_are_given_up_and_the_reducer_starts(store: FolderStore, service: Service) -> None:
    run = submitted_run(store)
    store.put(layout.receipt(run.run_id, 1), b"{}")
    service.states = {"p": "FAILED", "p:0": "FAILED", "p:1": "SUCCEEDED", "r": "FAILED"}
    assert swept(store, service) == Swept(abandoned={run.run_id: [0, 2]}, reducing=[run.run_id])
    assert service.asked == [f"reduce {run.run_id}"]
    assert swept(store, service) == Swept()


def test_a_second_submission_that_lives_saves_its_shards(store: FolderStore, service: Service) -> None:
    run = submitted_run(store)
    service.names[run.run_id] = ["q"]
    service.states = {"p": "FAILED", "p:0": "FAILED", "p:1": "FAILED", "p:2": "FAILED", "q": "RUNNABLE"}
    assert swept(store, service) == Swept()
    service.states |= {"q": "FAILED", "q:0": "FAILED", "q:1": "RUNNING", "q:2": "FAILED"}
    assert swept(store, service) == Swept(abandoned={run.run_id: [0, 2]})
    assert missing_shards(store, run) == [1]


def test_a_plain_job_is_its_only_shard(store: FolderStore, service: Service) -> None:
    run = submitted_run(store, shards=1)
    service.states = {"p": "FAILED", "r": "FAILED"}
    assert swept(store, service) == Swept(abandoned={run.run_id: [0]}, reducing=[run.run_id])


def test_what_killed_its_shard_is_told_from_an_outage(store: FolderStore, service: Service) -> None:
    """Exit code 75 is an outage, none a lost machine; a row that was with others is not blamed alone."""
    many, alone = submitted_run(store), submitted_run(store, shards=7)
    service.states = {"p": "FAILED"} | {f"p:{n}": "FAILED" for n in range(7)}
    service.exit_codes = {"p:0": 75, "p:2": 137}
    swept(store, service)

    assert causes(store, many) == [{"abandoned"}, {"abandoned"}, {"died"}]
    assert causes(store, alone) == [{"abandoned"}] * 2 + [{"died_alone"}] + [{"abandoned"}] * 4
    assert {receipt.abandoned for receipt in read_receipts(store, many)} == {
        "all its jobs ended without a receipt; why"
    }


def causes(store: Store, run: RunInfo) -> list[set[str | None]]:
    shards = [read_output(store, receipt.outcomes) for receipt in read_receipts(store, run)]
    return [{outcome.category for outcome in outcomes_from_parquet(shard)} for shard in shards]


def test_an_image_that_never_works_blames_no_row_and_one_that_works_does(
    store: FolderStore, service: Service
) -> None:
    broken, works = submitted_run(store), submitted_run(store)
    service.states = dict.fromkeys(("p", "p:0", "p:1", "p:2"), "FAILED")
    service.exit_codes = {"p:0": 1, "p:1": 70, "p:2": 127}
    counts = ShardCounts(rows=0, requeued=0, failures=0)
    output = Output(key="none", size=0, sha256="")
    done = Receipt(shard=2, writer="w", parts=(), failures=(), outcomes=output, counts=counts, seconds=0.0)
    store.create_once(layout.receipt(works.run_id, 2), done.to_json())
    assert swept(store, service).abandoned == {broken.run_id: [0, 1, 2], works.run_id: [0, 1]}
    assert causes(store, broken) == [{"abandoned"}] * 3
    store.delete(layout.receipt(works.run_id, 2))
    abandon(store, works, [2], "w", "dead")
    assert causes(store, works) == [{"abandoned"}, {"died"}, {"abandoned"}]


def test_what_ran_into_its_timeout_comes_back_apart(store: FolderStore, service: Service) -> None:
    run = submitted_run(store)
    service.states = dict.fromkeys(("p", "p:0", "p:1", "p:2"), "FAILED")
    service.exit_codes = {f"p:{n}": 75 for n in range(3)}
    service.reason = "Job attempt duration exceeded timeout"
    swept(store, service)
    assert causes(store, run) == [{"died"}] * 3


@pytest.mark.parametrize("code", [64, 65])
def test_a_reducer_that_can_never_succeed_is_told_and_not_started_again(
    store: FolderStore, service: Service, code: int
) -> None:
    run = submitted_run(store)
    abandon(store, run, range(3), "w", "dead")
    service.states, service.exit_codes = {"r": "FAILED"}, {"r": code}
    found = swept(store, service)
    assert (service.asked, found.reducing, list(found.stuck)) == ([], [], [run.run_id])
    with pytest.raises(UsageError, match=f"batchjob reduce {run.run_id}"):
        found.check()


@pytest.mark.parametrize("data", [None, b"{"])
def test_one_damaged_run_holds_up_no_other(store: FolderStore, service: Service, data: bytes | None) -> None:
    damaged, waiting = submitted_run(store), new_run(store)
    if data is None:
        store.delete(layout.run_info(damaged.run_id))
    else:
        store.put(layout.submission(damaged.run_id), data)
    found = swept(store, service)
    assert (found.submitted, list(found.stuck)) == ([waiting.run_id], [damaged.run_id])


@pytest.mark.parametrize(("age", "known"), [(0, True), (GRACE_MS + 1, False)])
def test_jobs_that_the_service_does_not_know_are_dead_after_an_hour(
    store: FolderStore, service: Service, age: int, known: bool
) -> None:
    run = submitted_run(store, age_ms=age)
    assert (swept(store, service) == Swept()) is known
    assert (missing_shards(store, run) == []) is not known


@pytest.mark.parametrize("kind", KINDS)
def test_a_sweep_may_die_at_every_step(tmp_path: Path, kind: Kind) -> None:
    def filled(folder: Path) -> tuple[FolderStore, Service, RunInfo]:
        store = FolderStore(folder)
        new_run(store)
        finished, dead = submitted_run(store), submitted_run(store)
        store.put(layout.summary(finished.run_id), b"{}")
        [segment, *_] = read_ledger(store).adopted or [put_segment(store, "none", [])]
        store.put(segment, b"")
        return store, Service({"p": "FAILED", "r": "FAILED"}), dead

    undisturbed = Faults()
    store, service, _ = filled(tmp_path / "undisturbed")
    swept(FaultStore(store, undisturbed), service)
    assert len(undisturbed.operations) > 8
    for at in range(1, len(undisturbed.operations) + 1):
        store, service, dead = filled(tmp_path / str(at))
        with suppress(TransientError, SimulatedCrash):
            swept(FaultStore(store, Faults(FaultPlan(at, kind))), service)
        swept(store, service, Later())
        ledger = read_ledger(store)
        assert (len(ledger.open), ledger.unsubmitted) == (2, ())
        assert sum(receipt.counts.requeued for receipt in read_receipts(store, dead)) == dead.rows
        assert f"reduce {dead.run_id}" in service.asked
