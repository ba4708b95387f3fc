"""`submit` and `sweep`: a run's jobs, in AWS Batch or on this machine, and what became of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
import structlog

from batchjob.cli import options, services
from batchjob.cli.output import print_json, print_result, print_table, progress_bar
from batchjob.drain.ledger import check_committed
from batchjob.drain.submit import Submitting, submit_runs
from batchjob.drain.sweep import sweep as sweep_runs
from batchjob.errors import BatchjobError, ExitCode, TooManyFailedError, TransientError, UsageError
from batchjob.ports import Job, Jobs
from batchjob.runs import read_run, read_summary
from batchjob.settings import Settings, load_settings

FAILURES: dict[int, type[BatchjobError]] = {
    ExitCode.USAGE: UsageError,
    ExitCode.TOO_MANY_FAILED: TooManyFailedError,
}


@contextmanager
def open_submitting(settings: Settings, writer: str) -> Iterator[Submitting]:
    """Submission to the queue of the settings; jobs of this machine have ended when it closes.

    Jobs are told where the work is; everything else is in their definition. Raises UsageError, and where a job of
    this machine failed what it failed with.
    """
    store, told = services.work_store(settings), {"BATCHJOB_WORK": settings.work}
    if services.job_queue(settings) != services.LOCAL_QUEUE:
        yield Submitting(store, services.batch_jobs(settings), services.CLOCK, writer, told)
        return
    from batchjob.cli.local import Progress
    from batchjob.local.jobqueue import LocalJobQueue
    from batchjob.process.capacity import capacity

    with progress_bar() as bar:
        jobs = LocalJobQueue(capacity(None).workers, Progress(bar, None), services.CLOCK)
        yield Submitting(store, jobs, services.CLOCK, writer, told)
        ended = jobs.wait()
    for job in ended:
        if job.status == "FAILED":
            raise _failure(jobs, job)


def _failure(jobs: Jobs, job: Job) -> BatchjobError:
    """What the end of a local job means for the command, by the exit code of the first of its processes that failed."""
    children = jobs.describe([f"{job.id}:{number}" for number in range(sum(job.children.values()))])
    failed = next((child for child in children if child.exit_code), job)
    number = failed.id.partition(":")[2]
    told = f"job {job.name}{f', shard {number},' if number else ''} ended with exit code {failed.exit_code}"
    reason = f" ({failed.reason})" if failed.reason else ""
    return FAILURES.get(failed.exit_code or 0, TransientError)(f"{told}{reason}; the lines above say why")


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
    with open_submitting(settings, services.new_writer()) as by:
        if read_summary(by.store, run) is None:
            check_committed(by.store, read_run(by.store, run))
        submission = submit_runs(by, [run])[run]
    values = {
        "run_id": run,
        "process_job": submission.process_job,
        "reduce_job": submission.reduce_job,
        "submitted_now": submission.writer == by.writer,
    }
    print_result(f"run {run}", values, as_json)


@click.command()
@options.work
@options.job_queue
@options.as_json
def sweep(work: str | None, job_queue: str | None, as_json: bool) -> None:
    """Bring every open run one step on, where its jobs cannot.

    Submits runs without jobs, gives up shards all of whose jobs are dead (their rows come back), starts the reducer
    of a run whose shards are done, closes finished runs. Doing it often does no harm.
    """
    settings = load_settings(work=work, job_queue=job_queue)
    structlog.contextvars.bind_contextvars(phase="sweep")
    with open_submitting(settings, services.new_writer()) as by:
        swept = sweep_runs(by)
    values = {
        "closed": swept.closed,
        "submitted": swept.submitted,
        "abandoned": swept.abandoned,
        "reducing": swept.reducing,
        "stuck": swept.stuck,
    }
    if as_json:
        print_json(values)
    else:
        print_table("swept", ["", "runs"], [(name, "\n".join(runs) or "-") for name, runs in values.items()])
    swept.check()
