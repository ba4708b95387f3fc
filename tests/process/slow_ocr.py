"""An OCR child that takes its time and reads nothing; its text says who worked on a page, and from when to when."""

import json
import os
import sys
import time
from collections.abc import Callable

from batchjob import sandbox

SECONDS = 0.15


def main() -> None:
    sandbox.enter()
    sandbox.emit({"event": "ready"})
    for request in map(json.loads, sys.stdin.buffer):
        started = time.monotonic()
        time.sleep(SECONDS)
        text = f"{os.getpid()} {started} {time.monotonic()}"
        answer = {"event": "page", "id": request["id"], "text": text, "confidence": 90.0}
        sandbox.emit(answer | {"lines": [[text, 90.0]], "seconds": SECONDS})


def prepare(_: dict[str, object]) -> Callable[[], None]:
    return main
