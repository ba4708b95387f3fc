"""A queue in a file of this machine, with the rules of SQS: for trying a drain out, and for tests."""

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from batchjob.errors import MachineError, UsageError
from batchjob.ports import Clock, Message, QueueCounts

LOOK_SECONDS = 0.1
"""Between two looks while a receiver waits for a message."""
BUSY_SECONDS = 30.0
STALE = "the receipt is not that of the latest handing out"
TABLE = """
CREATE TABLE IF NOT EXISTS messages (
    id TEXT PRIMARY KEY, body BLOB, attributes TEXT, sent_at INTEGER,
    visible_at INTEGER, received INTEGER, receipt TEXT
)
"""


class LocalQueue:
    """Implements ports.DeadLetters in an SQLite file, which several processes may use at once.

    The same receipt deletes a message twice, as in SQS; one of an earlier handing out is refused.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.url = path.absolute().as_uri()
        self._path = path
        self._clock = clock
        if not path.absolute().parent.is_dir():
            raise UsageError(f"no folder {str(path.absolute().parent)!r} for the queue {self.url}")
        with self._open() as file:
            file.execute("PRAGMA journal_mode=WAL")
            file.execute(TABLE)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection for one verb: one cannot pass from thread to thread."""
        try:
            file = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
            try:
                yield file
            finally:
                file.close()
        except sqlite3.Error as error:
            raise MachineError(f"queue {self.url}: {error}", cause="queue_unavailable") from error

    def receive(self, *, limit: int, wait_seconds: int, visibility_seconds: int) -> Sequence[Message]:
        until = time.monotonic() + wait_seconds
        while True:
            found = self._hand_out(limit, visibility_seconds)
            if found or time.monotonic() >= until:
                return found
            time.sleep(LOOK_SECONDS)

    def _hand_out(self, limit: int, visibility_seconds: int) -> list[Message]:
        now = self._clock.now_ms()
        with self._open() as file:
            file.execute("BEGIN IMMEDIATE")
            rows = file.execute(
                "SELECT id, body, attributes, sent_at, received FROM messages WHERE visible_at <= ? "
                "ORDER BY visible_at, rowid LIMIT ?",
                (now, limit),
            ).fetchall()
            messages = [
                Message(
                    key,
                    body.decode("utf-8", "surrogatepass"),
                    uuid4().hex,
                    received + 1,
                    sent_at,
                    json.loads(told),
                )
                for key, body, told, sent_at, received in rows
            ]
            file.executemany(
                "UPDATE messages SET visible_at = ?, received = ?, receipt = ? WHERE id = ?",
                [(now + visibility_seconds * 1000, m.received, m.receipt, m.id) for m in messages],
            )
            file.execute("COMMIT")
        return messages

    def delete(self, receipts: Mapping[str, str]) -> Mapping[str, str]:
        with self._open() as file:
            file.execute("BEGIN IMMEDIATE")
            file.executemany("DELETE FROM messages WHERE id = ? AND receipt = ?", [*receipts.items()])
            left = [key for key in receipts if _is_there(file, key)]
            file.execute("COMMIT")
        return dict.fromkeys(left, STALE)

    def extend(self, receipts: Mapping[str, str], seconds: int) -> Mapping[str, str]:
        visible_at = self._clock.now_ms() + seconds * 1000
        refused = {}
        with self._open() as file:
            file.execute("BEGIN IMMEDIATE")
            for key, receipt in receipts.items():
                done = file.execute(
                    "UPDATE messages SET visible_at = ? WHERE id = ? AND receipt = ?",
                    (visible_at, key, receipt),
                )
                if not done.rowcount:
                    refused[key] = STALE
            file.execute("COMMIT")
        return refused

    def counts(self) -> QueueCounts:
        with self._open() as file:
            [(visible, all_of_them)] = file.execute(
                "SELECT count(*) FILTER (WHERE visible_at <= ?), count(*) FROM messages",
                (self._clock.now_ms(),),
            ).fetchall()
        return QueueCounts(visible, all_of_them - visible)

    def send(self, messages: Sequence[Message]) -> Mapping[str, str]:
        """Each sent message gets an id of its own, as in SQS."""
        now = self._clock.now_ms()
        rows = [
            (str(uuid4()), m.body.encode("utf-8", "surrogatepass"), json.dumps(dict(m.attributes)), now, now)
            for m in messages
        ]
        with self._open() as file:
            file.execute("BEGIN IMMEDIATE")
            file.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?, 0, '')", rows)
            file.execute("COMMIT")
        return {}

    def can_move(self) -> bool:
        """There is no service behind it that would."""
        return False

    def start_move(self, target: str, rate: int | None) -> None:
        raise UsageError(f"queue {self.url} moves nothing by itself")

    def move(self) -> None:
        return None


def _is_there(file: sqlite3.Connection, key: str) -> bool:
    return file.execute("SELECT 1 FROM messages WHERE id = ?", (key,)).fetchone() is not None
