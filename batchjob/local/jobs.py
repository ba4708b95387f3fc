"""An array job as local processes: one a shard, with attempts, as Batch would run them."""

import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Protocol

from batchjob.local.retry import JobEnd, RetryStrategy
from batchjob.ports import LOCAL_JOB

SUPERVISOR = "BATCHJOB_SUPERVISOR"
"""Names the process without which a job ends: a killed `local` leaves no job behind."""
PAUSE_SECONDS = 1.0
CLOCK_STEP_MS = 5000
"""By less than this a process's beginning may seem to move when the clock is set."""
KILL_AFTER_SECONDS = 30.0
"""Batch sends SIGTERM, and SIGKILL 30 s later."""


class JobObserver(Protocol):
    """Told of every line that a job writes to its log, and of every attempt that ends."""

    def log_line(self, line: bytes) -> None: ...

    def attempt_ended(self, job: str, attempt: int, end: JobEnd, again: bool) -> None: ...


def _new_id() -> str:
    """Tells which process the job ends with, so that another one can find out whether it lives."""
    return f"{LOCAL_JOB}{os.getpid()}-{_began(os.getpid())}-{secrets.token_hex(4)}"


def is_alive(job: str) -> bool:
    """Whether the process of this machine still runs that a local job ends with. Its number alone may be another's."""
    owner = re.fullmatch(rf"{LOCAL_JOB}(\d+)-(\d+)-.*", job)
    if owner is None:
        return False
    began = _began(int(owner[1]))
    return began is not None and abs(began - int(owner[2])) < CLOCK_STEP_MS


def _began(process: int) -> int | None:
    """When a process of this machine began (ms), which takes 0.02 s to import."""
    import psutil

    try:
        return round(psutil.Process(process).create_time() * 1000)
    except psutil.Error:
        return None


@dataclass(frozen=True, slots=True)
class Job:
    """One job: its `batchjob` arguments, its size as an array (1: a plain job), and what else it is told."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    array_size: int = 1
    id: str = field(default_factory=_new_id)


def _job_end(code: int) -> JobEnd:
    """A signal becomes 128 + its number; a SIGKILL from outside is what the kernel's OOM killer sends."""
    if code >= 0:
        return JobEnd(code)
    reason = "OutOfMemoryError: Container killed due to memory usage" if code == -signal.SIGKILL else ""
    return JobEnd(128 - code, reason)


class LocalJobs:
    """Runs jobs, at most `parallel` processes at once; an exception, also Ctrl-C, ends those that run."""

    def __init__(self, parallel: int, observer: JobObserver) -> None:
        self._parallel = parallel
        self._observer = observer
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopping = threading.Event()
        self._lock = threading.Lock()

    def run(self, job: Job, strategy: RetryStrategy) -> list[JobEnd]:
        """Each child's last end, in array order. What jobs print is not read: they leave receipts."""
        with ThreadPoolExecutor(min(self._parallel, job.array_size), thread_name_prefix="job") as pool:
            futures = [pool.submit(self._attempts, job, strategy, index) for index in range(job.array_size)]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
                return [future.result() for future in futures]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self.stop()
                raise

    def _attempts(self, job: Job, strategy: RetryStrategy, index: int) -> JobEnd:
        attempt = 1
        while True:
            end = self._attempt(job, index, attempt)
            again = not self._stopping.is_set() and strategy.retries(end, attempt)
            name = job.name if job.array_size == 1 else f"{job.name}:{index}"
            if not self._stopping.is_set():
                self._observer.attempt_ended(name, attempt, end, again)
            if not again:
                return end
            attempt += 1
            self._stopping.wait(PAUSE_SECONDS)

    def _attempt(self, job: Job, index: int, attempt: int) -> JobEnd:
        batch = {
            "AWS_BATCH_JOB_ID": job.id if job.array_size == 1 else f"{job.id}:{index}",
            "AWS_BATCH_JOB_ATTEMPT": str(attempt),
            "AWS_BATCH_JQ_NAME": "local",
            "AWS_BATCH_CE_NAME": "local",
            SUPERVISOR: str(os.getpid()),
        }
        if job.array_size > 1:
            batch["AWS_BATCH_JOB_ARRAY_INDEX"] = str(index)
            batch["AWS_BATCH_JOB_ARRAY_SIZE"] = str(job.array_size)
        process = self._start(job.arguments, {**os.environ, **job.environment, **batch})
        if process is None:
            return JobEnd(128 + signal.SIGTERM)
        try:
            return _job_end(self._follow(process))
        finally:
            with self._lock:
                self._running.discard(process)

    def _start(
        self, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "batchjob", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            self._running.add(process)
            return process

    def _follow(self, process: subprocess.Popen[bytes]) -> int:
        for line in process.stderr or ():
            self._observer.log_line(line)
        return process.wait()

    def stop(self) -> None:
        """Ends what still runs: SIGTERM, and SIGKILL to what is left after 30 s."""
        self._stopping.set()
        with self._lock:
            running = list(self._running)
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for process in running:
            try:
                process.wait(KILL_AFTER_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
