"""What travels between stations: manifest rows, extracted pages, outcomes, receipts, and their Parquet schemas."""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from itertools import islice
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from batchjob.errors import FailureCategory


class Action(StrEnum):
    UPSERT = "upsert"
    DELETE = "delete"


class FinalState(StrEnum):
    """The one end of a manifest row (invariant 1); every count of rows uses these names."""

    INDEXED = "indexed"
    KEPT_PREVIOUS = "kept_previous"
    DELETED = "deleted"
    FAILED = "failed"
    REJECTED = "rejected"
    REQUEUED = "requeued"
    SKIPPED = "skipped"


MAX_ATTEMPTS = 3
"""How often a row is tried, over as many runs, before it is given up (invariant 5)."""
DEPENDENCY_CAUSES = frozenset(("store_unavailable", "source_unavailable", "no_bucket"))
"""Causes that cannot be one object's own: many of them stop a shard."""
ABANDONED = "abandoned"
"""The cause of rows whose shard no process did."""
DIED = "died"
"""The cause of rows whose shard killed its process, or one of them did."""
NOT_COUNTED = frozenset(("store_unavailable", "source_unavailable", ABANDONED, DIED))
"""Causes that are no attempt of a row: an outage, or a shard that died. A missing bucket may stay missing."""
DIED_ALONE = "died_alone"
"""The cause of a row whose shard, with no other row, killed its process: that is its own."""
UNSEEN_VERSION = 1
"""The version of a document that says its object was never seen: any observation beats it."""


class PageMethod(StrEnum):
    """Where a page's text came from."""

    TEXT = "text"
    OCR = "ocr"
    BOTH = "text+ocr"
    BLANK = "blank"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One object to reconcile. Everything but bucket and key is a hint; `event_time` in ms, `not_before` too.

    `department`, `project`, `tags` and `doc_type` travel into the document.
    """

    bucket: str
    key: str
    action: Action = Action.UPSERT
    version_id: str | None = None
    size: int | None = None
    etag: str | None = None
    event_time: int | None = None
    sequencer: str | None = None
    attempt: int = 1
    not_before: int | None = None
    cost: float = 0.0
    department: str | None = None
    project: str | None = None
    tags: tuple[str, ...] = ()
    doc_type: str | None = None


MANIFEST_SCHEMA = pa.schema(
    [
        pa.field("bucket", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        ("version_id", pa.string()),
        ("size", pa.int64()),
        ("etag", pa.string()),
        ("event_time", pa.int64()),
        ("sequencer", pa.string()),
        ("attempt", pa.int32()),
        ("not_before", pa.int64()),
        ("cost", pa.float64()),
        ("department", pa.string()),
        ("project", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("doc_type", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A document's or a page's failure as data."""

    category: FailureCategory
    message: str


