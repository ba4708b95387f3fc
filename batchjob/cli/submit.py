"""`submit`: a run's jobs, in AWS Batch or on this machine."""

import click
import structlog

from batchjob.cli import options, services
from batchjob.cli.output import print_result, progress_bar
from batchjob.drain.submit import submit_runs
from batchjob.errors import TransientError
from batchjob.records import Submission
from batchjob.runs import read_run
from batchjob.settings import Settings, load_settings


@click.command()
@click.argument("run")
@options.work
@options.job_queue
@options.as_json
def submit(run: str, work: str | None, job_queue: str | None, as_json: bool) -> None:
    """Submit the jobs of RUN: one a shard, and a reducer after them.

    A run that has its jobs is left as it is. With `--job-queue local` the jobs run on this machine, and end with this
    command.
    """
    settings = load_settings(work=work, job_queue=job_queue)
    structlog.contextvars.bind_contextvars(run=run, phase="submit")
    writer = services.new_writer()
    if services.job_queue(settings) == services.LOCAL_QUEUE:
        submission = _run_here(settings, run, writer)
    else:
        by = services.submitting(settings, services.batch_jobs(settings), writer)
        submission = submit_runs(by, [run])[run]
    values = {
        "run_id": run,
        "process_job": submission.process_job,
        "reduce_job": submission.reduce_job,
        "submitted_now": submission.writer == writer,
    }
    print_result(f"run {run}", values, as_json)


def _run_here(settings: Settings, run: str, writer: str) -> Submission:
    """Raises TransientError where a job failed."""
    from batchjob.cli.local import Progress
    from batchjob.local.jobqueue import LocalJobQueue
    from batchjob.process.capacity import capacity

    info = read_run(services.work_store(settings), run)
    with progress_bar() as bar:
        jobs = LocalJobQueue(capacity(None).workers, Progress(bar, info.rows), services.CLOCK)
        submission = submit_runs(services.submitting(settings, jobs, writer), [run])[run]
        jobs.wait()
    ids = [job for job in (submission.process_job, submission.reduce_job) if job]
    for job in jobs.describe(ids):
        if job.status == "FAILED":
            raise TransientError(f"job {job.name} failed {job.reason}; the lines above say why")
    return submission
