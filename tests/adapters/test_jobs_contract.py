"""What every runner of jobs must do, over AWS Batch (on a server without containers) and processes of this machine."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from batchjob.adapters.clock import SystemClock
from batchjob.errors import UsageError
from batchjob.local.jobqueue import DEPENDENCY_FAILED, LocalJobQueue
from batchjob.local.retry import JobEnd
from batchjob.ports import JobRequest, Jobs
from tests.support.batchjobs import new_queue
from tests.support.servers import unique_name


class Quiet:
    """Listens to nothing."""

    def log_line(self, line: bytes) -> None: ...

    def attempt_ended(self, job: str, attempt: int, end: JobEnd, again: bool) -> None: ...


def local_queue() -> LocalJobQueue:
    return LocalJobQueue(2, Quiet(), SystemClock())


@dataclass(frozen=True)
class Subject:
    jobs: Jobs
    wait: Callable[[], None]
    environment: dict[str, str]

    def request(self, name: str, children: int = 1, after: tuple[str, ...] = ()) -> JobRequest:
        return JobRequest(name, "process", "no-such-run", children, after, self.environment)


@pytest.fixture(params=["batch", "local"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    environment = {"BATCHJOB_WORK": str(tmp_path)}
    if request.param == "batch":
        jobs = new_queue(request.getfixturevalue("batch_server")).jobs
        return Subject(jobs, lambda: None, environment)
    queue = local_queue()
    return Subject(queue, queue.wait, environment)


def test_jobs_are_found_by_name_the_oldest_first_and_two_calls_are_two_jobs(subject: Subject) -> None:
    name = unique_name()
    ids = [subject.jobs.submit(subject.request(name)) for _ in range(2)]
    subject.jobs.submit(subject.request(f"{name}-reduce"))
    found = subject.jobs.find(name)
    assert sorted(job.id for job in found) == sorted(ids)
    assert [job.created_at for job in found] == sorted(job.created_at for job in found)
    assert {job.name for job in found} == {name}
    assert subject.jobs.find(unique_name()) == []
    subject.wait()


def test_an_array_has_children_with_ids_of_their_own(subject: Subject) -> None:
    array = subject.jobs.submit(subject.request(unique_name(), 2))
    subject.wait()
    (parent,) = subject.jobs.describe([array])
    assert (parent.ended, sum(parent.children.values())) == (True, 2)
    children = subject.jobs.describe([f"{array}:0", f"{array}:1", f"{array}:2"])
    assert sorted(child.id for child in children) == [f"{array}:0", f"{array}:1"]
    assert all(child.ended and not child.children for child in children)


def test_a_plain_job_has_no_children(subject: Subject) -> None:
    job = subject.jobs.submit(subject.request(unique_name()))
    subject.wait()
    (shown,) = subject.jobs.describe([job])
    assert (shown.id, shown.ended, shown.children) == (job, True, {})


def test_a_job_that_ended_is_not_terminated_and_an_unknown_one_not_described(subject: Subject) -> None:
    job = subject.jobs.submit(subject.request(unique_name()))
    subject.wait()
    before = subject.jobs.describe([job])
    subject.jobs.terminate(job, "no longer needed")
    assert [shown.status for shown in subject.jobs.describe([job])] == [shown.status for shown in before]
    assert subject.jobs.describe(["00000000-0000-0000-0000-000000000000"]) == []


def test_a_local_job_whose_dependency_failed_never_starts(tmp_path: Path) -> None:
    jobs = local_queue()
    environment = {"BATCHJOB_WORK": str(tmp_path)}
    first = jobs.submit(JobRequest("first", "process", "no-such-run", 1, (), environment))
    second = jobs.submit(JobRequest("second", "reduce", "no-such-run", 1, (first,), environment))
    jobs.wait()
    failed, never = jobs.describe([first, second])
    assert (failed.status, failed.exit_code) == ("FAILED", 64)
    assert (never.status, never.exit_code, never.reason) == ("FAILED", None, DEPENDENCY_FAILED)
    with pytest.raises(UsageError):
        jobs.submit(JobRequest("third", "reduce", "no-such-run", 1, ("unknown",), environment))


def test_a_local_job_that_runs_is_terminated_and_what_waits_for_it_never_starts(tmp_path: Path) -> None:
    jobs = local_queue()
    environment = {"BATCHJOB_WORK": str(tmp_path)}
    first = jobs.submit(JobRequest("first", "process", "no-such-run", 50, (), environment))
    second = jobs.submit(JobRequest("second", "reduce", "no-such-run", 1, (first,), environment))
    jobs.terminate(first, "no longer needed")
    assert [(job.id, job.status) for job in jobs.wait()] == [(first, "FAILED"), (second, "FAILED")]
    assert jobs.describe([first])[0].reason == "no longer needed"
    assert jobs.describe([second])[0].reason == DEPENDENCY_FAILED


def test_a_local_job_of_another_process_lives_as_long_as_that(subject: Subject) -> None:
    code = "from batchjob.local.jobs import Job; print(Job('name', [], {}).id, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        job = other.stdout.readline().strip()
        queue = local_queue()
        assert [shown.status for shown in queue.describe([job, f"{job}:0"])] == ["RUNNING"] * 2
        assert not queue.describe([re.sub(r"-(\d+)-\d+-", r"-\1-1000-", job)])
        other.communicate("\n")
    assert queue.describe([job]) == []
    assert subject.jobs.describe([job]) == []
