"""A source that notes what is asked of another and which bytes it hands on."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from batchjob.adapters.objects import Body
from batchjob.ports import ObjectMeta, Opened, Source


@dataclass
class Asked:
    """One request, and how many bytes of its answer were read."""

    byte_range: tuple[int, int] | None
    if_match: str | None
    read: int = 0

    @property
    def bytes(self) -> range:
        start = self.byte_range[0] if self.byte_range else 0
        return range(start, start + self.read)


@dataclass
class Recording:
    """Implements ports.Source over `inner`.

    `before_open` and `after_read` (some bytes of an answer) are told how many requests came before.
    """

    inner: Source
    before_open: Callable[[int], None] = lambda number: None
    after_read: Callable[[int], None] = lambda number: None
    asked: list[Asked] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(
        self, key: str, *, byte_range: tuple[int, int] | None = None, if_match: str | None = None
    ) -> Opened:
        with self._lock:
            number = len(self.asked)
            self.before_open(number)
            asked = Asked(byte_range, if_match)
            self.asked.append(asked)
        opened = self.inner.open(key, byte_range=byte_range, if_match=if_match)

        def read(size: int) -> bytes:
            data = opened.body.read(size)
            asked.read += len(data)
            self.after_read(number)
            return data

        stream = Body(read, opened.body.close)  # no buffer: what was read is what was asked for
        return Opened(opened.meta, opened.observed_at, stream, remote=opened.remote)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        return self.inner.list(prefix, start_after=start_after)
