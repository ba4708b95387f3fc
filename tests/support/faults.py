"""Enumerates what can go wrong at every durable operation: a crash before, a crash after, a lost answer.

Run once without a plan, count `faults.operations`, then run again with a plan for each of them.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from batchjob.errors import BatchjobError, TransientError
from batchjob.ports import (
    BulkItem,
    DeadLetters,
    Index,
    Job,
    JobRequest,
    Jobs,
    Message,
    Move,
    ObjectMeta,
    Opened,
    QueueCounts,
    Store,
    StoredDocument,
)

Kind = Literal["crash_before", "crash_after", "answer_lost"]
KINDS: tuple[Kind, ...] = ("crash_before", "crash_after", "answer_lost")
Result = TypeVar("Result")


class SimulatedCrash(BaseException):
    """The process is dead: like SIGKILL, nothing may catch it and go on."""


@dataclass(frozen=True)
class FaultPlan:
    """What happens at the `at`-th durable operation, counted from 1."""

    at: int
    kind: Kind


class Faults:
    """One counter for all that one simulated process wraps; safe between threads."""

    def __init__(self, plan: FaultPlan | None = None) -> None:
        self.operations: list[str] = []
        """Names of all durable operations begun, for example `put runs/1/run.json`."""
        self._plan = plan
        self._dead = False
        self._lock = threading.Lock()

    def durable(self, name: str, action: Callable[[], Result]) -> Result:
        kind = self._begin(name)
        if kind is None:
            return action()
        with suppress(BatchjobError):  # A refusal is an answer too, and is lost like any other.
            action()
        if kind == "answer_lost":
            raise TransientError(f"the answer to {name!r} was lost", cause="store_unavailable")
        self._dead = True
        raise SimulatedCrash(f"after {name}")

    def _begin(self, name: str) -> Kind | None:
        with self._lock:
            if self._dead:
                raise SimulatedCrash("dead already")
            self.operations.append(name)
            if self._plan is None or self._plan.at != len(self.operations):
                return None
            if self._plan.kind == "crash_before":
                self._dead = True
                raise SimulatedCrash(f"before {name}")
            return self._plan.kind


class FaultStore:
    """A store whose writes may fail as planned; reads pass through."""

    def __init__(self, inner: Store, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    def open(
        self, key: str, *, byte_range: tuple[int, int] | None = None, if_match: str | None = None
    ) -> Opened:
        return self._inner.open(key, byte_range=byte_range, if_match=if_match)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        return self._inner.list(prefix, start_after=start_after)

    def level(self, prefix: str) -> Iterator[ObjectMeta | str]:
        return self._inner.level(prefix)

    def put(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> str:
        return self._faults.durable(
            f"put {key}", lambda: self._inner.put(key, data, content_type=content_type)
        )

    def put_file(self, key: str, path: Path) -> None:
        self._faults.durable(f"put {key}", lambda: self._inner.put_file(key, path))

    def create_once(self, key: str, data: bytes) -> str:
        return self._faults.durable(f"create_once {key}", lambda: self._inner.create_once(key, data))

    def replace_if_match(self, key: str, data: bytes, etag: str) -> str:
        return self._faults.durable(
            f"replace_if_match {key}", lambda: self._inner.replace_if_match(key, data, etag)
        )

    def delete(self, key: str) -> None:
        self._faults.durable(f"delete {key}", lambda: self._inner.delete(key))


class FaultJobs:
    """Jobs whose submission and termination may fail as planned.

    With `unseen` this process finds no job by name: one submitted just now may not show up yet.
    """

    def __init__(self, inner: Jobs, faults: Faults, *, unseen: bool = False) -> None:
        self._inner = inner
        self._faults = faults
        self._unseen = unseen

    def submit(self, request: JobRequest) -> str:
        return self._faults.durable(f"submit {request.name}", lambda: self._inner.submit(request))

    def find(self, name: str) -> Sequence[Job]:
        return [] if self._unseen else self._inner.find(name)

    def describe(self, ids: Sequence[str]) -> Sequence[Job]:
        return self._inner.describe(ids)

    def terminate(self, job: str, reason: str) -> None:
        self._faults.durable(f"terminate {job}", lambda: self._inner.terminate(job, reason))


class FaultIndex:
    """An index whose changes may fail as planned; everything else passes through."""

    def __init__(self, inner: Index, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    def bulk(self, alias: str, body: bytes) -> Sequence[BulkItem] | None:
        return self._faults.durable(f"bulk {alias}", lambda: self._inner.bulk(alias, body))

    def create(self, index: str, body: Mapping[str, Any]) -> None:
        self._faults.durable(f"create {index}", lambda: self._inner.create(index, body))

    def documents(
        self, index: str, ids: Sequence[str], fields: Sequence[str]
    ) -> Mapping[str, StoredDocument]:
        return self._inner.documents(index, ids, fields)

    def versions(self, index: str, ids: Sequence[str]) -> Mapping[str, int]:
        return self._inner.versions(index, ids)

    def resolve(self, alias: str) -> str | None:
        return self._inner.resolve(alias)

    def alias_filter(self, alias: str) -> Mapping[str, Any]:
        return self._inner.alias_filter(alias)

    def meta(self, index: str) -> Mapping[str, Any]:
        return self._inner.meta(index)

    def count(self, alias: str, query: Mapping[str, Any] | None = None) -> int:
        return self._inner.count(alias, query)

    def indexes(self, pattern: str) -> Sequence[str]:
        return self._inner.indexes(pattern)

    def structure(self, index: str) -> Mapping[str, Any]:
        return self._inner.structure(index)

    def complete(self, index: str) -> bool:
        return self._inner.complete(index)

    def normalises(self) -> bool:
        return self._inner.normalises()

    def configure(self, index: str, settings: Mapping[str, Any]) -> None:
        self._faults.durable(f"configure {index}", lambda: self._inner.configure(index, settings))

    def change_aliases(self, actions: Sequence[Mapping[str, Any]]) -> None:
        self._faults.durable("change aliases", lambda: self._inner.change_aliases(actions))

    def drop(self, index: str) -> None:
        self._faults.durable(f"drop {index}", lambda: self._inner.drop(index))

    def refresh(self, index: str) -> None:
        self._inner.refresh(index)

    def search(self, alias: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._inner.search(alias, body)

    def scan(
        self, index: str, query: Mapping[str, Any], fields: Sequence[str], order: str
    ) -> Iterator[Mapping[str, Any]]:
        return self._inner.scan(index, query, fields, order)

    def erase(self, index: str, query: Mapping[str, Any]) -> int:
        return self._faults.durable(f"erase {index}", lambda: self._inner.erase(index, query))


class FaultQueue:
    """A queue whose verbs may fail as planned: an answer to `receive` that is lost leaves its messages hidden."""

    def __init__(self, inner: DeadLetters, faults: Faults) -> None:
        self.url = inner.url
        self._inner = inner
        self._faults = faults

    def receive(self, *, limit: int, wait_seconds: int, visibility_seconds: int) -> Sequence[Message]:
        return self._faults.durable(
            "receive",
            lambda: self._inner.receive(
                limit=limit, wait_seconds=wait_seconds, visibility_seconds=visibility_seconds
            ),
        )

    def delete(self, receipts: Mapping[str, str]) -> Mapping[str, str]:
        return self._faults.durable("delete messages", lambda: self._inner.delete(receipts))

    def extend(self, receipts: Mapping[str, str], seconds: int) -> Mapping[str, str]:
        return self._faults.durable("extend messages", lambda: self._inner.extend(receipts, seconds))

    def counts(self) -> QueueCounts:
        return self._inner.counts()

    def send(self, messages: Sequence[Message]) -> Mapping[str, str]:
        return self._faults.durable("send messages", lambda: self._inner.send(messages))

    def can_move(self) -> bool:
        return self._inner.can_move()

    def start_move(self, target: str, rate: int | None) -> None:
        self._faults.durable("start move", lambda: self._inner.start_move(target, rate))

    def move(self) -> Move | None:
        return self._inner.move()


class RefusingQueue(FaultQueue):
    """A queue that refuses every other message of the first `times` deletions, as SQS does where it is not well."""

    def __init__(self, inner: DeadLetters, times: int) -> None:
        super().__init__(inner, Faults())
        self._times = times

    def delete(self, receipts: Mapping[str, str]) -> Mapping[str, str]:
        if not self._times:
            return super().delete(receipts)
        self._times -= 1
        refused = [*receipts][::2]
        super().delete({key: receipt for key, receipt in receipts.items() if key not in refused})
        return dict.fromkeys(refused, "InternalError: try again")


class ForgetfulStore(FaultStore):
    """A store that says that it wrote what it cut short."""

    def create_once(self, key: str, data: bytes) -> str:
        return super().create_once(key, data[:-1])
