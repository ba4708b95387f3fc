"""Events of S3 in every shape in which they may arrive, each made as its sender makes it, and what they mean."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote_plus

BUCKET = "documents"
TIME = "2026-11-23T03:15:00Z"
TIME_MS = 1_795_403_700_000
ETAG = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Event:
    """One change of one object; `version` of a versioned bucket, `marker`: the deletion left a marker."""

    key: str
    deleted: bool = False
    version: str | None = None
    marker: bool = False
    size: int = 1234
    sequencer: str = "0062E99A88DC407460"


def template(event: Event) -> str:
    """EventBridge's input transformer, string placeholders unquoted."""
    created = "" if event.deleted else f', "fileSize": {event.size}, "etag": {json.dumps(ETAG)}'
    deleted = ', "detailType": "Object Deleted"' if event.deleted else ""
    key = json.dumps(event.key, ensure_ascii=False)
    return f'{{"s3Bucket": "{BUCKET}", "s3Key": {key}{created}, "eventTime": "{TIME}"{deleted}}}'


def quoted_template(event: Event) -> str:
    """The template that quotes its placeholders: no JSON where the key contains a quotation mark."""
    return (
        f'{{"s3Bucket": "{BUCKET}", "s3Key": "{event.key}", "fileSize": "{event.size}", '
        f'"etag": "{ETAG}", "eventTime": "{TIME}"}}'
    )


def eventbridge(event: Event) -> str:
    found: dict[str, object] = {"key": event.key, "sequencer": event.sequencer}
    detail: dict[str, object] = {
        "version": "0",
        "bucket": {"name": BUCKET},
        "object": found,
        "requester": "1",
    }
    if event.deleted:
        detail |= {"reason": "DeleteObject"}
        detail |= {"deletion-type": "Delete Marker Created" if event.marker else "Permanently Deleted"}
    else:
        found |= {"size": event.size, "etag": ETAG}
        detail |= {"reason": "PutObject"}
    if event.version:
        found["version-id"] = event.version
    kind = "Object Deleted" if event.deleted else "Object Created"
    return json.dumps(
        {"version": "0", "id": "17793124", "detail-type": kind, "source": "aws.s3", "account": "111122223333"}
        | {
            "time": TIME,
            "region": "ap-northeast-1",
            "resources": [f"arn:aws:s3:::{BUCKET}"],
            "detail": detail,
        }
    )


def notification(*events: Event) -> str:
    return json.dumps({"Records": [_record(event) for event in events]})


def _record(event: Event) -> dict[str, object]:
    found: dict[str, object] = {"key": quote_plus(event.key), "sequencer": event.sequencer}
    if not event.deleted:
        found |= {"size": event.size, "eTag": ETAG}
    if event.version:
        found["versionId"] = event.version
    name = "ObjectCreated:Put"
    if event.deleted:
        name = "ObjectRemoved:DeleteMarkerCreated" if event.marker else "ObjectRemoved:Delete"
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "ap-northeast-1",
        "eventTime": TIME.replace("Z", ".000Z"),
        "eventName": name,
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": BUCKET}, "object": found},
    }


def by_sns(body: str) -> str:
    return json.dumps(
        {"Type": "Notification", "MessageId": "22b80b92", "TopicArn": "arn:aws:sns:ap-northeast-1:1:events"}
        | {"Subject": "Amazon S3 Notification", "Message": body, "Timestamp": "2026-11-23T03:15:00.000Z"}
    )


TEST_EVENT = json.dumps(
    {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-11-23T03:15:00.000Z", "Bucket": BUCKET}
)
SUBSCRIPTION = json.dumps(
    {
        "Type": "SubscriptionConfirmation",
        "TopicArn": "arn:aws:sns:ap-northeast-1:1:events",
        "Message": "You have chosen",
    }
)
SHAPES: dict[str, Callable[[Event], str]] = {
    "template": template,
    "eventbridge": eventbridge,
    "s3_notification": notification,
}


@dataclass(frozen=True)
class Mixed:
    """Messages of mixed shapes, and what a drain of them must come to."""

    bodies: list[str]
    keys: set[str]
    """The objects that are named by at least one readable event and count as documents."""
    deleted: set[str]
    """Those of them whose latest event says that they are gone."""
    garbage: int
    passed_over: int
    test_events: int
    events: int


def mixed(count: int, seed: int) -> Mixed:
    """`count` messages: 5 % repeat an earlier one, 1 % are garbage, 2 % deletions, some of other files, some tests."""
    dice = random.Random(seed)
    made = Mixed([], set(), set(), 0, 0, 0, 0)
    garbage = passed_over = tests = events = 0
    readable: list[tuple[str, int]] = []
    while len(made.bodies) < count:
        number, chance = len(made.bodies), dice.random()
        if chance < 0.01:
            body, garbage = dice.choice(GARBAGE).replace("N", str(number)), garbage + 1
        elif chance < 0.06 and readable:
            body, repeated = dice.choice(readable)
            events += repeated
        elif chance < 0.065:
            body, passed_over = eventbridge(Event(f"files/{number}.docx")), passed_over + 1
        elif chance < 0.066:
            body, tests = TEST_EVENT, tests + 1
        else:
            body, keys, deleted = _message(dice, number)
            made.keys.update(keys)
            made.deleted.update(keys[:deleted])
            events += len(keys)
            readable.append((body, len(keys)))
        made.bodies.append(body)
    return Mixed(made.bodies, made.keys, made.deleted, garbage, passed_over, tests, events)


def _message(dice: random.Random, number: int) -> tuple[str, list[str], bool]:
    deleted = dice.random() < 0.02
    event = Event(f"files/部署 {number % 97}/請求書+{number}%2B.PDF", deleted, sequencer=f"{number:018X}")
    shape = dice.choice([*SHAPES])
    events = [event]
    if shape == "s3_notification" and number % 10 == 0:
        events.append(Event(f"files/second of {number}.tif"))
    body = notification(*events) if shape == "s3_notification" else SHAPES[shape](event)
    return by_sns(body) if dice.random() < 0.2 else body, [event.key for event in events], deleted


GARBAGE = [
    "garbage N",
    '{"s3Bucket": "documents", "s3Key": "a "N".pdf", "fileSize": "1"}',
    '{"Records": [{"s3": {"object": {"key": "N.pdf"}}}]}',
    '["N.pdf"]',
]
