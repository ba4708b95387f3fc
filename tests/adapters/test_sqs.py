"""What only SQS can do wrong: refusals, damaged and lost answers, and what each becomes; and where a queue is."""

import json
from collections.abc import Iterator

import pytest

from batchjob.adapters.clock import SystemClock
from batchjob.adapters.queues import open_queue
from batchjob.adapters.sqs import SqsQueue, sqs_client
from batchjob.errors import TransientError, UsageError
from batchjob.ports import Message
from tests.support.answers import answer, answering


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    sqs_client.cache_clear()
    yield
    sqs_client.cache_clear()


def at(endpoint: str) -> SqsQueue:
    return SqsQueue(sqs_client(endpoint), f"{endpoint}/111122223333/events")


def told(**values: object) -> bytes:
    return answer("200 OK", json.dumps(values).encode(), headers=["Content-Type: application/x-amz-json-1.0"])


def refusal(status: str, code: str) -> bytes:
    return answer(status, json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "no"}).encode())


def receive(queue: SqsQueue) -> object:
    return queue.receive(limit=10, wait_seconds=0, visibility_seconds=30)


@pytest.mark.parametrize(
    ("status", "code", "kind", "word"),
    [
        ("400 Bad Request", "QueueDoesNotExist", UsageError, "no such queue"),
        ("400 Bad Request", "AccessDeniedException", TransientError, "access denied"),
        ("403 Forbidden", "InvalidClientTokenId", TransientError, "access denied"),
        ("400 Bad Request", "OverLimit", TransientError, "try again"),
        ("400 Bad Request", "KmsThrottled", TransientError, "try again"),
        ("400 Bad Request", "InvalidSecurity", UsageError, "InvalidSecurity"),
        ("503 Service Unavailable", "ServiceUnavailable", TransientError, "try again"),
    ],
)
def test_each_refusal_says_what_to_do(status: str, code: str, kind: type[Exception], word: str) -> None:
    with answering(refusal(status, code)) as server, pytest.raises(kind, match=word) as caught:
        receive(at(server.endpoint))
    assert "/111122223333/events" in str(caught.value)


DAMAGED = [
    b"HTTP/1.1 200 OK\r\nContent-Le",
    answer("200 OK", b'{"Successful": [', headers=["Content-Length: 100"]),
    answer("200 OK", b'{"Successful": ['),
    told(),
]


@pytest.mark.parametrize("damaged", DAMAGED)
def test_what_a_damaged_answer_does_not_tell_is_not_done(damaged: bytes) -> None:
    with answering(damaged) as server:
        queue = at(server.endpoint)
        assert [*queue.delete({"a": "r1", "b": "r2"})] == ["a", "b"]
        assert [*queue.extend({"a": "r1"}, 30)] == ["a"]
        with pytest.raises(TransientError, match="try again"):
            queue.send([Message("a", "body", "")])


@pytest.mark.parametrize("damaged", [b"", told(Messages=[{"MessageId": "1"}])])
def test_an_answer_without_sense_is_an_outage(damaged: bytes) -> None:
    with answering(damaged) as server, pytest.raises(TransientError, match="try again"):
        receive(at(server.endpoint))


def test_a_failure_that_passes_is_asked_again() -> None:
    with answering(refusal("503 Service Unavailable", "ServiceUnavailable"), told(Messages=[])) as server:
        assert receive(at(server.endpoint)) == []
    assert len(server.heads) == 2


def test_of_a_batch_those_that_failed_are_named() -> None:
    failed = [{"Id": "1", "Code": "InternalError", "SenderFault": False}]
    with answering(told(Successful=[{"Id": "0"}], Failed=failed)) as server:
        assert at(server.endpoint).delete({"a": "r1", "b": "r2"}) == {"b": "InternalError: "}
        assert [*at(server.endpoint).extend({"a": "r1", "b": "r2"}, 30)] == ["b"]


def test_a_message_that_is_refused_stays_and_the_others_are_sent() -> None:
    answers = (
        refusal("400 Bad Request", "InvalidMessageContents"),
        told(MessageId="1", MD5OfMessageBody="x"),
    )
    with answering(*answers) as server:
        refused = at(server.endpoint).send([Message("a", "\x01", ""), Message("b", "body", "")])
    assert [*refused] == ["a"]
    assert "InvalidMessageContents" in refused["a"]


def test_nobody_there_is_an_outage() -> None:
    with answering(b"") as server:
        queue = at(server.endpoint)
    with pytest.raises(TransientError, match="try again"):
        receive(queue)


@pytest.mark.parametrize(
    ("url", "region", "endpoint"),
    [
        (
            "https://sqs.ap-northeast-1.amazonaws.com/111122223333/events",
            "ap-northeast-1",
            "https://sqs.ap-northeast-1.amazonaws.com",
        ),
        (
            "https://eu-west-1.queue.amazonaws.com/111122223333/events",
            "eu-west-1",
            "https://sqs.eu-west-1.amazonaws.com",
        ),
        ("http://127.0.0.1:9324/000000000000/events", "us-west-2", "http://127.0.0.1:9324"),
    ],
)
def test_the_url_says_where_the_queue_is(
    url: str, region: str, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    queue = open_queue(url, SystemClock())
    assert queue.url == url
    client = sqs_client(url.partition("/1111")[0].partition("/0000")[0])
    assert (client.meta.region_name, client.meta.endpoint_url) == (region, endpoint)
