"""Calls of AWS Batch: what the service's model and its emulator take, its limits, and what each refusal means."""

import json
from dataclasses import replace

import boto3
import pytest
from botocore.config import Config

from batchjob.adapters.batch import MAX_OVERRIDES, BatchJobs, BatchTarget, submission
from batchjob.errors import TransientError, UsageError
from batchjob.ports import MAX_CHILDREN, JobRequest
from tests.support.answers import AnsweringServer, answer, answering
from tests.support.batchjobs import new_queue
from tests.support.servers import BatchServer, unique_name

REQUEST = JobRequest("run-1", "process", "run-1", 2)
TARGET = BatchTarget("queue", {"process": "batchjob-process", "reduce": "batchjob-reduce"})


def refusal(status: str, code: str) -> bytes:
    headers = ["Content-Type: application/json", f"x-amzn-ErrorType: {code}"]
    return answer(status, json.dumps({"message": "no"}).encode(), headers=headers)


SUBMITTED = answer("200 OK", json.dumps({"jobId": "id-1", "jobName": "run-1"}).encode())


def jobs_of(server: AnsweringServer) -> BatchJobs:
    client = boto3.client(
        "batch",
        endpoint_url=server.endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
    )
    return BatchJobs(client, TARGET)


@pytest.mark.parametrize("children", [1, 2, MAX_CHILDREN])
def test_the_service_takes_plain_jobs_and_arrays(batch_server: BatchServer, children: int) -> None:
    queue = new_queue(batch_server)
    name = unique_name()
    job = queue.jobs.submit(replace(REQUEST, name=name, children=children))
    told = queue.client.describe_jobs(jobs=[job])["jobs"][0]
    assert told.get("arrayProperties", {}).get("size", 1) == children
    assert told["parameters"]["run"] == "run-1"


@pytest.mark.parametrize("station", ["process", "reduce", "drain"])
def test_the_service_takes_the_job_definitions(batch_server: BatchServer, station: str) -> None:
    assert batch_server.new_definition(station)


def test_every_part_of_a_call_is_known_to_the_service(batch_server: BatchServer) -> None:
    queue = new_queue(batch_server)
    target = replace(queue.target, share="documents", priority=10, seconds={"process": 3600})
    first = queue.jobs.submit(replace(REQUEST, name=unique_name()))
    request = replace(REQUEST, name=unique_name(), after=(first,), environment={"BATCHJOB_WORK": "s3://b/w"})
    told = queue.client.describe_jobs(jobs=[BatchJobs(queue.client, target).submit(request)])["jobs"][0]
    assert told["dependsOn"] == [{"jobId": first}]
    assert told["timeout"] == {"attemptDurationSeconds": 3600}
    assert {"name": "BATCHJOB_WORK", "value": "s3://b/w"} in told["container"]["environment"]
    call = submission(request, target)
    assert (call["shareIdentifier"], call["schedulingPriorityOverride"]) == ("documents", 10)


@pytest.mark.parametrize(
    "request_",
    [
        replace(REQUEST, children=0),
        replace(REQUEST, children=MAX_CHILDREN + 1),
        replace(REQUEST, name="a/b"),
        replace(REQUEST, name="a" * 129),
        replace(REQUEST, environment={"A": "あ" * (MAX_OVERRIDES // 3)}),
        replace(REQUEST, after=("a" * 40_000,)),
    ],
)
def test_what_goes_over_a_limit_is_not_sent(request_: JobRequest) -> None:
    with answering(SUBMITTED) as server, pytest.raises(UsageError):
        jobs_of(server).submit(request_)
    assert server.heads == []


@pytest.mark.parametrize("wrong", ["queue", "definition"])
def test_a_missing_queue_or_definition_is_said_with_what_to_check(
    batch_server: BatchServer, wrong: str
) -> None:
    queue = new_queue(batch_server)
    target = replace(queue.target, queue="no-such-queue")
    if wrong == "definition":
        target = replace(queue.target, definitions={"process": "no-such-definition"})
    with pytest.raises(UsageError, match=r"no-such-\w+.*BATCHJOB_JOB_QUEUE"):
        BatchJobs(queue.client, target).submit(REQUEST)


def test_denied_access_names_the_action() -> None:
    denied = refusal("403 Forbidden", "AccessDeniedException")
    with answering(denied) as server, pytest.raises(UsageError, match="allow the role batch:SubmitJob"):
        jobs_of(server).submit(REQUEST)


def test_a_call_refused_for_its_rate_is_repeated() -> None:
    slow_down = refusal("429 Too Many Requests", "TooManyRequestsException")
    with answering(slow_down, slow_down, SUBMITTED) as server:
        assert jobs_of(server).submit(REQUEST) == "id-1"
    assert len(server.heads) == 3


@pytest.mark.parametrize("said", [refusal("500 Internal Server Error", "ServerException"), b""])
def test_a_submission_without_a_sure_answer_is_never_repeated(said: bytes) -> None:
    with answering(said, SUBMITTED) as server, pytest.raises(TransientError):
        jobs_of(server).submit(REQUEST)
    assert len(server.heads) == 1


def test_what_changes_nothing_is_repeated() -> None:
    found = answer("200 OK", b'{"jobSummaryList": []}')
    with answering(b"", refusal("503 Unavailable", "ServerException"), found) as server:
        assert jobs_of(server).find("run-1") == []
    assert len(server.heads) == 3


def test_jobs_whose_names_differ_in_case_are_others() -> None:
    summaries = [
        {"jobId": name, "jobName": name, "status": "RUNNING", "createdAt": at}
        for at, name in enumerate(["RUN-1", "run-1"])
    ]
    with answering(answer("200 OK", json.dumps({"jobSummaryList": summaries}).encode())) as server:
        assert [job.id for job in jobs_of(server).find("run-1")] == ["run-1"]
