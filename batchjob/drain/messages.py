"""What a message of the queue says: the rows of all shapes in which events of S3 arrive."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from batchjob.records import Action, ManifestRow

MAX_WRAPPINGS = 3
"""Envelopes of SNS that are opened; one is usual."""
MAX_KEY_BYTES = 1024
"""The longest key of S3, in UTF-8 (S3 User Guide, "Naming Amazon S3 objects")."""
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
"""Names of buckets, old ones too. Nothing else may pass: a `file:` URI would name a folder of this machine."""
BROKEN_TEMPLATE = re.compile(r'\A\s*\{\s*"s3Bucket"')
DELETIONS = ("ObjectRemoved:", "LifecycleExpiration:")


class Shape(StrEnum):
    """How an event came; docs/intake.md shows each."""

    TEMPLATE = "template"
    EVENTBRIDGE = "eventbridge"
    S3_NOTIFICATION = "s3_notification"
    S3_TEST = "s3_test"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Parsed:
    """`problems` name what could not be read; the rows beside them could. `wrappings`: envelopes of SNS around it."""

    shape: Shape
    rows: tuple[ManifestRow, ...] = ()
    problems: tuple[str, ...] = ()
    wrappings: int = 0


def parse(body: str) -> Parsed:
    """Reads a message, whatever it is: what makes no sense is a problem, never an error."""
    try:
        event, wrappings = _unwrapped(body)
        shape = _shape(event)
    except ValueError as error:
        return Parsed(Shape.UNREADABLE, problems=(str(error),))
    if shape is Shape.S3_TEST:
        return Parsed(shape, wrappings=wrappings)
    records, read = _READERS[shape](event)
    rows: list[ManifestRow] = []
    problems: list[str] = []
    for number, record in enumerate(records, 1):
        try:
            rows.append(read(record))
        except ValueError as error:
            problems.append(f"record {number}: {error}" if len(records) > 1 else str(error))
    if not records:
        problems.append("its list of records is empty")
    return Parsed(shape, tuple(rows), tuple(problems), wrappings)


def _unwrapped(body: str) -> tuple[dict[str, Any], int]:
    """The innermost message, and how many envelopes of SNS were around it."""
    for wrappings in range(MAX_WRAPPINGS + 1):
        event = _json_object(body)
        kind = event.get("Type")
        if kind in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
            raise ValueError(f"SNS asks to confirm: {kind} of topic {event.get('TopicArn')!r}")
        if kind != "Notification" or not isinstance(event.get("Message"), str):
            return event, wrappings
        body = event["Message"]
    raise ValueError(f"wrapped by SNS more than {MAX_WRAPPINGS} times")


def _json_object(body: str) -> dict[str, Any]:
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        hint = ""
        if BROKEN_TEMPLATE.match(body):
            hint = '; an input template must not quote its placeholders: {"s3Key": <key>}'
        raise ValueError(f"not JSON: {error}{hint}") from None
    if not isinstance(event, dict):
        raise ValueError(f"JSON, but no object: {type(event).__name__}")
    return event


def _shape(event: Mapping[str, Any]) -> Shape:
    if "s3Key" in event:
        return Shape.TEMPLATE
    if "detail-type" in event:
        return Shape.EVENTBRIDGE
    if isinstance(event.get("Records"), list):
        return Shape.S3_NOTIFICATION
    if event.get("Event") == "s3:TestEvent":
        return Shape.S3_TEST
    raise ValueError(
        f"none of the known shapes; its fields are {', '.join(sorted(event)[:10])[:200] or 'none'}"
    )


Record = Mapping[str, Any]
Reader = Callable[[Record], ManifestRow]


def _one(read: Reader) -> Callable[[Record], tuple[list[Record], Reader]]:
    return lambda event: ([event], read)


def _template(event: Record) -> ManifestRow:
    """What an input transformer of EventBridge made of an event: its keys are not encoded."""
    return _row(
        event.get("s3Bucket"),
        event.get("s3Key"),
        deleted=event.get("detailType") == "Object Deleted",
        size=event.get("fileSize"),
        etag=event.get("etag"),
        version_id=event.get("versionId"),
        sequencer=event.get("sequencer"),
        event_time=event.get("eventTime"),
    )


def _eventbridge(event: Record) -> ManifestRow:
    """(EventBridge, "Amazon S3 event message structure"); its keys are not encoded."""
    if event.get("source") != "aws.s3":
        raise ValueError(f"an event of {event.get('source')!r}, not of aws.s3")
    found = _at(event, "detail", "object")
    return _row(
        _at(event, "detail", "bucket").get("name"),
        found.get("key"),
        deleted=event["detail-type"] == "Object Deleted",
        size=found.get("size"),
        etag=found.get("etag"),
        version_id=found.get("version-id"),
        sequencer=found.get("sequencer"),
        event_time=event.get("time"),
    )


def _notification(event: Record) -> tuple[list[Record], Reader]:
    return event["Records"], _notification_record


def _notification_record(record: Record) -> ManifestRow:
    """(S3 User Guide, "Event message structure"); its keys are encoded as in an HTML form."""
    found = _at(record, "s3", "object")
    name = str(record.get("eventName", "")).removeprefix("s3:")
    return _row(
        _at(record, "s3", "bucket").get("name"),
        _form_decoded(found.get("key")),
        deleted=name.startswith(DELETIONS),
        size=found.get("size"),
        etag=found.get("eTag"),
        version_id=found.get("versionId"),
        sequencer=found.get("sequencer"),
        event_time=record.get("eventTime"),
    )


_READERS: dict[Shape, Callable[[Record], tuple[list[Record], Reader]]] = {
    Shape.TEMPLATE: _one(_template),
    Shape.EVENTBRIDGE: _one(_eventbridge),
    Shape.S3_NOTIFICATION: _notification,
}


def _at(record: object, *path: str) -> Record:
    for depth, name in enumerate(path, 1):
        record = record.get(name) if isinstance(record, dict) else None
        if not isinstance(record, dict):
            raise ValueError(f"no object {'.'.join(path[:depth])} in it")
    return record  # type: ignore[return-value]


def _form_decoded(key: object) -> object:
    if not isinstance(key, str):
        return key
    try:
        return unquote_to_bytes(key.replace("+", " ")).decode()
    except UnicodeDecodeError:
        raise ValueError(f"key {key[:200]!r} is not UTF-8 once it is decoded") from None


def _row(
    bucket: object,
    key: object,
    *,
    deleted: bool,
    size: object,
    etag: object,
    version_id: object,
    sequencer: object,
    event_time: object,
) -> ManifestRow:
    """Bucket and key must be right; all else are hints, and one that makes no sense is left out."""
    if not isinstance(bucket, str) or not BUCKET.fullmatch(bucket):
        raise ValueError(f"{_excerpt(bucket)} is no bucket's name")
    if not isinstance(key, str) or not key:
        raise ValueError(f"{_excerpt(key)} is no key")
    length = len(key.encode())
    if length > MAX_KEY_BYTES:
        raise ValueError(f"key {key[:100]!r}… is {length} bytes long; S3's longest are {MAX_KEY_BYTES}")
    tag = _text(etag)
    return ManifestRow(
        bucket,
        key,
        Action.DELETE if deleted else Action.UPSERT,
        version_id=_text(version_id),
        size=_whole(size),
        etag=f'"{tag.strip(chr(34))}"' if tag else None,
        event_time=_milliseconds(event_time),
        sequencer=_text(sequencer),
    )


def _excerpt(value: object) -> str:
    return repr(value)[:100]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= MAX_KEY_BYTES else None


def _whole(value: object) -> int | None:
    """The quoted template makes a text of the size."""
    digits = str(value) if isinstance(value, int | str) else ""
    return int(digits) if re.fullmatch(r"[0-9]{1,18}", digits) else None


def _milliseconds(value: object) -> int | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def is_newer(row: ManifestRow, held: ManifestRow) -> bool:
    """Whether an event of the same object is later; the later arrival where neither tells.

    Sequencers compare as text once the shorter is padded with zeros (S3 User Guide, "Event message structure").
    """
    if row.sequencer and held.sequencer:
        width = max(len(row.sequencer), len(held.sequencer))
        return row.sequencer.ljust(width, "0") >= held.sequencer.ljust(width, "0")
    return (row.event_time or 0) >= (held.event_time or 0)


def latest_of_each(rows: Iterable[ManifestRow], held: dict[tuple[str, str], ManifestRow]) -> None:
    """Adds rows to those held by bucket and key: one an object, the latest."""
    for row in rows:
        place = (row.bucket, row.key)
        if place not in held or is_newer(row, held[place]):
            held[place] = row
