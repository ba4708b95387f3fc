"""From the queue to durable inbox segments: no message is deleted before its event is durable (invariant 1)."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol

from batchjob import layout
from batchjob.drain.buffer import Buffer
from batchjob.drain.filters import KeyFilter
from batchjob.drain.quarantine import to_lines
from batchjob.errors import MachineError, TransientError
from batchjob.ports import BATCH, Clock, CreateOnce, Get, Queue, in_batches
from batchjob.records import manifest_to_parquet
from batchjob.settings import MIB, Settings

UNREADABLE_BYTES = 16 * MIB
"""Unreadable messages that a receiver holds at the most before it writes them, about."""
DELETE_TRIES = 3
LAST_SECONDS = 25.0
"""Time for the receivers to write and delete what they hold after SIGTERM; SIGKILL follows after 30 s."""

Stopped = Literal["empty", "time", "count"]


class WriteStore(Get, CreateOnce, Protocol):
    """The verbs for writing to the inbox and the quarantine."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How a drain receives, and when it stops: at an empty queue, after `seconds`, or after `messages`.

    A receiver writes what it holds after `buffer_seconds` or `buffer_messages`. Messages are hidden for
    `visibility_seconds`, and for as long again at each third of that.
    """

    receivers: int = 8
    seconds: float = 900.0
    messages: int = 1_000_000
    wait_seconds: int = 20
    visibility_seconds: int = 300
    buffer_seconds: float = 60.0
    buffer_messages: int = 2_000


def limits_of(settings: Settings) -> Limits:
    return Limits(
        receivers=settings.receivers,
        seconds=settings.drain_seconds,
        messages=settings.drain_messages,
        visibility_seconds=settings.visibility_seconds,
    )


@dataclass(slots=True)
class ReceiveReport:
    """What a drain received: `events` of documents became `rows`, one an object and segment, in `segments` (keys).

    `passed_over` events are of other keys. `quarantined` messages are in the files `quarantine_files`.
    `undeleted` messages are durable too, but the queue will hand them out again. `stopped` says why it ended.
    """

    stopped: Stopped = "empty"
    messages: int = 0
    redelivered: int = 0
    events: int = 0
    deletions: int = 0
    rows: int = 0
    passed_over: int = 0
    test_events: int = 0
    quarantined: int = 0
    undeleted: int = 0
    shapes: dict[str, int] = field(default_factory=dict)
    segments: list[str] = field(default_factory=list)
    quarantine_files: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def duplicates(self) -> int:
        return self.events - self.rows


def receive_all(
    queue: Queue, store: WriteStore, clock: Clock, limits: Limits, keys: KeyFilter, writer: str
) -> ReceiveReport:
    """Receives until a limit is reached or the queue is empty; `writer` makes the segments' names unlike others.

    Whatever ends it, each message is still in the queue, or its events are in the inbox, or it is in the
    quarantine. The end of one receiver by an error ends the others once they wrote what they hold; so does an
    exception in the caller's thread, such as a signal's. Raises TransientError, UsageError.
    """
    drain = _Drain(queue, store, clock, limits, keys, writer)
    pool = ThreadPoolExecutor(limits.receivers, thread_name_prefix="receiver")
    receivers = [pool.submit(_Receiver(drain, number).run) for number in range(limits.receivers)]
    try:
        wait(receivers, return_when=FIRST_EXCEPTION)
    finally:
        if any(not receiver.done() for receiver in receivers):
            drain.stop.set()
            wait(receivers, timeout=LAST_SECONDS)
        pool.shutdown(wait=False)
    return drain.ended(receivers)


class _Drain:
    """What the receivers of one drain share."""

    def __init__(
        self, queue: Queue, store: WriteStore, clock: Clock, limits: Limits, keys: KeyFilter, writer: str
    ) -> None:
        self.queue, self.store, self.clock = queue, store, clock
        self.limits, self.keys, self.writer = limits, keys, writer
        self.stop = threading.Event()
        self.report = ReceiveReport()
        self._started = time.monotonic()
        self._reserved = 0
        self._lock = threading.Lock()

    @property
    def seconds_left(self) -> float:
        return self._started + self.limits.seconds - time.monotonic()

    def reserve(self) -> int:
        """How many messages a receiver may ask for next; 0 at the end."""
        if self.stop.is_set():
            return 0
        if self.seconds_left <= 0:
            return 0
        with self._lock:
            allowed = min(BATCH, self.limits.messages - self._reserved)
            self._reserved += allowed
        return allowed

    def give_back(self, unused: int) -> None:
        with self._lock:
            self._reserved -= unused

    def name(self, receiver: int, number: int) -> str:
        moment = datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)
        return f"{moment:%Y%m%dT%H%M%SZ}-{self.writer}-{receiver:02d}-{number:05d}"

    def count(self, counted: Mapping[str, int], shapes: Mapping[str, int]) -> None:
        with self._lock:
            for name, count in counted.items():
                setattr(self.report, name, getattr(self.report, name) + count)
            self.report.shapes = dict(Counter(self.report.shapes) + Counter(shapes))

    def ended(self, receivers: list[Future[None]]) -> ReceiveReport:
        for receiver in receivers:
            receiver.result()
        if self._reserved >= self.limits.messages:
            self.report.stopped = "count"
        elif self.seconds_left <= 0:
            self.report.stopped = "time"
        self.report.seconds = time.monotonic() - self._started
        self.report.segments.sort()
        self.report.quarantine_files.sort()
        return self.report


class _Receiver:
    """One connection: receive, write what came, verify it, delete the messages."""

    def __init__(self, drain: _Drain, number: int) -> None:
        self._drain = drain
        self._number = number
        self._files = 0
        self._renew()

    def _renew(self) -> None:
        self._buffer = Buffer()
        self._since = self._hidden_at = time.monotonic()

    def run(self) -> None:
        while limit := self._drain.reserve():
            try:
                found = self._receive(limit)
            except TransientError:
                self._flush()
                raise
            if self._is_full():
                self._flush()
            elif not found:
                break
            self._extend_if_due(self._buffer.receipts)
        self._flush()

    def _receive(self, limit: int) -> int:
        limits = self._drain.limits
        messages = self._drain.queue.receive(
            limit=limit,
            wait_seconds=min(limits.wait_seconds, max(1, int(self._seconds_free()))),
            visibility_seconds=limits.visibility_seconds,
        )
        self._drain.give_back(limit - len(messages))
        if messages and not self._buffer.receipts:
            self._renew()
        now = self._drain.clock.now_ms()
        for message in messages:
            self._buffer.add(message, self._drain.keys, now)
        return len(messages)

    def _seconds_free(self) -> float:
        """Until something is to be done with what is held, or the drain's time is over."""
        if not self._buffer.receipts:
            return self._drain.seconds_left
        now = time.monotonic()
        flush = self._since + self._drain.limits.buffer_seconds - now
        extend = self._hidden_at + self._drain.limits.visibility_seconds / 3 - now
        return min(flush, extend, self._drain.seconds_left)

    def _is_full(self) -> bool:
        buffer, limits = self._buffer, self._drain.limits
        return bool(buffer.receipts) and (
            len(buffer.receipts) >= limits.buffer_messages
            or buffer.unreadable_bytes >= UNREADABLE_BYTES
            or time.monotonic() - self._since >= limits.buffer_seconds
        )

    def _flush(self) -> None:
        buffer = self._buffer
        if not buffer.receipts:
            return
        name = self._drain.name(self._number, self._files)
        self._files += 1
        if buffer.unreadable:
            key = layout.quarantined_messages(name)
            self._write(key, to_lines(buffer.unreadable))
            self._drain.report.quarantine_files.append(key)
        if buffer.rows:
            key = layout.segment(name)
            self._write(key, manifest_to_parquet(buffer.rows.values()))
            self._drain.report.segments.append(key)
        buffer.counted["rows"] = len(buffer.rows)
        self._drain.count(buffer.counted, buffer.shapes)
        self._drain.count({"undeleted": self._delete(buffer.receipts)}, {})
        self._renew()

    def _write(self, key: str, data: bytes) -> None:
        """Only what reads back as it was written is durable."""
        self._drain.store.create_once(key, data)
        with self._drain.store.open(key) as opened:
            if opened.body.read() != data:
                raise MachineError(f"{key!r} does not read back as it was written; its messages stay queued")

    def _delete(self, receipts: Mapping[str, str]) -> int:
        """Deletes what is durable now, and returns how many messages the queue would not delete."""
        waiting = dict(receipts)
        for _ in range(DELETE_TRIES):
            refused: dict[str, str] = {}
            for batch in in_batches(dict(waiting)):
                self._extend_if_due(waiting)
                failed = self._drain.queue.delete(batch)
                for message in batch:
                    receipt = waiting.pop(message)
                    if message in failed:
                        refused[message] = receipt
            waiting = refused
        return len(waiting)

    def _extend_if_due(self, receipts: Mapping[str, str]) -> None:
        """At a third of the time that messages are hidden. One that was handed out again by then is a duplicate."""
        seconds = self._drain.limits.visibility_seconds
        if receipts and time.monotonic() - self._hidden_at >= seconds / 3:
            self._hidden_at = time.monotonic()
            for batch in in_batches(receipts):
                self._drain.queue.extend(batch, seconds)
