"""Messages that nobody took: why, without consuming them, and back to the queue of events."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from batchjob.drain.messages import parse
from batchjob.errors import TransientError, UsageError
from batchjob.ports import BATCH, DeadLetters, Message, Move, Queue, QueueCounts, in_batches

Receive = Callable[[int], list[Message]]

HOLD_SECONDS = 300
"""How long a message that was looked at stays hidden where nobody gives it back."""
WAIT_SECONDS = 2
"""A queue of SQS is empty where a long poll says so; a short one asks a few of its servers only."""
SAMPLES = 3
MOVE_LOOK_SECONDS = 1.0
LOST = Move("failed", 0, "the service knows of no move")
NEVER_DELETED = "readable, but not deleted in time: the drains that held it were ended, or were too slow"
EVENTBRIDGE = frozenset(
    {
        "RULE_ARN",
        "TARGET_ARN",
        "ERROR_CODE",
        "ERROR_MESSAGE",
        "EXHAUSTED_RETRY_CONDITION",
        "RETRY_ATTEMPTS",
    }
)
"""Attributes by which EventBridge says why it gave up (EventBridge User Guide, "Using dead-letter queues")."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A message, its objects' keys where it can be read, and why it is there in full."""

    message: Message
    keys: tuple[str, ...]
    reason: str


