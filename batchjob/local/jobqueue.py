"""A job queue of this machine: the jobs of a run as local processes, for `submit` without AWS Batch."""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchjob.errors import UsageError
from batchjob.local.jobs import Job as Command
from batchjob.local.jobs import JobObserver, LocalJobs, is_alive
from batchjob.local.retry import JobEnd, RetryStrategy, read_strategy
from batchjob.ports import Clock, Job, JobRequest, JobStatus

DEPENDENCY_FAILED = "Dependent Job failed"


@dataclass(slots=True)
class _Entry:
    """A job of the queue, and what is known of it; `ended` by child."""

    request: JobRequest
    command: Command
    created_at: int
    runner: LocalJobs
    strategy: RetryStrategy
    thread: threading.Thread | None = None
    status: JobStatus = "PENDING"
    reason: str = ""
    ended: dict[int, JobEnd] = field(default_factory=dict)


class _Ends:
    """Keeps how each child of one job ended, and passes everything on."""

    def __init__(self, observer: JobObserver, ended: dict[int, JobEnd]) -> None:
        self._observer = observer
        self._ended = ended

    def log_line(self, line: bytes) -> None:
        self._observer.log_line(line)

    def attempt_ended(self, job: str, attempt: int, end: JobEnd, again: bool) -> None:
        if not again:
            self._ended[int(job.partition(":")[2] or 0)] = end
        self._observer.attempt_ended(job, attempt, end, again)


class LocalJobQueue:
    """Implements ports.Jobs; `parallel` processes at once a job. The jobs end with this process.

    A job begins when those that it waits for have succeeded, and its children are repeated by the rules of the job
    definition's file.
    """

    def __init__(self, parallel: int, observer: JobObserver, clock: Clock) -> None:
        self._parallel = parallel
        self._observer = observer
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()

    def submit(self, request: JobRequest) -> str:
        unknown = [name for name in request.after if name not in self._entries]
        if unknown:
            raise UsageError(f"job {request.name} waits for {unknown[0]}, which is no job of this queue")
        arguments = [request.station, request.run]
        command = Command(request.name, arguments, request.environment, request.children)
        ended: dict[int, JobEnd] = {}
        runner = LocalJobs(self._parallel, _Ends(self._observer, ended))
        entry = _Entry(
            request, command, self._clock.now_ms(), runner, read_strategy(request.station), ended=ended
        )
        entry.thread = threading.Thread(target=self._run, args=(entry,), name=request.name, daemon=True)
        with self._lock:
            self._entries[command.id] = entry
        entry.thread.start()
        return command.id

    def find(self, name: str) -> Sequence[Job]:
        found = [entry for entry in self._all() if entry.request.name == name]
        return sorted((_shown(entry) for entry in found), key=lambda job: (job.created_at, job.id))

    def describe(self, ids: Sequence[str]) -> Sequence[Job]:
        """Jobs of another process of this machine are shown as running while it lives: more is not known of them."""
        found = []
        for name in ids:
            parent, _, child = name.partition(":")
            entry = self._entries.get(parent)
            if entry is not None and not child:
                found.append(_shown(entry))
            elif entry is not None and child.isdecimal() and int(child) < entry.request.children > 1:
                found.append(_shown_child(entry, int(child)))
            elif entry is None and is_alive(parent):
                found.append(Job(name, "", "RUNNING", 0))
        return found

    def terminate(self, job: str, reason: str) -> None:
        entry = self._entries.get(job)
        if entry is not None and self._change(entry, ("PENDING", "RUNNING"), "FAILED", reason):
            entry.runner.stop()

    def stop(self) -> None:
        """Ends what still runs."""
        for entry in self._all():
            entry.runner.stop()

    def wait(self) -> list[Job]:
        """All jobs, once every one has ended; an exception, also Ctrl-C, ends those that run."""
        try:
            for entry in self._all():
                _join(entry)
        except BaseException:
            self.stop()
            raise
        return [_shown(entry) for entry in self._all()]

    def _all(self) -> list[_Entry]:
        with self._lock:
            return list(self._entries.values())

    def _run(self, entry: _Entry) -> None:
        for name in entry.request.after:
            _join(self._entries[name])
            if self._entries[name].status != "SUCCEEDED":
                self._change(entry, ("PENDING",), "FAILED", DEPENDENCY_FAILED)
        if self._change(entry, ("PENDING",), "RUNNING"):
            ends = entry.runner.run(entry.command, entry.strategy)
            failed = any(end.exit_code for end in ends)
            self._change(entry, ("RUNNING",), "FAILED" if failed else "SUCCEEDED")

    def _change(self, entry: _Entry, before: Collection[str], after: JobStatus, reason: str = "") -> bool:
        with self._lock:
            if entry.status not in before:
                return False
            entry.status, entry.reason = after, reason
            return True


def _join(entry: _Entry) -> None:
    if entry.thread is not None:
        entry.thread.join()


def _shown(entry: _Entry) -> Job:
    alone = entry.request.children == 1
    return Job(
        id=entry.command.id,
        name=entry.request.name,
        status=entry.status,
        created_at=entry.created_at,
        children={} if alone else _counts(entry),
        **(_end(entry, 0) if alone else {"reason": entry.reason}),
    )


def _shown_child(entry: _Entry, child: int) -> Job:
    return Job(
        id=f"{entry.command.id}:{child}",
        name=entry.request.name,
        status=_child_status(entry, child),
        created_at=entry.created_at,
        **_end(entry, child),
    )


def _child_status(entry: _Entry, child: int) -> JobStatus:
    end = entry.ended.get(child)
    if end is None:
        return entry.status
    return "FAILED" if end.exit_code else "SUCCEEDED"


def _counts(entry: _Entry) -> Mapping[str, int]:
    statuses = [_child_status(entry, child) for child in range(entry.request.children)]
    return {status: statuses.count(status) for status in set(statuses)}


def _end(entry: _Entry, child: int) -> dict[str, Any]:
    end = entry.ended.get(child)
    if end is None:
        return {"reason": entry.reason}
    return {"exit_code": end.exit_code, "reason": entry.reason or end.reason}
