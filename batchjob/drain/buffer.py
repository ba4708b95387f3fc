"""What a receiver holds between two flushes: rows, unreadable messages, and the receipts to delete them by."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from batchjob.drain.filters import KeyFilter
from batchjob.drain.messages import Shape, latest_of_each, parse
from batchjob.drain.quarantine import QuarantinedMessage
from batchjob.ports import Message
from batchjob.records import Action, ManifestRow

PROBLEMS_NAMED = 5
"""Of a message with many records."""


@dataclass(slots=True)
class Buffer:
    """`receipts` are the latest of each message, by its id; `counted` what the messages were."""

    receipts: dict[str, str] = field(default_factory=dict)
    rows: dict[tuple[str, str], ManifestRow] = field(default_factory=dict)
    unreadable: list[QuarantinedMessage] = field(default_factory=list)
    unreadable_bytes: int = 0
    counted: Counter[str] = field(default_factory=Counter)
    shapes: Counter[str] = field(default_factory=Counter)

    def add(self, message: Message, keys: KeyFilter, now_ms: int) -> None:
        """A message that is held already only brings a newer receipt."""
        known = message.id in self.receipts
        self.receipts[message.id] = message.receipt
        self.counted["messages"] += not known
        self.counted["redelivered"] += known
        if known:
            return
        parsed = parse(message.body)
        self.shapes["sns+" * bool(parsed.wrappings) + parsed.shape] += 1
        self.counted["test_events"] += parsed.shape is Shape.S3_TEST
        taken = [row for row in parsed.rows if keys.takes(row.key)]
        self.counted["events"] += len(taken)
        self.counted["deletions"] += sum(row.action is Action.DELETE for row in taken)
        self.counted["passed_over"] += len(parsed.rows) - len(taken)
        latest_of_each(taken, self.rows)
        if parsed.problems:
            self._quarantine(message, _reason(parsed.problems), now_ms)

    def _quarantine(self, message: Message, reason: str, now_ms: int) -> None:
        self.counted["quarantined"] += 1
        self.unreadable_bytes += len(message.body)
        self.unreadable.append(
            QuarantinedMessage(message.id, reason, message.received, message.sent_at, now_ms, message.body)
        )


def _reason(problems: Sequence[str]) -> str:
    more = f"; and {len(problems) - PROBLEMS_NAMED} more" if len(problems) > PROBLEMS_NAMED else ""
    return "; ".join(problems[:PROBLEMS_NAMED]) + more
