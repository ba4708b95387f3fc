"""The main flow on one machine: freeze a run, process its shards, reduce it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batchjob.errors import BatchjobError, ExitCode, PermanentError, TransientError
from batchjob.local.jobs import Job, LocalJobs
from batchjob.local.retry import JobEnd, read_strategy
from batchjob.records import RunInfo

ROWS_A_SHARD = 500
"""More rows than this cost more when a shard is repeated than its start costs."""


@dataclass(frozen=True, slots=True)
class LocalRun:
    """A frozen run, and the settings that its jobs get as environment variables."""

    run: RunInfo
    environment: Mapping[str, str]


def shard_count(rows: int, cpus: int) -> int:
    """Two shards a CPU, so that none idles at the end; more where shards would become large."""
    return max(2, cpus * 2, rows // ROWS_A_SHARD)


def run_pipeline(local: LocalRun, jobs: LocalJobs) -> None:
    """Processes and reduces. Raises TransientError or PermanentError that names what failed for good."""
    run_id = local.run.run_id
    ends = jobs.run(
        Job("process", ["process", run_id], local.environment, local.run.shards),
        read_strategy("process"),
    )
    _check("process", ends)
    ends = jobs.run(Job("reduce", ["reduce", run_id], local.environment), read_strategy("reduce"))
    _check("reduce", ends)


def _check(name: str, ends: Sequence[JobEnd]) -> None:
    bad = [
        (index, end) for index, end in enumerate(ends) if end.exit_code not in (0, ExitCode.TOO_MANY_FAILED)
    ]
    if not bad:
        return
    index, end = bad[0]
    which = (
        name if len(ends) == 1 else f"{name} {index}" + (f" and {len(bad) - 1} more" if len(bad) > 1 else "")
    )
    kind: type[BatchjobError] = PermanentError if end.exit_code == ExitCode.USAGE else TransientError
    reason = f", {end.reason}" if end.reason else ""
    raise kind(f"{which} ended with exit code {end.exit_code}{reason}; the lines above say why")
