"""Submission: a run's jobs come to be by an intent, then a fact, so that one submission counts (invariant 7)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from batchjob import layout
from batchjob.drain.ledger import mark_submitted
from batchjob.errors import (
    AlreadyExistsError,
    BatchjobError,
    ObjectMissingError,
    PermanentError,
    PreconditionFailedError,
    TransientError,
    UsageError,
)
from batchjob.ports import LOCAL_JOB, Clock, Get, Job, JobRequest, Jobs, Store
from batchjob.records import RunInfo, Submission
from batchjob.runs import read_run, read_summary

GRACE_MS = 5 * 60 * 1000
"""Age of an intent from which its writer is taken for dead: long for two calls, and for a job to show up by name."""
TRIES = 20
"""Of several submitters at once one wins each time, so this many are served."""
DUPLICATE = "another submission of the same run counts"


@dataclass(frozen=True, slots=True)
class Submitting:
    """What submission works with; `writer` is this process's name, `environment` what the jobs are told."""

    store: Store
    jobs: Jobs
    clock: Clock
    writer: str
    environment: Mapping[str, str] = field(default_factory=dict)


def process_name(run_id: str) -> str:
    """The name of the array job (or, for one shard, the plain job) that processes a run."""
    return run_id


def reduce_name(run_id: str) -> str:
    """The name of every reducer of a run."""
    return f"{run_id}-reduce"


def submit_run(by: Submitting, run_id: str) -> Submission:
    """Sees that the run has its jobs, and returns them; one that has them already is left as it is.

    Jobs of a machine whose process has ended are none.

    Raises UsageError (no such run, refused: nothing was submitted), TransientError (no answer, or another process is
    at it: later the same call finds out what became of it).
    """
    run = read_run(by.store, run_id)
    for _ in range(TRIES):
        known, etag = _read(by.store, run_id)
        if known is not None and known.process_job is not None and not _is_lost(by.jobs, known.process_job):
            return known
        if read_summary(by.store, run_id) is not None:
            raise UsageError(f"run {run_id} is finished: there is nothing to submit")
        try:
            intent, etag = _declare(by, run_id, known, etag)
        except (AlreadyExistsError, PreconditionFailedError):
            continue
        return _fulfil(by, run, intent, etag)
    raise TransientError(f"run {run_id}: many processes submit it at once; try again", cause="submission")


def submit_runs(by: Submitting, run_ids: Iterable[str]) -> dict[str, Submission]:
    """Submits runs and marks them in the ledger; by run id.

    One that cannot be submitted does not keep others from it. Raises the first of such errors at the end.
    """
    done: dict[str, Submission] = {}
    failures: list[BatchjobError] = []
    for run_id in run_ids:
        try:
            done[run_id] = submit_run(by, run_id)
        except BatchjobError as error:
            failures.append(error)
    mark_submitted(by.store, by.writer, done)
    if failures:
        raise failures[0]
    return done


def start_reducer(by: Submitting, run_id: str) -> str:
    """Submits one more reducer, and returns its job's id.

    This is how a run is reduced whose array job failed: Batch never starts what depends on a failed job, and has no
    dependency on any outcome (`SEQUENTIAL` and `N_TO_N` too wait for success). Two at once are harmless: reducers
    are fenced (invariant 9). Raises UsageError, TransientError.
    """
    return by.jobs.submit(_reducer(by, run_id, ()))


def _is_lost(jobs: Jobs, job: str) -> bool:
    """Jobs of a machine end with the process that submitted them; while it lives, the queue shows them."""
    return job.startswith(LOCAL_JOB) and not jobs.describe([job])


def _read(store: Get, run_id: str) -> tuple[Submission | None, str]:
    try:
        with store.open(layout.submission(run_id)) as opened:
            return Submission.model_validate_json(opened.body.read()), opened.meta.etag
    except ObjectMissingError:
        return None, ""
    except ValidationError:
        raise UsageError(
            f"{layout.submission(run_id)} is no record of a submission: remove it, then submit run {run_id} again; "
            f"jobs that it has already are found by name"
        ) from None


