"""A clock that stands still until a test moves it."""


class ManualClock:
    def __init__(self, now_ms: int = 1_795_403_700_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def pass_seconds(self, seconds: float) -> None:
        self._now_ms += round(seconds * 1000)
