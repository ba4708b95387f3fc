"""Sees that a re-index's own runs have jobs that live; the sweep of the intake leaves them alone."""

from collections.abc import Sequence

from batchjob import layout
from batchjob.drain.openruns import OpenRun, Phase, look_at
from batchjob.drain.sweep import Sweeper, Swept, heal_run
from batchjob.errors import ExitCode, UsageError
from batchjob.ports import read_or_none
from batchjob.records import Ledger, Submission
from batchjob.runs import parse_record


def drive(sweeper: Sweeper, runs: Sequence[str], *, here: bool) -> None:
    """Submits runs, and heals them as a sweep would. Raises UsageError, TransientError.

    `here`: jobs are processes of this one, so that those of another process are dead with it, and begin anew.
    """
    waiting = []
    for run in runs:
        known = _submission(sweeper, run)
        if known is not None and here and known.writer != sweeper.writer:
            sweeper.store.delete(layout.submission(run))
            known = None
        if known is None or known.process_job is None:
            waiting.append(run)
    ledger = Ledger(unsubmitted=tuple(waiting))
    for run in runs:
        found = look_at(sweeper.store, ledger, run)
        _check_settings(sweeper, found)
        heal_run(sweeper, found, Swept())


def _submission(sweeper: Sweeper, run: str) -> Submission | None:
    key = layout.submission(run)
    data = read_or_none(sweeper.store, key)
    return None if data is None else parse_record(Submission, key, data)


def _check_settings(sweeper: Sweeper, found: OpenRun) -> None:
    """Jobs that are refused would be refused again, and their rows are no drain's. Raises UsageError."""
    if found.phase is not Phase.PROCESSING or len(found.missing) < found.run.shards:
        return
    name = sweeper.submitter.process_name(found.run.run_id)
    alone = found.run.shards == 1
    ids = [job.id if alone else f"{job.id}:0" for job in sweeper.jobs.find(name)]
    for job in sweeper.jobs.describe(ids):
        if job.ended and job.exit_code == ExitCode.USAGE:
            raise UsageError(
                f"job {job.id} of run {found.run.run_id} ended with exit code {job.exit_code}, and its log says why: "
                "mend that (mostly another image or other settings in the job definition), then "
                "`batchjob reindex --abandon` and begin anew"
            )