def _declare(by: Submitting, run_id: str, known: Submission | None, etag: str) -> tuple[Submission, str]:
    """Makes the intent this process's own. Raises TransientError where another one may still be at it."""
    if known is not None and known.writer == by.writer:
        return known, etag
    now = by.clock.now_ms()
    intent = Submission(writer=by.writer, at=now)
    if known is None:
        return intent, by.store.create_once(layout.submission(run_id), intent.to_json())
    age = abs(now - known.at)
    if known.process_job is None and age < GRACE_MS:
        raise TransientError(
            f"run {run_id} is being submitted by {known.writer} since {age // 1000} s: if that process is dead, "
            f"the same command takes over in {(GRACE_MS - age) // 1000 + 1} s",
            cause="submission",
        )
    return intent, by.store.replace_if_match(layout.submission(run_id), intent.to_json(), etag)


def _fulfil(by: Submitting, run: RunInfo, intent: Submission, etag: str) -> Submission:
    """Finds or submits both jobs, then records them; who lost the intent meanwhile takes his jobs back."""
    try:
        fact = intent.model_copy(update=_both_jobs(by, run))
    except PermanentError:
        _release(by, run.run_id, intent, etag)
        raise
    try:
        by.store.replace_if_match(layout.submission(run.run_id), fact.to_json(), etag)
    except PreconditionFailedError:
        return _concede(by, run.run_id, fact)
    return fact


def _both_jobs(by: Submitting, run: RunInfo) -> dict[str, str | None]:
    """The array job first. A reducer waits for one that runs; for one that failed, `sweep` starts it."""
    name = process_name(run.run_id)
    request = JobRequest(name, "process", run.run_id, run.shards, environment=by.environment)
    process = _find_or_submit(by.jobs, request)
    after = () if process.ended else (process.id,)
    if process.status == "FAILED":
        known = _counts(by.jobs.find(reduce_name(run.run_id)))
        return {"process_job": process.id, "reduce_job": known.id if known else None}
    reducer = _find_or_submit(by.jobs, _reducer(by, run.run_id, after))
    return {"process_job": process.id, "reduce_job": reducer.id}


def _reducer(by: Submitting, run_id: str, after: tuple[str, ...]) -> JobRequest:
    return JobRequest(reduce_name(run_id), "reduce", run_id, after=after, environment=by.environment)


def _find_or_submit(jobs: Jobs, request: JobRequest) -> Job:
    """The job of that name, looked up again where the answer of its submission was lost."""
    found = _counts(jobs.find(request.name))
    if found is not None:
        return found
    try:
        return Job(jobs.submit(request), request.name, "SUBMITTED", 0)
    except TransientError:
        found = _counts(jobs.find(request.name))
        if found is None:
            raise
        return found


def _counts(found: Sequence[Job]) -> Job | None:
    """Of several jobs of a name the oldest that has not failed, else the oldest."""
    return min(found, key=lambda job: (job.status == "FAILED", job.created_at, job.id), default=None)


def _release(by: Submitting, run_id: str, intent: Submission, etag: str) -> None:
    """Makes a refused intent stale at once, so that nobody waits for it."""
    stale = intent.model_copy(update={"at": 0})
    try:
        by.store.replace_if_match(layout.submission(run_id), stale.to_json(), etag)
    except (PreconditionFailedError, TransientError):
        return


def _concede(by: Submitting, run_id: str, mine: Submission) -> Submission:
    """Another process took this one for dead: what it recorded counts, and jobs that it did not find end.

    Raises TransientError while it has recorded nothing: it may still find these jobs.
    """
    known, _ = _read(by.store, run_id)
    if known is None or known.process_job is None:
        raise TransientError(
            f"run {run_id}: another process took over its submission; try again", cause="submission"
        )
    for job in (mine.reduce_job, mine.process_job):
        if job is not None and job not in (known.reduce_job, known.process_job):
            by.jobs.terminate(job, DUPLICATE)
    return known
