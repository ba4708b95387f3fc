"""AWS Batch as the runner of stations."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from batchjob.adapters.batch_errors import ThrottledError, translated
from batchjob.errors import TransientError, UsageError
from batchjob.ports import LOCAL_JOB, MAX_CHILDREN, Job, JobRequest, Station

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

CONNECT_SECONDS = 5
READ_SECONDS = 60
DESCRIBED = 100
"""Jobs that one call describes; the service's limit."""
MAX_OVERRIDES = 8192
"""Characters of the container overrides (AWS Batch User Guide, "Service quotas")."""
MAX_PAYLOAD = 30 * 1024
"""Bytes of a SubmitJob request (the same)."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
"""Job names (AWS Batch API reference, SubmitJob)."""
HINT = (
    "check BATCHJOB_JOB_QUEUE, BATCHJOB_PROCESS_JOB_DEFINITION, BATCHJOB_REDUCE_JOB_DEFINITION and the region: "
    "the queue must be enabled and each definition have an active revision (job-definitions/)"
)

_unless_throttled = retry(
    retry=retry_if_exception_type(ThrottledError),
    stop=stop_after_attempt(8),
    wait=wait_random_exponential(multiplier=0.5, max=10),
    reraise=True,
)
"""SubmitJob has no token by which a second call would be known: it is repeated only where it was refused for sure."""
_repeated = retry(
    retry=retry_if_exception_type(TransientError),
    stop=stop_after_attempt(4),
    wait=wait_random_exponential(multiplier=0.5, max=10),
    reraise=True,
)


@lru_cache
def batch_client() -> "BatchClient":
    """A client that asks once; region, endpoint (`AWS_ENDPOINT_URL_BATCH`) and credentials as AWS tools do."""
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
    )
    try:
        return boto3.session.Session().client("batch", config=config)
    except (BotoCoreError, ValueError) as error:
        raise UsageError(f"AWS Batch client: {error}; check region, endpoint and profile") from error


@dataclass(frozen=True, slots=True)
class BatchTarget:
    """Where jobs go: the queue, a definition (name, name:revision or ARN) a station, and what jobs get of it.

    `share` and `priority` are for queues with a fair-share policy; `seconds` replaces the definitions' timeouts.
    """

    queue: str
    definitions: Mapping[Station, str]
    share: str | None = None
    priority: int | None = None
    seconds: Mapping[Station, int] | None = None


class BatchJobs:
    """Implements ports.Jobs. `find` sees the jobs of the one queue."""

    def __init__(self, client: "BatchClient", target: BatchTarget) -> None:
        self._client = client
        self._target = target

    def submit(self, request: JobRequest) -> str:
        call = submission(request, self._target)
        return _unless_throttled(self._submit)(call)

    def _submit(self, call: dict[str, Any]) -> str:
        with translated("batch:SubmitJob", HINT):
            return self._client.submit_job(**call)["jobId"]

    def find(self, name: str) -> Sequence[Job]:
        """The service compares names without regard to case; an array's children share its name."""
        found = [job for job in _repeated(self._list)(name) if job.name == name and ":" not in job.id]
        return sorted(found, key=lambda job: (job.created_at, job.id))

    def _list(self, name: str) -> list[Job]:
        with translated("batch:ListJobs", HINT):
            pages = self._client.get_paginator("list_jobs").paginate(
                jobQueue=self._target.queue, filters=[{"name": "JOB_NAME", "values": [name]}]
            )
            return [_job(summary) for page in pages for summary in page["jobSummaryList"]]

    def describe(self, ids: Sequence[str]) -> Sequence[Job]:
        """Jobs of a machine are unknown to the service, which is not asked for what is no id of its own."""
        ids = [name for name in ids if not name.startswith(LOCAL_JOB)]
        parts = [ids[start : start + DESCRIBED] for start in range(0, len(ids), DESCRIBED)]
        return [job for part in parts for job in _repeated(self._describe)(part)]

    def _describe(self, ids: Sequence[str]) -> list[Job]:
        with translated("batch:DescribeJobs", HINT):
            return [_job(detail) for detail in self._client.describe_jobs(jobs=[*ids])["jobs"]]

    def terminate(self, job: str, reason: str) -> None:
        _repeated(self._terminate)(job, reason)

    def _terminate(self, job: str, reason: str) -> None:
        with translated("batch:TerminateJob", HINT):
            self._client.terminate_job(jobId=job, reason=reason)


def submission(request: JobRequest, target: BatchTarget) -> dict[str, Any]:
    """The SubmitJob call for a request. Raises UsageError where it goes over a limit of the service."""
    if not NAME.fullmatch(request.name):
        raise UsageError(f"{request.name!r} is no job name: letters, digits, '-' and '_', at most 128")
    if not 1 <= request.children <= MAX_CHILDREN:
        raise UsageError(f"job {request.name}: {request.children} children; an array has 2 to {MAX_CHILDREN}")
    environment = [{"name": name, "value": value} for name, value in sorted(request.environment.items())]
    overrides = {"environment": environment} if environment else {}
    call = {
        "jobName": request.name,
        "jobQueue": target.queue,
        "jobDefinition": target.definitions[request.station],
        "parameters": {"run": request.run},
        "propagateTags": True,
        **({"containerOverrides": overrides} if overrides else {}),
        **({"arrayProperties": {"size": request.children}} if request.children > 1 else {}),
        **({"dependsOn": [{"jobId": job} for job in request.after]} if request.after else {}),
        **_sharing(target),
    }
    seconds = (target.seconds or {}).get(request.station)
    if seconds is not None:
        call["timeout"] = {"attemptDurationSeconds": seconds}
    _check_size("container overrides", overrides, MAX_OVERRIDES, request)
    _check_size("the call", call, MAX_PAYLOAD, request)
    return call


def _sharing(target: BatchTarget) -> dict[str, Any]:
    if target.share is None:
        return {}
    priority = {} if target.priority is None else {"schedulingPriorityOverride": target.priority}
    return {"shareIdentifier": target.share, **priority}


def _check_size(what: str, content: object, limit: int, request: JobRequest) -> None:
    size = len(json.dumps(content, ensure_ascii=False).encode())
    if size > limit:
        raise UsageError(f"job {request.name}: {what} take {size} bytes, AWS Batch allows {limit}")


def _job(told: Mapping[str, Any]) -> Job:
    """From a JobSummary or a JobDetail, which name the same things alike."""
    summary = told.get("arrayProperties", {}).get("statusSummary", {})
    container = told.get("container", {})
    return Job(
        id=told["jobId"],
        name=told["jobName"],
        status=told["status"],
        created_at=told.get("createdAt", 0),
        children={status: count for status, count in summary.items() if count},
        exit_code=container.get("exitCode"),
        reason="; ".join(filter(None, (told.get("statusReason"), container.get("reason")))),
    )
