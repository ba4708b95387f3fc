"""A queue and an inbox for the tests of the drain, and what is in them."""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any
from uuid import uuid4

from batchjob import layout
from batchjob.drain.filters import key_filter
from batchjob.drain.quarantine import QuarantinedMessage, from_lines
from batchjob.drain.receive import Limits, ReceiveReport, WriteStore, receive_all
from batchjob.ports import BATCH, Clock, DeadLetters, Message, Queue, Store
from batchjob.records import ManifestRow, manifest_from_parquet
from batchjob.settings import Settings

KEYS = key_filter(Settings())
_WRITERS = count(1)


def send_all(queue: DeadLetters, bodies: Iterable[str]) -> None:
    """One by one is what the port does; many senders side by side are the caller's thing."""
    waiting = [Message(str(uuid4()), body, "") for body in bodies]
    for start in range(0, len(waiting), BATCH):
        assert queue.send(waiting[start : start + BATCH]) == {}


def send_in_batches(client: Any, url: str, bodies: Sequence[str], threads: int = 8) -> None:
    """Many messages, ten a call, by several threads."""

    def send(start: int) -> None:
        entries = [
            {"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start : start + BATCH])
        ]
        answer = client.send_message_batch(QueueUrl=url, Entries=entries)
        assert len(answer["Successful"]) == len(entries)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(send, range(0, len(bodies), BATCH)))


def drain(queue: Queue, store: WriteStore, clock: Clock, limits: Limits) -> ReceiveReport:
    """One drain, whose writer no other has."""
    return receive_all(queue, store, clock, limits, KEYS, f"job-1-{next(_WRITERS):08x}")


def segments(store: Store) -> dict[str, list[ManifestRow]]:
    found = {}
    for meta in store.list(layout.INBOX):
        with store.open(meta.key) as opened:
            found[meta.key] = manifest_from_parquet(opened.body.read())
    return found


def inbox_keys(store: Store) -> set[str]:
    return {row.key for rows in segments(store).values() for row in rows}


def quarantined(store: Store) -> list[QuarantinedMessage]:
    found: list[QuarantinedMessage] = []
    for meta in store.list(layout.QUARANTINED_MESSAGES):
        with store.open(meta.key) as opened:
            found += from_lines(meta.key, opened.body.read())
    return found


def take_all(queue: Queue, visibility_seconds: int) -> list[str]:
    """The bodies of all messages that the queue hands out now."""
    bodies: list[str] = []
    while found := queue.receive(limit=BATCH, wait_seconds=0, visibility_seconds=visibility_seconds):
        bodies += [message.body for message in found]
    return bodies


def until_empty(queue: Queue, seconds: float = 30.0) -> Sequence[int]:
    """What is left in a queue whose service takes a moment to count."""
    until = time.monotonic() + seconds
    while True:
        counts = queue.counts()
        left = [counts.visible, counts.in_flight]
        if not any(left) or time.monotonic() > until:
            return left
        time.sleep(0.1)