@dataclass(frozen=True, slots=True)
class PageText:
    """One page's text; `page` counts from 1, `confidence` is 0–100 (None without OCR), `seconds` of wall time.

    `error` says what was lost, of a page that is `failed` or of one that was read in part; `note` what picture
    OCR was given.
    """

    page: int
    method: PageMethod
    text: str
    engine: str | None = None
    confidence: float | None = None
    seconds: float = 0.0
    error: Failure | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Extraction:
    """What a document says. `failure` is set where nothing could be read; `thumbnail` is a JPEG.

    `status` is `ok`, `partial` (something of a page was lost) or `failed`. `cache_hits` counts page groups.
    """

    mime_type: str
    page_count: int
    pages: tuple[PageText, ...]
    title: str | None = None
    author: str | None = None
    failure: Failure | None = None
    thumbnail: bytes | None = None
    cache_hits: int = 0
    cache_misses: int = 0

    @property
    def status(self) -> Literal["ok", "partial", "failed"]:
        if self.failure is not None:
            return "failed"
        return "partial" if any(page.error for page in self.pages) else "ok"

    @property
    def text(self) -> str:
        """All pages, separated by a form feed."""
        return "\f".join(page.text for page in self.pages)

    @property
    def pages_read(self) -> int:
        """Pages that are not failed: `page_count` is what the document claims."""
        return sum(page.method is not PageMethod.FAILED for page in self.pages)

    @property
    def ocr_pages(self) -> int:
        return sum(page.method in (PageMethod.OCR, PageMethod.BOTH) for page in self.pages)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a manifest row ended in its shard; the reducer turns `state` into the final one.

    `observed_at` is the version of the write (ms); `part` names the bulk part that holds the document. `seconds` is
    wall time with all waiting, `reading_seconds` what its pages took to read, now or when they came into the cache.
    `gave_up_at` is when a failure without an observation happened (ms, at the earliest).
    """

    doc_id: str
    bucket: str
    key: str
    state: FinalState
    attempt: int
    observed_at: int | None = None
    etag: str | None = None
    size: int | None = None
    sha256: str | None = None
    category: str | None = None
    message: str | None = None
    mime_type: str | None = None
    method: str | None = None
    page_count: int = 0
    pages_read: int = 0
    ocr_pages: int = 0
    confidence: float | None = None
    cached: bool = False
    content_length: int = 0
    seconds: float = 0.0
    reading_seconds: float = 0.0
    part: str | None = None
    gave_up_at: int | None = None


OUTCOME_SCHEMA = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("bucket", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        ("attempt", pa.int32()),
        ("observed_at", pa.int64()),
        ("etag", pa.string()),
        ("size", pa.int64()),
        ("sha256", pa.string()),
        ("category", pa.string()),
        ("message", pa.string()),
        ("mime_type", pa.string()),
        ("method", pa.string()),
        ("page_count", pa.int32()),
        ("pages_read", pa.int32()),
        ("ocr_pages", pa.int32()),
        ("confidence", pa.float64()),
        ("cached", pa.bool_()),
        ("content_length", pa.int64()),
        ("seconds", pa.float64()),
        ("reading_seconds", pa.float64()),
        ("part", pa.string()),
        ("gave_up_at", pa.int64()),
    ]
)


def _parquet(rows: Iterable[Any], schema: pa.Schema) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pydict(_columns([*rows], schema), schema), buffer, compression="zstd")
    return buffer.getvalue()


def _columns(rows: Sequence[Any], schema: pa.Schema) -> dict[str, list[Any]]:
    return {name: [getattr(row, name) for row in rows] for name in schema.names}


def manifest_to_parquet(rows: Iterable[ManifestRow]) -> bytes:
    return _parquet(rows, MANIFEST_SCHEMA)


def manifest_batches(rows: Iterable[ManifestRow]) -> Iterator[pa.RecordBatch]:
    """Rows in MANIFEST_SCHEMA, some thousand at a time."""
    remaining = iter(rows)
    while some := list(islice(remaining, 8192)):
        yield pa.RecordBatch.from_pydict(_columns(some, MANIFEST_SCHEMA), MANIFEST_SCHEMA)


def manifest_row(values: dict[str, Any]) -> ManifestRow:
    """A row from one record of a manifest file; absent and null values take their defaults."""
    known = {f.name for f in fields(ManifestRow)}
    given = {name: value for name, value in values.items() if name in known and value is not None}
    return ManifestRow(
        **{**given, "action": Action(given.get("action", "upsert")), "tags": tuple(given.get("tags", ()))}
    )


def manifest_from_parquet(data: bytes) -> list[ManifestRow]:
    return [manifest_row(record) for record in pq.read_table(io.BytesIO(data)).to_pylist()]


def outcomes_to_parquet(rows: Iterable[Outcome]) -> bytes:
    return _parquet(rows, OUTCOME_SCHEMA)


def outcomes_from_parquet(data: bytes) -> list[Outcome]:
    return outcomes_of(pq.read_table(io.BytesIO(data)))


def outcomes_of(rows: pa.Table) -> list[Outcome]:
    """The rows of a table of OUTCOME_SCHEMA."""
    return [Outcome(**{**record, "state": FinalState(record["state"])}) for record in rows.to_pylist()]


class Record(BaseModel):
    """A JSON document in the bucket; an unknown field is an error, since another format wrote it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> bytes:
        return self.model_dump_json(indent=1).encode()


