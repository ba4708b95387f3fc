"""How many bulk requests may be on their way at once: grows while the server keeps up, halves when it does not."""

from dataclasses import dataclass, field

LEAST, START, MOST = 1, 4, 8
QUEUE_WANTED, QUEUE_BORNE = 2.0, 4.0
"""Requests waiting in the server: below the first there is room for more, above the second there are too many."""
SMALLEST_BYTES = 1024 * 1024
"""What a request costs beyond its bytes makes the pace of a smaller one say nothing."""


@dataclass(slots=True)
class Limit:
    """Additive increase, multiplicative decrease (Chiu and Jain, 1989) on failures; on latency TCP Vegas' estimate

    (Brakmo and Peterson, 1995): with the best pace ever seen, a share of 1 - best / pace of the requests only waits.
    Latency alone never takes the limit below START, since it is no failure. Times in seconds of one clock.
    """

    window: float = float(START)
    _best: float = field(default=float("inf"))
    _cut_at: float = field(default=float("-inf"))

    @property
    def allowed(self) -> int:
        return int(self.window)

    def answered(self, started: float, now: float, size: int) -> None:
        """A request of `size` bytes was taken."""
        if size < SMALLEST_BYTES:
            pace = self._best
        else:
            pace = (now - started) / size
            self._best = min(self._best, pace)
        waiting = self.window * (1 - self._best / pace) if 0 < pace < float("inf") else 0.0
        if waiting < QUEUE_WANTED or self.window < START:
            self.window = min(float(MOST), self.window + 1 / self.window)
        elif waiting > QUEUE_BORNE and self.window > START:
            self.window = max(float(START), self.window - 1 / self.window)

    def turned_away(self, started: float, now: float) -> None:
        """A request failed, was refused or not answered. What was on its way at the last cut is part of that one."""
        if started < self._cut_at:
            return
        self.window = max(float(LEAST), self.window / 2)
        self._cut_at = now
