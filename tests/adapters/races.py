"""Races for a key, for threads and, as a program, for processes."""

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from batchjob.errors import AlreadyExistsError, PreconditionFailedError
from batchjob.ports import Store

Result = TypeVar("Result")


def creates(store: Store, key: str, writer: str) -> bool:
    try:
        store.create_once(key, f"written by {writer}".encode())
    except AlreadyExistsError:
        return False
    return True


def counts(store: Store, key: str, writer: str, times: int) -> None:
    """Adds one `times` times; the writer's name keeps two equal numbers apart."""
    for step in range(times):
        while True:
            with store.open(key) as found:
                number = int(found.body.read().split()[0])
                etag = found.meta.etag
            try:
                store.replace_if_match(key, f"{number + 1} {writer} {step}".encode(), etag)
            except PreconditionFailedError:
                continue
            break


def together(racers: int, run: Callable[[int], Result]) -> list[Result]:
    start = threading.Barrier(racers)

    def racer(number: int) -> Result:
        start.wait()
        return run(number)

    with ThreadPoolExecutor(racers) as pool:
        return list(pool.map(racer, range(racers)))


def main() -> None:
    """ROOT WRITER START ROUNDS: creates `once/N` and counts in `counter`, with others, from START (s) on."""
    from batchjob.adapters.folder import FolderStore

    root, writer, start, rounds = sys.argv[1:]
    store = FolderStore(Path(root))
    time.sleep(max(0.0, float(start) - time.time()))
    won = [number for number in range(int(rounds)) if creates(store, f"once/{number}", writer)]
    counts(store, "counter", writer, int(rounds))
    print(*won)


if __name__ == "__main__":
    main()
