"""The reducer's patience with a server: full jitter under a time budget, at least as long as the server asks for."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from batchjob.errors import MachineError, TransientError

RETRY_SECONDS = 300.0
"""How long one request is sent again without progress before the attempt is given up (exit 75)."""
LONGEST_PAUSE = 1 / 15
"""Of that time: 20 s of 300 s."""
Result = TypeVar("Result")


@dataclass(slots=True)
class Patience:
    """How long to try again without progress, in seconds; `stopped` ends every wait."""

    seconds: float = RETRY_SECONDS
    stopped: threading.Event = field(default_factory=threading.Event)

    def attempts(self, last_progress: Callable[[], float] | None = None) -> Retrying:
        """Attempts that raise TransientError are made again. `last_progress` tells when (time.monotonic)."""
        began = time.monotonic()

        def used_up(state: RetryCallState) -> bool:
            since = max(began, last_progress() if last_progress else began)
            return self.stopped.is_set() or time.monotonic() - since >= self.seconds

        return Retrying(
            retry=retry_if_exception(
                lambda error: isinstance(error, TransientError) and not isinstance(error, MachineError)
            ),
            wait=self._pause,
            stop=used_up,
            sleep=self._sleep,
            reraise=True,
        )

    def call(self, action: Callable[[], Result]) -> Result:
        """What `action` returns, once it does."""
        return self.attempts()(action)

    def _sleep(self, seconds: float) -> None:
        self.stopped.wait(seconds)

    def _pause(self, state: RetryCallState) -> float:
        jitter = wait_random_exponential(multiplier=0.5, max=self.seconds * LONGEST_PAUSE)(state)
        error = state.outcome.exception() if state.outcome else None
        asked = getattr(error, "retry_after", None) or 0.0
        return max(float(jitter), min(float(asked), self.seconds))
