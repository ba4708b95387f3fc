"""Healing: what dead drains, jobs and reducers left is finished, started anew, or given up (invariant 8)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from batchjob import layout
from batchjob.drain.commit import tidy_inbox
from batchjob.drain.cost import learn_costs
from batchjob.drain.ledger import close_runs, mark_submitted, read_ledger
from batchjob.drain.openruns import OpenRun, Phase, abandon, look_at
from batchjob.drain.submit import Submitting, process_name, reduce_name, start_reducer, submit_run
from batchjob.errors import BatchjobError, ExitCode, TransientError, UsageError
from batchjob.ports import LOCAL_JOB, Job, Jobs, Store, read_or_none
from batchjob.records import RunInfo, Submission
from batchjob.runs import parse_record, read_receipt

GRACE_MS = 3600 * 1000
"""How long after a submission a job that the service does not know may only be unknown yet; not one of a machine."""
ENDED_WITHOUT_RECEIPT = "all its jobs ended without a receipt"
KILLED = (134, 137, 139)
"""128 + SIGABRT, SIGKILL (out of memory) and SIGSEGV."""
TIMED_OUT = "attempt duration exceeded"
"""Of AWS Batch's reason for a job that ran into its timeout, whatever its exit code is then."""


@dataclass(slots=True)
class Swept:
    """What was healed: runs closed, runs submitted, shards given up by run, runs whose reducer was started.

    `stuck`: runs that wait for people, and why.
    """

    closed: list[str] = field(default_factory=list)
    submitted: list[str] = field(default_factory=list)
    abandoned: dict[str, list[int]] = field(default_factory=dict)
    reducing: list[str] = field(default_factory=list)
    stuck: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raises UsageError where runs are stuck."""
        for run_id, why in self.stuck.items():
            raise UsageError(f"{len(self.stuck)} runs are stuck; {run_id}: {why}")


def sweep(by: Submitting) -> Swept:
    """Looks at every open run once. Doing it twice, or two at once, does no harm.

    A run that cannot be healed now does not keep others from it. Raises TransientError.
    """
    store, swept = by.store, Swept()
    failures: list[TransientError] = []
    tidy_inbox(by.writer, store, by.clock)
    ledger = read_ledger(store)
    for run_id in sorted(ledger.open):
        try:
            heal_run(by, look_at(store, ledger, run_id), swept)
        except TransientError as error:
            failures.append(error)
        except BatchjobError as error:
            swept.stuck[run_id] = str(error)
    mark_submitted(store, by.writer, swept.submitted)
    close_runs(store, by.writer, swept.closed)
    if failures:
        raise failures[0]
    return swept


def heal_run(by: Submitting, found: OpenRun, swept: Swept) -> None:
    """Brings one run a step on, and notes it. Raises what its submission raises, UsageError, TransientError."""
    run_id = found.run.run_id
    if found.phase is Phase.FINISHED:
        learn_costs(by.store, found.run)
        swept.closed.append(run_id)
    elif found.phase is Phase.UNSUBMITTED:
        submit_run(by, run_id)
        swept.submitted.append(run_id)
    else:
        _heal_submitted(by, found, swept)


def _heal_submitted(by: Submitting, found: OpenRun, swept: Swept) -> None:
    """Gives dead shards up; where all shards are done then, sees that a reducer lives."""
    run_id = found.run.run_id
    known = _submission(by.store, run_id)
    local = (known.process_job or "").startswith(LOCAL_JOB)
    recent = by.clock.now_ms() - known.at < GRACE_MS and not local
    missing = found.missing
    if missing:
        parents = _ids(by.jobs, process_name(run_id), known.process_job)
        dead = _dead_shards(by.jobs, parents, found, recent=recent)
        if dead:
            swept.abandoned[run_id] = _give_up(by, found.run, dead)
        missing = [shard for shard in missing if shard not in dead]
    if missing:
        return
    ids = _ids(by.jobs, reduce_name(run_id), known.reduce_job)
    if _any_alive(by.jobs, ids, recent=recent):
        return
    _check_reducers(run_id, by.jobs.describe(ids))
    start_reducer(by, run_id)
    swept.reducing.append(run_id)


def _check_reducers(run_id: str, ended: Iterable[Job]) -> None:
    """Raises UsageError where the newest says that one more would end as it did."""
    newest = max(ended, key=lambda job: (job.created_at, job.id), default=None)
    if newest is not None and newest.exit_code in (ExitCode.USAGE, ExitCode.TOO_MANY_FAILED):
        raise UsageError(
            f"reducer {newest.id} ended with exit code {newest.exit_code}, and its log says why; mend that, then "
            f"`batchjob reduce {run_id}`"
        )


def _submission(store: Store, run_id: str) -> Submission:
    key = layout.submission(run_id)
    data = read_or_none(store, key)
    return Submission(writer="", at=0) if data is None else parse_record(Submission, key, data)


def _ids(jobs: Jobs, name: str, recorded: str | None) -> list[str]:
    """All jobs of a name: a submission may have happened twice."""
    return sorted({job.id for job in jobs.find(name)} | ({recorded} if recorded else set()))


def _give_up(by: Submitting, run: RunInfo, dead: Mapping[int, list[Job]]) -> list[int]:
    """Shards that died of the same are given up together, with the job's own words."""
    done: list[int] = []
    for why, shards in _by_reason(dead).items():
        killers = {s: [job for job in dead[s] if _was_killed(by, run, job)] for s in shards}
        killed = {shard: min(job.created_at for job in jobs) for shard, jobs in killers.items() if jobs}
        done += abandon(by.store, run, shards, by.writer, why, killed=killed)
    return sorted(done)


def _by_reason(dead: Mapping[int, list[Job]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for shard, jobs in dead.items():
        reasons = sorted({job.reason for job in jobs if job.reason})
        found.setdefault("; ".join([ENDED_WITHOUT_RECEIPT, *reasons]), []).append(shard)
    return found


def _was_killed(by: Submitting, run: RunInfo, job: Job) -> bool:
    """By what it worked on, not by an outage, a lost machine or an image that cannot run (invariant 5)."""
    if job.exit_code in KILLED or TIMED_OUT in job.reason:
        return True
    return job.exit_code == ExitCode.INTERNAL and _any_done(by.store, run)


def _any_done(store: Store, run: RunInfo) -> bool:
    """Whether a process did a shard of the run, so that its image works."""
    receipts = (read_receipt(store, run.run_id, shard) for shard in range(run.shards))
    return any(receipt is not None and receipt.abandoned is None for receipt in receipts)


def _dead_shards(jobs: Jobs, parents: Sequence[str], found: OpenRun, *, recent: bool) -> dict[int, list[Job]]:
    """The missing shards none of whose jobs lives, with these jobs; none while an array as a whole does."""
    if _any_alive(jobs, parents, recent=recent):
        return {}
    ids = {_child(parent, shard, found.run): shard for parent in parents for shard in found.missing}
    ended: dict[int, list[Job]] = {shard: [] for shard in found.missing}
    for job in jobs.describe(list(ids)):
        ended[ids[job.id]].append(job)
    return {shard: its_jobs for shard, its_jobs in ended.items() if all(job.ended for job in its_jobs)}


def _child(parent: str, shard: int, run: RunInfo) -> str:
    """A run of one shard is a plain job."""
    return parent if run.shards == 1 else f"{parent}:{shard}"


def _any_alive(jobs: Jobs, ids: Sequence[str], *, recent: bool) -> bool:
    """Whether one has not ended, or, shortly after a submission, none may be known yet."""
    known = jobs.describe(ids)
    return any(not job.ended for job in known) or (recent and not known)
