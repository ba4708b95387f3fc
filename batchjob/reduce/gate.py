"""Where the reducer's threads wait for their turn to send, and what they learn for each other from the answers."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from batchjob.errors import FencedError, TransientError
from batchjob.reduce.limit import Limit

SURELY_TAKEN = 1024 * 1024
"""Bytes that any server takes (nginx's default is the least that is met): a 413 below is a network's trouble."""
LONGEST_HOLD_SECONDS = 60.0
"""However long a Retry-After header asks for."""


class Gate:
    """Lets as many requests through as the limit says, and none before the server wants one again."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.unpacking = threading.Lock()
        """Held by the one thread that has a body unpacked, so that a busy server costs no memory."""
        self._limit = Limit()
        self._changed = threading.Condition()
        self._inside = 0
        self._not_before = 0.0
        self._refused = float("inf")
        self._taken = 0

    @contextmanager
    def turn(self, size: int) -> Iterator[float]:
        """One request of `size` bytes of NDJSON; gives when it began. Raises FencedError once the gate is stopped."""
        self._enter()
        started = time.monotonic()
        try:
            yield started
            self._answered(started, size)
        except TransientError as error:
            self._turned_away(started, error.retry_after)
            raise
        finally:
            self._leave()

    def busy(self, started: float) -> None:
        """Some items of a request that was answered were turned away."""
        with self._changed:
            self._limit.turned_away(started, time.monotonic())

    def is_too_large(self, size: int) -> bool:
        """Whether a request of this size need not be tried."""
        return size >= max(self._refused, SURELY_TAKEN)

    def refused(self, size: int) -> None:
        """A request of this size was too large (413), or so it was said, where a larger one was taken before."""
        with self._changed:
            if size > self._taken:
                self._refused = min(self._refused, size)

    def stop(self) -> None:
        """No request begins any more, and whoever waits stops."""
        self.stopped.set()
        with self._changed:
            self._changed.notify_all()

    def _enter(self) -> None:
        with self._changed:
            while not self.stopped.is_set():
                pause = self._not_before - time.monotonic()
                if pause <= 0 and self._inside < self._limit.allowed:
                    self._inside += 1
                    return
                self._changed.wait(pause if pause > 0 else None)
        raise FencedError("the loading was stopped")

    def _leave(self) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def _answered(self, started: float, size: int) -> None:
        with self._changed:
            self._taken = max(self._taken, size)
            self._limit.answered(started, time.monotonic(), size)

    def _turned_away(self, started: float, retry_after: float | None) -> None:
        with self._changed:
            now = time.monotonic()
            self._limit.turned_away(started, now)
            if retry_after is not None:
                self._not_before = max(self._not_before, now + min(retry_after, LONGEST_HOLD_SECONDS))
