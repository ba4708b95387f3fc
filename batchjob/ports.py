"""The verbs through which stations touch the world; adapters implement them, stations ask for the few they use."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, Protocol, Self

from batchjob.errors import ObjectMissingError


@dataclass(frozen=True, slots=True)
class ObjectMeta:
    """An object as a listing or a GET describes it; `size` in bytes, `etag` with its quotes."""

    key: str
    size: int
    etag: str
    last_modified: datetime
    version_id: str | None = None


class Opened:
    """An answered GET: what the object is, when the store said so (ms, the store's clock), and its bytes.

    `remote`: several connections side by side bring a large object sooner than one.
    """

    def __init__(self, meta: ObjectMeta, observed_at: int, body: BinaryIO, *, remote: bool = False) -> None:
        self.meta = meta
        self.observed_at = observed_at
        self.body = body
        self.remote = remote

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.body.close()


class Get(Protocol):
    def open(
        self, key: str, *, byte_range: tuple[int, int] | None = None, if_match: str | None = None
    ) -> Opened:
        """Opens an object; `byte_range` is (first, last), both inclusive, as in HTTP.

        Reads of `body` may raise TransientError, never OSError of the adapter's library.

        Raises ObjectMissingError, PreconditionFailedError (`if_match`), TransientError.
        """
        ...


def read_or_none(store: Get, key: str) -> bytes | None:
    """A small object, whole; None where there is none. Raises TransientError."""
    try:
        with store.open(key) as opened:
            return opened.body.read()
    except ObjectMissingError:
        return None


class Put(Protocol):
    def put(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> str:
        """Writes or overwrites an object, whole or not at all, and returns its ETag. Raises TransientError."""
        ...


class PutFile(Protocol):
    def put_file(self, key: str, path: Path) -> None:
        """Writes or overwrites an object with a file of any size, whole or not at all, in bounded memory.

        Raises OSError (the file), TransientError.
        """
        ...


class CreateOnce(Protocol):
    def create_once(self, key: str, data: bytes) -> str:
        """Creates an object that must not exist, and returns its ETag.

        Finding exactly `data` there counts as having created it, since an answer may have been lost;
        so put the writer's identity into `data`. Raises AlreadyExistsError, TransientError.
        """
        ...


class ReplaceIfMatch(Protocol):
    def replace_if_match(self, key: str, data: bytes, etag: str) -> str:
        """Replaces an object whose ETag is still `etag`, and returns the new ETag.

        Finding exactly `data` there counts as success, as for create_once.
        Raises PreconditionFailedError (also where the object is missing), TransientError.
        """
        ...


class List(Protocol):
    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """Objects whose key begins with `prefix` and sorts after `start_after`. Raises TransientError."""
        ...


class Level(Protocol):
    def level(self, prefix: str) -> Iterator[ObjectMeta | str]:
        """What is right below `prefix`: objects without a further slash in the key, and longer prefixes up to one.

        Each object that `list(prefix)` gives is here itself, or has one of these prefixes. Raises TransientError.
        """
        ...


class Delete(Protocol):
    def delete(self, key: str) -> None:
        """Removes an object; removing a missing one is no error. Raises TransientError."""
        ...


class Source(Get, List, Protocol):
    """Where documents come from; never written."""


class Bucket(Source, Level, Protocol):
    """A source that tells its folders."""


class Store(Get, Put, PutFile, CreateOnce, ReplaceIfMatch, List, Level, Delete, Protocol):
    """The work folder or bucket."""


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        ...


BATCH = 10
"""Most messages that one call of a queue takes or hands out; SQS's limit."""


def in_batches(receipts: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """As many at a time as one call takes."""
    items = iter(receipts.items())
    while batch := dict(islice(items, BATCH)):
        yield batch


@dataclass(frozen=True, slots=True)
class Message:
    """A message as a queue handed it out. `receipt` stands for this one handing out, and deletes it.

    `received`: how often it was handed out; `sent_at` in ms; `attributes` are those that its sender gave it.
    """

    id: str
    body: str
    receipt: str
    received: int = 1
    sent_at: int | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """About how many messages a queue would hand out, and how many are handed out and not deleted yet."""

    visible: int
    in_flight: int


class Queue(Protocol):
    """A queue that hands a message out again where it was not deleted within its visibility timeout.

    `receipts` are at most BATCH, by message id. All verbs raise TransientError, and UsageError where there is no
    such queue.
    """

    url: str

    def receive(self, *, limit: int, wait_seconds: int, visibility_seconds: int) -> Sequence[Message]:
        """At most `limit` messages, hidden from others for `visibility_seconds`.

        Waits up to `wait_seconds` (20 at the most) for the first; with that, no message means an empty queue.
        """
        ...

    def delete(self, receipts: Mapping[str, str]) -> Mapping[str, str]:
        """Deletes messages, and returns why each of those that were not deleted was not, by message id."""
        ...

    def extend(self, receipts: Mapping[str, str], seconds: int) -> Mapping[str, str]:
        """Hides messages for `seconds` from now (0 gives them back), and returns why not, by message id."""
        ...

    def counts(self) -> QueueCounts: ...


@dataclass(frozen=True, slots=True)
class Move:
    """How far the service is with moving all messages of a dead-letter queue; `why` it failed."""

    state: Literal["running", "done", "failed"]
    moved: int
    why: str = ""


class DeadLetters(Queue, Protocol):
    """A queue whose messages can be sent on."""

    def send(self, messages: Sequence[Message]) -> Mapping[str, str]:
        """Sends bodies and attributes, at most BATCH, and returns why not, by message id.

        What it is silent about is in the queue for good.
        """
        ...

    def can_move(self) -> bool:
        """Whether the service can move messages: only what came from another queue, not from a rule or a topic."""
        ...

    def start_move(self, target: str, rate: int | None) -> None:
        """Has the service move all messages to the queue `target`, at most `rate` a second; where it can."""
        ...

    def move(self) -> Move | None:
        """The newest move that was started, if there was one; where the service can move."""
        ...


Station = Literal["process", "reduce"]
JobStatus = Literal["SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED"]
LOCAL_JOB = "local-"
"""How the ids of jobs begin that end with the process that submitted them."""
MAX_CHILDREN = 10_000
"""Children of an array job; AWS Batch's limit."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job to be: `station RUN` once, or as an array with `children` (1: a plain job, without an index).

    It begins when all jobs in `after` have succeeded, and fails unstarted when one of them fails. `name` is made of
    letters, digits, `-` and `_`, at most 128.
    """

    name: str
    station: Station
    run: str
    children: int = 1
    after: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the service shows it. A child's id ends in `:N`; `created_at` in ms.

    `children` counts an array's children by status where the service tells; `exit_code` is that of the last attempt,
    None before its end, of an array, and where no process ended; `reason` says in words why it is as it is.
    """

    id: str
    name: str
    status: JobStatus
    created_at: int
    children: Mapping[str, int] = field(default_factory=dict)
    exit_code: int | None = None
    reason: str = ""

    @property
    def ended(self) -> bool:
        return self.status in ("SUCCEEDED", "FAILED")


class Jobs(Protocol):
    """Runs stations as jobs, as AWS Batch does.

    All verbs raise UsageError (refused: nothing has happened) and TransientError (perhaps it has happened).
    """

    def submit(self, request: JobRequest) -> str:
        """Submits a job and returns its id. Two calls are two jobs, also of one name."""
        ...

    def find(self, name: str) -> Sequence[Job]:
        """The jobs of that name in any state, the oldest first; one submitted just now may be missing."""
        ...

    def describe(self, ids: Sequence[str]) -> Sequence[Job]:
        """Those of the jobs and children that the service still knows, in no order."""
        ...

    def terminate(self, job: str, reason: str) -> None:
        """Ends a job with all its children; for one that has ended, or is unknown, nothing happens."""
        ...


@dataclass(frozen=True, slots=True)
class BulkItem:
    """One item of a bulk answer, in the order of the body."""

    status: int
    error_type: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as the index holds it: external version and chosen `_source` fields."""

    version: int
    source: Mapping[str, Any]


class BulkLoad(Protocol):
    def bulk(self, alias: str, body: bytes) -> Sequence[BulkItem] | None:
        """Sends a raw NDJSON body, gzip-compressed, to an alias that must exist.

        None means that every item succeeded. Raises TransientError (unreachable, 429, 5xx; with what a Retry-After
        header asks for), BodyTooLargeError, PermanentError (not permitted, wrong request).
        """
        ...


class ReadDocuments(Protocol):
    def documents(
        self, index: str, ids: Sequence[str], fields: Sequence[str]
    ) -> Mapping[str, StoredDocument]:
        """The stored documents among `ids` (real-time, needs no refresh).

        Raises TransientError, also where the answer does not speak of each of them.
        """
        ...

    def versions(self, index: str, ids: Sequence[str]) -> Mapping[str, int]:
        """The external versions of those of `ids` that are stored, tombstones too; otherwise as `documents`."""
        ...


class ManageIndex(Protocol):
    def resolve(self, alias: str) -> str | None:
        """The one index behind an alias, or None where there is no alias. Raises UsageError for several."""
        ...

    def alias_filter(self, alias: str) -> Mapping[str, Any]:
        """The filter through which an alias shows its index; empty where it has none."""
        ...

    def create(self, index: str, body: Mapping[str, Any]) -> None:
        """Creates an index (with its aliases); an index of the same name that exists already is no error."""
        ...

    def meta(self, index: str) -> Mapping[str, Any]:
        """The `_meta` object of the mapping."""
        ...

    def count(self, alias: str, query: Mapping[str, Any] | None = None) -> int:
        """How many documents the alias shows, or how many of them answer a query."""
        ...

    def indexes(self, pattern: str) -> Sequence[str]:
        """The names of indexes that fit a pattern with `*`, sorted."""
        ...

    def structure(self, index: str) -> Mapping[str, Any]:
        """What GET /<index> tells: `aliases`, `mappings`, and `settings` with all values as text."""
        ...

    def complete(self, index: str) -> bool:
        """Whether all copies of its shards are there."""
        ...

    def normalises(self) -> bool:
        """Whether the ICU plugin's `icu_normalizer` is installed."""
        ...

    def configure(self, index: str, settings: Mapping[str, Any]) -> None:
        """Changes dynamic settings of an index; None stands for the default."""
        ...

    def change_aliases(self, actions: Sequence[Mapping[str, Any]]) -> None:
        """Does all actions of the `_aliases` API at once, or none. Raises UsageError where one is impossible."""
        ...

    def drop(self, index: str) -> None:
        """Deletes an index; deleting a missing one is no error."""
        ...

    def refresh(self, index: str) -> None: ...


class Search(Protocol):
    def search(self, alias: str, body: Mapping[str, Any]) -> Mapping[str, Any]: ...


class ScanDocuments(Protocol):
    def scan(
        self, index: str, query: Mapping[str, Any], fields: Sequence[str], order: str
    ) -> Iterator[Mapping[str, Any]]:
        """All documents that answer a query, in bytewise order of the keyword field `order`, any number of them.

        Each has another value of it, so that one that is there all the while is given exactly once. Gives those of
        `fields` (keywords, dates as ISO 8601, numbers) that a document has. `index` may be a pattern with `*`: then
        values may recur. Raises TransientError.
        """
        ...


class Erase(Protocol):
    def erase(self, index: str, query: Mapping[str, Any]) -> int:
        """Deletes documents for good, without tombstones, and returns how many; `index` may be a pattern with `*`.

        Raises TransientError, also where one of them changed meanwhile.
        """
        ...


class Index(BulkLoad, ReadDocuments, ManageIndex, Search, ScanDocuments, Erase, Protocol):
    """The search server."""
