"""One body against a server that gives prepared answers: what is sent again, and what is believed."""

import json
from typing import Any

import pytest

from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.errors import MachineError, TransientError, UsageError
from batchjob.reduce.bulk import (
    LONE_REFUSALS,
    Delivery,
    Operation,
    Sender,
    deliver,
    join_operations,
    split_operations,
)
from batchjob.reduce.retrying import Patience
from tests.support.answers import answer, answering

JSON = "Content-Type: application/json"
ALL_WELL = answer("200 OK", b'{"errors":false}', headers=[JSON])


def body(count: int) -> bytes:
    return join_operations(
        Operation(json.dumps({"index": {"_id": str(n)}}).encode(), b'{"file_id":"x"}') for n in range(count)
    )


def items(*statuses: int, kind: str = "mapper_parsing_exception") -> bytes:
    told: list[dict[str, Any]] = [
        {"index": {"status": status} | ({"error": {"type": kind, "reason": "why"}} if status >= 400 else {})}
        for status in statuses
    ]
    return answer("200 OK", json.dumps({"errors": True, "items": told}).encode(), headers=[JSON])


def delivered(*answers: bytes, count: int = 2) -> tuple[Delivery, int]:
    with answering(*answers) as server:
        index = OpenSearchIndex(server.endpoint, timeout=5)
        delivery = deliver(Sender(index, "alias", patience=Patience(1.5)), body(count))
        return delivery, len(server.heads)


def test_only_what_was_turned_away_is_sent_again() -> None:
    delivery, requests = delivered(items(201, 429, 503, 409), items(429, 200), ALL_WELL, count=4)
    assert (requests, delivery.retries, delivery.pending, delivery.rejections) == (3, 2, [], [])


def test_a_refusal_for_good_is_kept_while_others_are_sent_again() -> None:
    delivery, requests = delivered(items(400, 429), ALL_WELL)
    assert requests == 2
    assert [rejection.operation.doc_id for rejection in delivery.rejections] == ["0"]


@pytest.mark.parametrize(
    "useless",
    [
        answer("200 OK", b"{}", headers=[JSON]),
        answer("200 OK", b'{"errors":true}', headers=[JSON]),
        answer("200 OK", b'{"errors":true,"items":[{"index":{}},{"index":{"status":200}}]}', headers=[JSON]),
        answer("200 OK", b'{"errors":true,"items":[{}, {}]}', headers=[JSON]),
        answer("200 OK", b"<html>", headers=["Content-Type: text/html"]),
        answer("503 Unavailable"),
        answer("429 Too Many Requests"),
        items(201),
    ],
)
def test_an_answer_that_says_nothing_is_asked_for_again(useless: bytes) -> None:
    delivery, requests = delivered(useless, ALL_WELL)
    assert (requests, delivery.pending, delivery.rejections) == (2, [], [])


def test_a_body_too_large_is_halved_until_it_fits() -> None:
    too_large = answer("413 Content Too Large")
    delivery, requests = delivered(too_large, ALL_WELL, too_large, ALL_WELL, ALL_WELL, count=4)
    assert (requests, delivery.pending, delivery.rejections) == (5, [], [])


def test_a_document_too_large_by_itself_is_rejected() -> None:
    too_large = answer("413 Content Too Large")
    delivery, _ = delivered(too_large, ALL_WELL, *[too_large] * LONE_REFUSALS)
    assert [(r.operation.doc_id, r.item.status) for r in delivery.rejections] == [("1", 413)]


@pytest.mark.parametrize(
    ("answered", "error"),
    [
        (items(201, 403, kind="cluster_block_exception"), MachineError),
        (items(201, 401, kind="security_exception"), MachineError),
        (items(400, 201, kind="index_closed_exception"), MachineError),
        (items(400, 201, kind="illegal_argument_exception"), MachineError),
        (items(404, 404, kind="index_not_found_exception"), UsageError),
    ],
)
def test_a_machines_failure_decides_nothing(answered: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        delivered(answered)


@pytest.mark.parametrize(
    "docs",
    [
        [{"_id": "a", "found": True, "_version": 1, "_source": {}}],
        [{"_id": "a", "found": False}, {"_id": "b", "error": {"type": "shard_failed"}}],
        [{"_id": "a", "found": True}, {"_id": "b", "found": False}],
    ],
)
def test_reading_back_believes_no_half_answer(docs: list[dict[str, Any]]) -> None:
    told = answer("200 OK", json.dumps({"docs": docs}).encode(), headers=[JSON])
    with answering(told) as server, pytest.raises(TransientError):
        OpenSearchIndex(server.endpoint, timeout=5).documents("index", ["a", "b"], ["etag"])


def test_a_password_in_the_url_is_in_no_message() -> None:
    with answering(answer("503 Unavailable")) as server:
        url = server.endpoint.replace("http://", "http://user:hush@")
        with pytest.raises(TransientError) as caught:
            OpenSearchIndex(url, timeout=5).version()
    assert "hush" not in str(caught.value)
    assert server.endpoint in str(caught.value)


def test_operations_survive_a_body() -> None:
    operations = [
        Operation(b'{"index":{"_id":"1"}}', '{"a":"\u2028\u0085"}'.encode()),
        Operation(b"{}", b"{}"),
    ]
    assert split_operations(join_operations(operations)) == operations


def test_a_half_that_landed_is_not_sent_again() -> None:
    with answering(answer("413 Too Large"), ALL_WELL, answer("503 Busy"), ALL_WELL) as server:
        index = OpenSearchIndex(server.endpoint, timeout=5)
        delivery = deliver(Sender(index, "alias", patience=Patience(1.5)), body(40))
        lengths = [
            int(line.split(b":")[1])
            for head in server.heads
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        ]
    assert (delivery.requests, delivery.pending) == (4, [])
    whole, first, second, again = lengths
    assert whole > first
    assert second == again
