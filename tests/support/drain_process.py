"""A drain as a process, to be ended by signals: `python -m tests.support.drain_process QUEUE WORK [AT KIND]`.

With AT and KIND it kills itself (SIGKILL) at that durable operation, and prints how many there were otherwise.
"""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from batchjob.adapters.clock import SystemClock
from batchjob.adapters.queues import open_queue
from batchjob.adapters.stores import open_store
from batchjob.drain.receive import Limits
from tests.support.faults import FaultPlan, FaultQueue, Faults, FaultStore, SimulatedCrash
from tests.support.intake import drain

LIMITS = Limits(receivers=2, wait_seconds=2, buffer_messages=15, visibility_seconds=2)
HOLDING = Limits(receivers=2, wait_seconds=5, buffer_seconds=600, visibility_seconds=900)
"""Holds what it received for as long as more comes or somebody ends it."""


class Terminated(BaseException):
    """SIGTERM came, as the command line says it."""


def stop(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


def main(url: str, work: str, *plan: str) -> int:
    signal.signal(signal.SIGTERM, stop)
    clock, store = SystemClock(), open_store(work, endpoint=None)
    queue = open_queue(url, clock)
    if not plan:
        try:
            drain(queue, store, clock, HOLDING)
        except Terminated:
            return 75
        return 0
    at, kind = int(plan[0]), plan[1]
    faults = Faults(FaultPlan(at, kind) if at else None)  # type: ignore[arg-type]
    try:
        drain(FaultQueue(queue, faults), FaultStore(store, faults), clock, LIMITS)
    except SimulatedCrash:
        os.kill(os.getpid(), signal.SIGKILL)
    print(len(faults.operations))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