@dataclass(slots=True)
class Group:
    """Messages of one cause, and the first few of them."""

    cause: str
    count: int = 0
    samples: list[Sample] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Inspection:
    """`looked_at` messages by cause, the most frequent first; `counts` is about what is in the queue."""

    counts: QueueCounts
    looked_at: int
    groups: list[Group]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which messages to redrive: all, or those whose cause and body contain these words."""

    cause: str = ""
    contains: str = ""

    @property
    def is_all(self) -> bool:
        return not (self.cause or self.contains)

    def takes(self, message: Message) -> bool:
        return self.contains in message.body and self.cause in why(message)[0]


@dataclass(slots=True)
class Redriven:
    """`moved` messages (about, where the `service` moved them); others were `left`, or the queue `refused` them."""

    service: bool = False
    moved: int = 0
    left: int = 0
    refused: dict[str, str] = field(default_factory=dict)


def why(message: Message) -> tuple[str, str]:
    """The cause that messages have in common, and what is to be said of this one."""
    code = message.attributes.get("ERROR_CODE")
    if code:
        return f"EventBridge could not deliver: {code}", message.attributes.get("ERROR_MESSAGE", "")
    problems = parse(message.body).problems
    if not problems:
        return NEVER_DELETED, f"handed out {message.received - 1} times before"
    return f"unreadable: {_in_common(problems[0])}", "; ".join(problems)[:1000]


def _in_common(problem: str) -> str:
    """What a problem says without what it says of this message only."""
    text = re.sub(r"\Arecord \d+: ", "", problem)
    text = re.sub(r"\A((?:not JSON|none of the known shapes))\b.*", r"\1", text, flags=re.DOTALL)
    return re.sub(r"'.*'|\".*\"|(?<!UTF-)\d+", "…", text, flags=re.DOTALL)


def inspect(dead: Queue, limit: int, wait_seconds: int = WAIT_SECONDS) -> Inspection:
    """Groups up to `limit` messages by cause, and gives them back. Raises TransientError, UsageError."""
    groups: dict[str, Group] = {}
    with _held(dead, wait_seconds) as receive:
        counts = dead.counts()
        looked_at = 0
        while looked_at < limit and (found := receive(min(BATCH, limit - looked_at))):
            looked_at += len(found)
            for message in found:
                _add(groups, message)
    return Inspection(counts, looked_at, sorted(groups.values(), key=lambda group: -group.count))


def _add(groups: dict[str, Group], message: Message) -> None:
    cause, reason = why(message)
    group = groups.setdefault(cause, Group(cause))
    group.count += 1
    if len(group.samples) < SAMPLES:
        keys = tuple(row.key for row in parse(message.body).rows)
        group.samples.append(Sample(message, keys, reason))


@contextmanager
def _held(dead: Queue, wait_seconds: int) -> Iterator[Receive]:
    """A way to receive each message once; at the end all that are still there are given back at once."""
    held: dict[str, str] = {}

    def receive(limit: int) -> list[Message]:
        """The next that were not seen before: in a long round, the first of those held show again."""
        seen_again = 0
        while seen_again <= len(held):
            found = dead.receive(limit=limit, wait_seconds=wait_seconds, visibility_seconds=HOLD_SECONDS)
            new = [message for message in found if message.id not in held]
            held.update((message.id, message.receipt) for message in found)
            if new or not found:
                return new
            seen_again += len(found)
        return []

    try:
        yield receive
    finally:
        for batch in in_batches(held):
            dead.extend(batch, 0)


def count_chosen(dead: DeadLetters, choice: Choice, wait_seconds: int = WAIT_SECONDS) -> Redriven:
    """What `redrive` would move and leave, which needs a look at each message. Changes nothing."""
    told = Redriven(service=choice.is_all and dead.can_move())
    with _held(dead, wait_seconds) as receive:
        while found := receive(BATCH):
            chosen = sum(map(choice.takes, found))
            told.moved += chosen
            told.left += len(found) - chosen
    return told


def redrive(
    dead: DeadLetters,
    target: DeadLetters,
    choice: Choice,
    rate: int | None,
    pause: Callable[[float], None] = time.sleep,
    wait_seconds: int = WAIT_SECONDS,
) -> Redriven:
    """Moves messages to `target`, at most `rate` a second: by the service where it can, else by copy, then delete.

    What ends a copy between the two leaves a message in both, which a drain takes for one event.
    Raises TransientError, UsageError.
    """
    if dead.url == target.url:
        raise UsageError(
            f"messages of {dead.url} would go where they are: name the queue of events with --to"
        )
    if choice.is_all and dead.can_move():
        _check_idle(dead)
        dead.start_move(target.url, rate)
        return _watch(dead, pause)
    with _held(dead, wait_seconds) as receive:
        return _copy(dead, target, receive, choice, rate, pause)


def _check_idle(dead: DeadLetters) -> None:
    """Raises TransientError while the service moves messages already: it moves a queue once at a time."""
    move = dead.move()
    if move is not None and move.state == "running":
        raise TransientError(
            f"a move of messages of {dead.url} is running, with about {move.moved} moved: wait until it ends",
            cause="move_running",
        )


def _watch(dead: DeadLetters, pause: Callable[[float], None]) -> Redriven:
    while (move := dead.move() or LOST).state == "running":
        pause(MOVE_LOOK_SECONDS)
    if move.state == "failed":
        raise TransientError(
            f"the service stopped moving messages of {dead.url} after about {move.moved}: "
            f"{move.why or 'it does not say why'}; try again",
            cause="queue_unavailable",
        )
    return Redriven(service=True, moved=move.moved)


def _copy(
    dead: Queue,
    target: DeadLetters,
    receive: Receive,
    choice: Choice,
    rate: int | None,
    pause: Callable[[float], None],
) -> Redriven:
    told = Redriven()
    while found := receive(min(BATCH, rate or BATCH)):
        started = time.monotonic()
        chosen = [message for message in found if choice.takes(message)]
        told.left += len(found) - len(chosen)
        refused = target.send([_as_it_was(message) for message in chosen])
        told.refused |= refused
        sent = {message.id: message.receipt for message in chosen if message.id not in refused}
        told.moved += len(sent)
        _delete(dead, sent)
        if rate is not None and sent:
            pause(max(0.0, len(sent) / rate - (time.monotonic() - started)))
    return told


def _as_it_was(message: Message) -> Message:
    """Without what EventBridge wrote about its failure, which would be told again of another one."""
    kept = {name: value for name, value in message.attributes.items() if name not in EVENTBRIDGE}
    return replace(message, attributes=kept)


def _delete(dead: Queue, sent: Mapping[str, str]) -> None:
    if sent and (left := dead.delete(sent)) and (left := dead.delete({key: sent[key] for key in left})):
        raise TransientError(
            f"{len(left)} messages were sent on and cannot be deleted from {dead.url}: {next(iter(left.values()))}; "
            "they are in both queues, which is harmless; try again",
            cause="queue_unavailable",
        )
