"""An hour of intake, from a queue in a file to jobs of AWS Batch, also as a process that kills itself (SIGKILL).

`python -m tests.support.intake_hour QUEUE WORK JOB_QUEUE PROCESS REDUCE NOW_MS AT KIND`: at that durable operation.
"""

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from batchjob.adapters.batch import BatchJobs, BatchTarget, batch_client
from batchjob.adapters.local_queue import LocalQueue
from batchjob.adapters.stores import open_store
from batchjob.drain.commit import commit_inbox
from batchjob.drain.receive import Limits, receive_all
from batchjob.drain.submit import Submitting, submit_runs
from batchjob.drain.sweep import sweep
from batchjob.ports import Job, Store
from tests.support.faults import FaultJobs, FaultPlan, FaultQueue, Faults, FaultStore, SimulatedCrash
from tests.support.intake import KEYS
from tests.support.manual_clock import ManualClock
from tests.support.segments import intake
from tests.support.servers import unique_name

LIMITS = Limits(receivers=1, wait_seconds=0, buffer_messages=15)


class Busy(FaultJobs):
    """Jobs that take their time: the tests' server calls each one done as soon as it is submitted."""

    def find(self, name: str) -> Sequence[Job]:
        return [replace(job, status="RUNNING") for job in super().find(name)]

    def describe(self, ids: Sequence[str]) -> Sequence[Job]:
        return [replace(job, status="RUNNING") for job in super().describe(ids)]


@dataclass(frozen=True)
class Place:
    """A queue of events, a work folder and a queue of jobs, by the names that a process is told."""

    queue: Path
    work: str
    target: BatchTarget

    def store(self) -> Store:
        return open_store(self.work, endpoint=None)

    def jobs(self) -> BatchJobs:
        return BatchJobs(batch_client(), self.target)


def hour(place: Place, clock: ManualClock, faults: Faults) -> None:
    """What `drain --submit` does, by a writer of its own."""
    store = FaultStore(place.store(), faults)
    by = Submitting(store, Busy(place.jobs(), faults), clock, unique_name("hour"))
    sweep(by)
    queue = FaultQueue(LocalQueue(place.queue, clock), faults)
    receive_all(queue, store, clock, LIMITS, KEYS, by.writer)
    runs = commit_inbox(intake(shards=2), store, clock).runs
    submit_runs(by, [run.run_id for run in runs])


def main(queue: str, work: str, jobs: str, process: str, reduce: str, now: str, at: str, kind: str) -> None:
    place = Place(Path(queue), work, BatchTarget(jobs, {"process": process, "reduce": reduce}))
    faults = Faults(FaultPlan(int(at), kind))  # type: ignore[arg-type]
    try:
        hour(place, ManualClock(int(now)), faults)
    except SimulatedCrash:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
