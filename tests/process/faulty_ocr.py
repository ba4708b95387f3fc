"""An OCR child whose page images say how it behaves; test_ocrpool.py gives it to a pool."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from batchjob import sandbox

ONCE = "once"


def answer(number: int, text: str) -> dict[str, object]:
    return {
        "event": "page", "id": number, "text": text, "confidence": 90.0, "lines": [[text, 90.0]], "seconds": 0.01,
    }  # fmt: skip


def misbehave(do: str) -> None:
    match do:
        case "kill":
            os.abort()
        case "exit":
            sys.exit(0)
        case "hang":
            time.sleep(60)
        case "allocate":
            hoard = [b"x" * 10_000_000 for _ in range(100)]
            time.sleep(len(hoard))


def answer_badly(do: str, number: int) -> None:
    match do:
        case "garbage":
            os.write(sandbox._events, b"hello\n")
        case "other_page":
            sandbox.emit(answer(number + 1, "another page's"))
        case "two_answers":
            os.write(sandbox._events, b"".join(_json(answer(number, text)) for text in ("a", "b")))
        case "no_text":
            sandbox.emit({**answer(number, ""), "text": None})
        case "flood":
            while True:
                os.write(sandbox._events, b"x" * 65536)


def _json(event: dict[str, object]) -> bytes:
    return json.dumps(event).encode() + b"\n"


def main() -> None:
    sandbox.enter()
    if Path("refuse").exists():
        sys.exit("no model here")
    sandbox.emit({"event": "ready"})
    for request in map(json.loads, sys.stdin.buffer):
        do = Path(request["image"]).read_text()
        first = Path(f"{request['image']}.{ONCE}")
        if do.startswith(ONCE):
            do = do.removeprefix(ONCE + " ") if not first.exists() else "read"
            first.touch()
        if do.startswith("sleep"):
            time.sleep(float(do.split()[1]))
            do = f"pid {os.getpid()}"
        misbehave(do)
        answer_badly(do, request["id"])
        sandbox.emit(answer(request["id"], do))


def prepare(_: dict[str, object]) -> Callable[[], None]:
    return main
