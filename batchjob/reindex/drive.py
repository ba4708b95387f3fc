"""Sees that a re-index's own runs have jobs that live; the sweep of the intake leaves them alone."""

from collections.abc import Sequence

from batchjob import layout
from batchjob.drain.openruns import OpenRun, Phase, look_at
from batchjob.drain.submit import Submitting, process_name, submit_run
from batchjob.drain.sweep import Swept, heal_run
from batchjob.errors import ExitCode, UsageError
from batchjob.ports import read_or_none
from batchjob.records import Ledger


def drive(by: Submitting, runs: Sequence[str]) -> None:
    """Submits runs, and heals them as a sweep would. Raises UsageError, TransientError."""
    for run in runs:
        before = read_or_none(by.store, layout.submission(run))
        submit_run(by, run)
        if read_or_none(by.store, layout.submission(run)) != before:
            continue  # its jobs begin only now
        found = look_at(by.store, Ledger(), run)
        _check_settings(by, found)
        heal_run(by, found, Swept())


def _check_settings(by: Submitting, found: OpenRun) -> None:
    """Jobs that are refused would be refused again, and their rows are no drain's. Raises UsageError."""
    if found.phase is not Phase.PROCESSING or len(found.missing) < found.run.shards:
        return
    name = process_name(found.run.run_id)
    alone = found.run.shards == 1
    ids = [job.id if alone else f"{job.id}:0" for job in by.jobs.find(name)]
    for job in by.jobs.describe(ids):
        if job.ended and job.exit_code == ExitCode.USAGE:
            raise UsageError(
                f"job {job.id} of run {found.run.run_id} ended with exit code {job.exit_code}, and its log says why: "
                "mend that (mostly another image or other settings in the job definition), then "
                "`batchjob reindex --abandon` and begin anew"
            )
