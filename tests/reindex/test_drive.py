"""A re-index's own runs: what their dead jobs mean, and whose submission counts on one machine."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from batchjob import layout
from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.drain.openruns import missing_shards
from batchjob.drain.submit import Submitting
from batchjob.errors import ExitCode, UsageError
from batchjob.ports import LOCAL_JOB, Job, JobRequest
from batchjob.records import ManifestRow, RunInfo, Submission
from batchjob.reindex.drive import drive
from tests.support.pipeline import frozen_run


@dataclass
class Ended:
    """A service that shows an array whose children all ended with one code; `lost` ones ended with their process."""

    exit_code: int
    lost: bool = False
    submitted: list[str] = field(default_factory=list)

    def submit(self, request: JobRequest) -> str:
        self.submitted.append(request.station)
        return f"job-{request.name}"

    def find(self, name: str) -> Sequence[Job]:
        return [] if self.lost or name.endswith("reduce") else self.describe([f"job-{name}"])

    def describe(self, ids: Sequence[str]) -> Sequence[Job]:
        known = [] if self.lost else ids
        return [Job(name, name, "FAILED", 0, exit_code=self.exit_code) for name in known]

    def terminate(self, job: str, reason: str) -> None:
        return


@pytest.fixture
def run(tmp_path: Path) -> RunInfo:
    rows = [ManifestRow("bucket", f"{number}.pdf") for number in range(4)]
    return frozen_run(FolderStore(tmp_path), rows, 2, "alias-building", "f")


def driven(folder: Path, run: RunInfo, jobs: Ended) -> None:
    drive(Submitting(FolderStore(folder), jobs, SystemClock(), "me"), [run.run_id])


def submitted_before(folder: Path, run: RunInfo, job: str) -> None:
    known = Submission(writer="another", at=0, process_job=job, reduce_job="job-reduce")
    FolderStore(folder).put(layout.submission(run.run_id), known.to_json())


def test_jobs_that_refuse_stop_it_and_give_no_row_up(tmp_path: Path, run: RunInfo) -> None:
    submitted_before(tmp_path, run, f"job-{run.run_id}")
    with pytest.raises(UsageError, match="ended with exit code 64"):
        driven(tmp_path, run, Ended(ExitCode.USAGE))
    assert missing_shards(FolderStore(tmp_path), run) == [0, 1]


def test_shards_whose_jobs_were_killed_are_given_up(tmp_path: Path, run: RunInfo) -> None:
    submitted_before(tmp_path, run, f"job-{run.run_id}")
    driven(tmp_path, run, Ended(137))
    assert missing_shards(FolderStore(tmp_path), run) == []


def test_jobs_of_a_dead_process_of_this_machine_begin_anew(tmp_path: Path, run: RunInfo) -> None:
    submitted_before(tmp_path, run, f"{LOCAL_JOB}1-1-dead")
    jobs = Ended(137, lost=True)
    driven(tmp_path, run, jobs)
    assert "process" in jobs.submitted
