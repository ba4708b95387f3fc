"""What every queue promises; the same tests over a queue in a file and over ElasticMQ."""

import time
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from batchjob.adapters.clock import SystemClock
from batchjob.adapters.queues import open_queue
from batchjob.errors import UsageError
from batchjob.ports import BATCH, DeadLetters, Message
from tests.support.servers import SqsServer

BODIES = [
    "plain",
    '{"key": "請求書 +%2B\\" 😀"}',
    "line\nbreak\ttab\r\n",
    "x" * 100_000,
]


@pytest.fixture(params=["local", "elasticmq"])
def queue(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeadLetters:
    if request.param == "local":
        return open_queue((tmp_path / "queue file %.db").as_uri(), SystemClock())
    server: SqsServer = request.getfixturevalue("sqs")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return open_queue(server.new_queue(), SystemClock())


def send(queue: DeadLetters, *bodies: str) -> None:
    assert queue.send([Message(str(uuid4()), body, "") for body in bodies]) == {}


def receive(queue: DeadLetters, limit: int = BATCH, visible_after: int = 30) -> Sequence[Message]:
    return queue.receive(limit=limit, wait_seconds=1, visibility_seconds=visible_after)


def receipts(messages: Sequence[Message]) -> dict[str, str]:
    return {message.id: message.receipt for message in messages}


def test_bodies_and_attributes_come_as_they_were_sent(queue: DeadLetters) -> None:
    before = time.time() * 1000
    queue.send(
        [Message("1", body, "", attributes={"ERROR_CODE": "NO_PERMISSIONS", "日本": "値"}) for body in BODIES]
    )
    found = receive(queue)
    assert sorted(message.body for message in found) == sorted(BODIES)
    assert all(message.attributes == {"ERROR_CODE": "NO_PERMISSIONS", "日本": "値"} for message in found)
    assert len({message.id for message in found}) == len(BODIES)
    assert all(message.received == 1 for message in found)
    assert all(before - 2000 <= (message.sent_at or 0) <= time.time() * 1000 + 2000 for message in found)


def test_what_was_received_is_hidden_until_it_is_given_back(queue: DeadLetters) -> None:
    send(queue, "one", "two", "three")
    assert queue.counts().visible == 3
    first = receive(queue, limit=2)
    assert (len(first), queue.counts().visible, queue.counts().in_flight) == (2, 1, 2)
    assert len(receive(queue)) == 1
    assert receive(queue) == []
    assert queue.extend(receipts(first[:1]), 0) == {}
    [again] = receive(queue)
    assert (again.id, again.received) == (first[0].id, 2)


def test_what_was_deleted_never_comes_back(queue: DeadLetters) -> None:
    send(queue, *map(str, range(BATCH)))
    found = receive(queue, visible_after=1)
    assert len(found) == BATCH
    assert queue.delete(receipts(found[:7])) == {}
    time.sleep(1.1)
    assert sorted(message.body for message in receive(queue)) == sorted(m.body for m in found[7:])


def test_an_earlier_receipt_deletes_nothing_and_is_named(queue: DeadLetters) -> None:
    send(queue, "one", "two")
    first = receive(queue)
    queue.extend(receipts(first), 0)
    second = receive(queue)
    assert len(second) == 2
    mixed = receipts(second[:1]) | receipts([m for m in first if m.id == second[1].id])
    assert [*queue.delete(mixed)] == [second[1].id]
    assert queue.delete(receipts(second[1:])) == {}
    assert (queue.counts().visible, queue.counts().in_flight) == (0, 0)


def test_more_time_keeps_a_message_hidden(queue: DeadLetters) -> None:
    send(queue, "one")
    first = receive(queue, visible_after=1)
    assert queue.extend(receipts(first), 30) == {}
    time.sleep(1.1)
    assert receive(queue) == []
    assert queue.delete(receipts(first)) == {}


def test_a_waiting_receiver_gets_what_comes_meanwhile(queue: DeadLetters) -> None:
    assert receive(queue) == []
    send(queue, "late")
    assert [m.body for m in queue.receive(limit=1, wait_seconds=20, visibility_seconds=30)] == ["late"]


@pytest.mark.parametrize(
    "url", ["", "queue", "ftp://host/1/q", "https://host/", "https://host/queue", "file://relative"]
)
def test_what_names_no_queue_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="no queue's URL"):
        open_queue(url, SystemClock())


def test_a_missing_queue_is_named(sqs: SqsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sqs.environment().items():
        monkeypatch.setenv(name, value)
    url = f"{sqs.endpoint}/000000000000/missing"
    missing = open_queue(url, SystemClock())
    with pytest.raises(UsageError, match=r"missing.*no such queue"):
        receive(missing)
    with pytest.raises(UsageError, match="no folder"):
        open_queue((tmp_path / "missing" / "queue").as_uri(), SystemClock())
