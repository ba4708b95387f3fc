"""Messages that nobody can read, kept with the reason: one file of JSON lines a flush of a receiver."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from batchjob.runs import damaged


@dataclass(frozen=True, slots=True)
class QuarantinedMessage:
    """`received`: how often it was handed out; `sent_at` and `quarantined_at` in ms; `body` as it came."""

    message_id: str
    reason: str
    received: int
    sent_at: int | None
    quarantined_at: int
    body: str


def to_lines(messages: Iterable[QuarantinedMessage]) -> bytes:
    """ASCII only, so that half of a surrogate pair in a body is kept too."""
    return "".join(json.dumps(asdict(message)) + "\n" for message in messages).encode("ascii")


def from_lines(key: str, data: bytes) -> list[QuarantinedMessage]:
    """The messages of the file `key`. Raises UsageError where it is damaged."""
    try:
        return [QuarantinedMessage(**json.loads(line)) for line in data.splitlines()]
    except (ValueError, TypeError):
        raise damaged(key, "messages, one a line") from None