class RunInfo(Record):
    """`run.json`: what a run is, frozen before any shard starts.

    `fingerprint` is that of the extraction; a shard under other settings refuses to work on it. `segments`: keys of the
    inbox segments that it was made of, together with the runs committed with it.
    """

    format: Literal[1] = 1
    run_id: str
    kind: Literal["incremental", "local", "reindex"]
    index: str
    fingerprint: str
    rows: int
    shards: int
    segments: tuple[str, ...] = ()


class Adoption(Record):
    """When a segment became part of a run (ms), and the first of the runs that were committed with it."""

    at: int
    run: str


class Ledger(Record):
    """`ledger.json`, the only commit of intake (invariant 6), always replaced with If-Match.

    `adopted`: keys of inbox segments that are part of a run, so that one found again is not taken twice. `open`: runs
    without a summary. `unsubmitted`: those of them whose jobs do not exist yet. `reindex` is the newest re-index, and
    `since` the runs that were open when it began or were committed after that. `generation` grows with each version;
    `writer` makes every version of the file unlike any other.
    """

    format: Literal[1] = 1
    generation: int = 0
    writer: str = ""
    adopted: dict[str, Adoption] = {}
    open: tuple[str, ...] = ()
    unsubmitted: tuple[str, ...] = ()
    reindex: str | None = None
    since: tuple[str, ...] = ()


class Measured(Record):
    """Sums over the documents of a type that were read, for a regression of seconds over megabytes."""

    documents: float = 0.0
    megabytes: float = 0.0
    seconds: float = 0.0
    megabytes_squared: float = 0.0
    megabytes_seconds: float = 0.0


class Calibration(Record):
    """`calibration.json`: what documents cost in earlier runs, by type; earlier runs weigh less."""

    format: Literal[1] = 1
    types: dict[str, Measured] = {}


class Submission(Record):
    """`submitted.json`: an intent to submit a run's jobs (`writer`, `at` in ms), then their ids (invariant 7)."""

    format: Literal[1] = 1
    writer: str
    at: int
    process_job: str | None = None
    reduce_job: str | None = None


class GivenUp(Record):
    """`quarantine/rows/<doc_id>.json`: a row given up after its last attempt: why, in which run, when (ms)."""

    format: Literal[1] = 1
    run_id: str
    at: int
    category: str
    message: str
    row: dict[str, Any]


class Output(Record):
    """A file that a receipt vouches for."""

    key: str
    size: int
    sha256: str


class ShardCounts(Record):
    """What a shard did, in rows, pages and bytes."""

    rows: int = 0
    documents: int = 0
    deletions: int = 0
    failures: int = 0
    requeued: int = 0
    skipped: int = 0
    pages: int = 0
    ocr_pages: int = 0
    cache_hits: int = 0
    bytes: int = 0


class Receipt(Record):
    """The shard is done: `parts` hold its documents, `failures` its metadata-only ones, `outcomes` its rows.

    `abandoned` says why no process did it: then all its rows come back (invariant 8).
    """

    format: Literal[1] = 1
    shard: int
    writer: str
    parts: tuple[Output, ...]
    failures: tuple[Output, ...]
    outcomes: Output
    counts: ShardCounts
    seconds: float
    abandoned: str | None = None


class Checkpoint(Record):
    """How far the reducer is: items are numbered over all receipts; `prefix` are done, and so are `done`.

    `marked` are the items some of whose documents were rejected or kept as they were: files say which.

    `epoch` grows with each take-over; `writer` makes every version of the file unlike any other.
    """

    format: Literal[1] = 1
    epoch: int
    writer: str
    sequence: int = 0
    prefix: int = 0
    done: tuple[int, ...] = ()
    marked: tuple[int, ...] = ()
    requests: int = 0
    retries: int = 0


class Summary(Record):
    """Created once; its being there means that the run is finished. The states add up to `rows`."""

    format: Literal[1] = 1
    run_id: str
    index: str
    rows: int
    states: dict[FinalState, int]
    pages: int
    ocr_pages: int
    cache_hits: int
    requests: int
    retries: int
    bytes: int
    seconds: float
    finished_at: int
    failures: dict[str, int] = {}
