"""How far a shard reads ahead: objects that are fetched while the workers are busy, within bytes and disk space."""

import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from batchjob.errors import MachineError

MIB = 1024 * 1024
AHEAD_BYTES = 256 * MIB
"""Most bytes of objects that wait for a worker; a larger one waits alone."""
_LEFT_FREE = 64 * MIB
"""Disk space that reading ahead leaves to the page images of what is in work."""
_TICK = 0.5
"""Seconds between two looks at the free space, which others use too."""


class ReadAhead:
    """Room for the objects of a shard's rows, and its workers, both given in the order in which they are asked for.

    Whoever waits for room holds none, and whoever has a worker waits for nothing here; so nobody waits for ever.
    """

    def __init__(self, folder: Path, workers: int, most: int = AHEAD_BYTES) -> None:
        self._folder = folder
        self._idle = workers
        self._most = most
        self._changed = threading.Condition()
        self._claims: set[Claim] = set()
        self._for_room: deque[Claim] = deque()
        self._for_worker: deque[Claim] = deque()
        self._closed = False

    def claim(self) -> "Claim":
        """For one row; to be used in a `with`, at whose end the object's file must be gone."""
        return Claim(self)

    def close(self) -> None:
        """Ends all waiting, now and later."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self, claim: "Claim", size: int) -> bool:
        """Room for `size` bytes if it is there at once and nobody has waited for longer."""
        with self._changed:
            if size <= claim.size:
                claim.size = size
                self._changed.notify_all()
                return True
            self._give_back(claim)
            if self._for_room or not self._is_room(size):
                return False
            self._hold(claim, size)
            return True

    def wait(self, claim: "Claim", size: int) -> None:
        with self._changed:
            self._give_back(claim)
            self._in_turn(claim, self._for_room, lambda: self._is_room(size))
            self._hold(claim, size)

    @contextmanager
    def worker(self, claim: "Claim") -> Iterator[None]:
        with self._changed:
            claim.written = True
            self._in_turn(claim, self._for_worker, lambda: self._idle > 0)
            claim.in_work = True
            self._idle -= 1
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._idle += 1
                self._changed.notify_all()

    def end(self, claim: "Claim") -> None:
        with self._changed:
            self._give_back(claim)

    def _hold(self, claim: "Claim", size: int) -> None:
        claim.size = size
        self._claims.add(claim)

    def _give_back(self, claim: "Claim") -> None:
        claim.size = -1
        self._claims.discard(claim)
        self._changed.notify_all()

    def _in_turn(self, claim: "Claim", queue: "deque[Claim]", ready: Callable[[], bool]) -> None:
        queue.append(claim)
        try:
            while queue[0] is not claim or not ready():
                if self._closed:
                    raise MachineError("the shard was stopped", cause="stopped")
                self._changed.wait(_TICK)
        finally:
            queue.remove(claim)
            self._changed.notify_all()

    def _is_room(self, size: int) -> bool:
        ahead = [claim.size for claim in self._claims if not claim.in_work]
        if ahead and sum(ahead) + size > self._most:
            return False
        if not self._claims:
            return True  # nothing here will be freed: the download says what is missing
        unwritten = sum(claim.size for claim in self._claims if not claim.written)
        return shutil.disk_usage(self._folder).free - unwritten >= size + _LEFT_FREE


class Claim:
    """What one row holds: room for an object of `size` bytes (-1: none), and later a worker."""

    def __init__(self, ahead: ReadAhead) -> None:
        self._ahead = ahead
        self.size = -1
        self.written = False
        self.in_work = False

    def take(self, size: int) -> bool:
        """Room for an object, if it is there at once; what is held already is changed to it."""
        return self._ahead.take(self, size)

    def wait(self, size: int) -> None:
        """Waits for room. Raises MachineError when the shard is stopped."""
        self._ahead.wait(self, size)

    @contextmanager
    def worker(self) -> Iterator[None]:
        """Waits for a worker, once the object is there whole. Raises MachineError when the shard is stopped."""
        with self._ahead.worker(self):
            yield

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ahead.end(self)
