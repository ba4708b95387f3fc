"""From the queue to submitted jobs in a bucket: killed at each durable step, or without its answer, nothing is lost."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from batchjob import layout
from batchjob.adapters.local_queue import LocalQueue
from batchjob.drain.ledger import read_ledger
from batchjob.drain.submit import GRACE_MS, process_name, reduce_name
from batchjob.errors import TransientError
from batchjob.records import Submission
from tests.faults.test_receive import GARBAGE, KEYS, LATER, MESSAGES, held
from tests.support.batchjobs import new_queue
from tests.support.faults import KINDS, FaultPlan, Faults, Kind
from tests.support.intake import quarantined, send_all
from tests.support.intake_hour import LIMITS, Place, hour
from tests.support.manual_clock import ManualClock
from tests.support.segments import committed
from tests.support.servers import BatchServer, S3Server, unique_name

pytestmark = pytest.mark.slow


class World:
    """The messages in a queue, an empty prefix of the bucket, and the time."""

    def __init__(self, folder: Path, bucket: str, batch_server: BatchServer) -> None:
        self.place = Place(
            folder / unique_name("queue"), f"s3://{bucket}/{unique_name()}", new_queue(batch_server).target
        )
        self.clock = ManualClock()
        self.queue = LocalQueue(self.place.queue, self.clock)
        send_all(self.queue, MESSAGES)

    def disturbed(self, plan: FaultPlan) -> bool:
        """One hour; whether it came to the step of the plan. A crash is that of a process, by SIGKILL."""
        if plan.kind == "answer_lost":
            faults = Faults(plan)
            with suppress(TransientError):
                hour(self.place, self.clock, faults)
            return len(faults.operations) >= plan.at
        target = self.place.target
        told = [self.place.queue, self.place.work, target.queue, *target.definitions.values()]
        command = [sys.executable, "-m", "tests.support.intake_hour", *map(str, told)]
        command += [str(self.clock.now_ms()), str(plan.at), plan.kind]
        done = subprocess.run(command, capture_output=True, check=False, timeout=120)
        assert done.returncode in (0, -9), done.stderr
        return done.returncode == -9

    def everything(self) -> set[str]:
        """Every event by its key, and every unreadable message by its body, wherever it is."""
        self.clock.pass_seconds(LATER)
        store = self.place.store()
        found = {*held(store, self.queue, LIMITS.visibility_seconds), *committed(store)}
        self.clock.pass_seconds(LATER)
        return found

    def check_end(self) -> None:
        """One row a key, in a run that has its jobs, and nothing is left anywhere else."""
        store, jobs = self.place.store(), self.place.jobs()
        assert committed(store) == dict.fromkeys(KEYS, 1)
        assert not list(store.list(layout.INBOX))
        assert {message.body for message in quarantined(store)} == {*GARBAGE}
        assert self.queue.counts().visible + self.queue.counts().in_flight == 0
        ledger = read_ledger(store)
        assert ledger.unsubmitted == ()
        [run_id] = ledger.open
        with store.open(layout.submission(run_id)) as opened:
            known = Submission.model_validate_json(opened.body.read())
        assert [job.id for job in jobs.find(process_name(run_id))] == [known.process_job]
        assert [job.id for job in jobs.find(reduce_name(run_id))] == [known.reduce_job]


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_step_fails_nothing_is_lost_and_nothing_done_twice(
    kind: Kind, tmp_path: Path, s3_real: S3Server, batch_server: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (batch_server.environment() | s3_real.environment()).items():
        monkeypatch.setenv(name, value)
    at = 0
    while True:
        at += 1
        world = World(tmp_path, s3_real.bucket, batch_server)
        came_to_it = world.disturbed(FaultPlan(at, kind))
        assert world.everything() == KEYS | {*GARBAGE}, at
        world.clock.pass_seconds(GRACE_MS / 1000)
        for _ in range(2):
            hour(world.place, world.clock, Faults())
        world.check_end()
        if not came_to_it:
            break
    assert at > 20
