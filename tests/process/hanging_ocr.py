"""An OCR child that starts and never answers."""

import time
from collections.abc import Callable

from batchjob import sandbox


def main() -> None:
    sandbox.enter()
    sandbox.emit({"event": "ready"})
    time.sleep(60)


def prepare(_: dict[str, object]) -> Callable[[], None]:
    return main
