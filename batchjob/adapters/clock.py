"""The machine's clock, for everything that asks what time it is."""

import time


class SystemClock:
    """Wall-clock time of this machine."""

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000
