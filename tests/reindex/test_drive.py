"""A re-index's own runs: what their dead jobs mean, and whose submission counts on one machine."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from batchjob import layout
from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.drain.openruns import missing_shards
from batchjob.drain.sweep import Submitter, Sweeper
from batchjob.errors import ExitCode, UsageError
from batchjob.ports import Job
from batchjob.records import ManifestRow, RunInfo, Submission
from batchjob.reindex.drive import drive
from tests.support.pipeline import frozen_run


@dataclass
class Ended:
    """A service that shows an array whose children all ended with one code."""

    exit_code: int
    submitted: list[str] = field(default_factory=list)

    def find(self, name: str) -> Sequence[Job]:
        return [] if name.startswith("reduce") else self.describe([f"job-{name}"])

    def describe(self, ids: Sequence[str]) -> Sequence[Job]:
        return [Job(name, name, "FAILED", 0, exit_code=self.exit_code) for name in ids]


@pytest.fixture
def run(tmp_path: Path) -> RunInfo:
    rows = [ManifestRow("bucket", f"{number}.pdf") for number in range(4)]
    return frozen_run(FolderStore(tmp_path), rows, 2, "alias-building", "f")


def driven(folder: Path, run: RunInfo, jobs: Ended, *, here: bool = False) -> None:
    submitter = Submitter(
        jobs.submitted.append, lambda run_id: None, lambda run_id: run_id, "reduce-{}".format
    )
    sweeper = Sweeper(FolderStore(folder), jobs, submitter, SystemClock(), "me")
    drive(sweeper, [run.run_id], here=here)


def submitted_by(folder: Path, run: RunInfo, writer: str) -> None:
    known = Submission(writer=writer, at=0, process_job=f"job-{run.run_id}", reduce_job="job-reduce")
    FolderStore(folder).put(layout.submission(run.run_id), known.to_json())


def test_jobs_that_refuse_stop_it_and_give_no_row_up(tmp_path: Path, run: RunInfo) -> None:
    submitted_by(tmp_path, run, "another")
    with pytest.raises(UsageError, match="ended with exit code 64"):
        driven(tmp_path, run, Ended(ExitCode.USAGE))
    assert missing_shards(FolderStore(tmp_path), run) == [0, 1]


def test_shards_whose_jobs_were_killed_are_given_up(tmp_path: Path, run: RunInfo) -> None:
    submitted_by(tmp_path, run, "another")
    driven(tmp_path, run, Ended(137))
    assert missing_shards(FolderStore(tmp_path), run) == []


@pytest.mark.parametrize(
    ("here", "writer", "again"), [(True, "dead", 1), (True, "me", 0), (False, "dead", 0)]
)
def test_jobs_of_a_dead_process_of_this_machine_begin_anew(
    tmp_path: Path, run: RunInfo, here: bool, writer: str, again: int
) -> None:
    submitted_by(tmp_path, run, writer)
    jobs = Ended(137)
    driven(tmp_path, run, jobs, here=here)
    assert len(jobs.submitted) == again
