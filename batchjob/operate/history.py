"""All that is known of one object: from the inbox, runs, quarantine, the index, and the object itself."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from batchjob import layout
from batchjob.drain.inbox import list_segments
from batchjob.drain.ledger import read_ledger
from batchjob.drain.openruns import Phase, look_at
from batchjob.errors import BatchjobError, ObjectMissingError
from batchjob.operate.runfiles import AT_ONCE, RunFolder, all_runs, find_outcomes, manifest_rows, rows_of
from batchjob.ports import (
    Get,
    Level,
    List,
    ManageIndex,
    ObjectMeta,
    ReadDocuments,
    StoredDocument,
    read_or_none,
)
from batchjob.records import GivenUp, Ledger, ManifestRow, Outcome, outcomes_from_parquet
from batchjob.reduce.receipts import in_order, read_output
from batchjob.runs import parse_record, read_receipt

FIELDS = (
    *("s3_key", "bucket", "etag", "last_modified", "observed_at", "indexed_at", "deleted_at", "run_id"),
    *(
        "page_count",
        "content_length",
        "truncated",
        "content_sha256",
        "fingerprint",
        "mime_type",
        "extraction",
    ),
)
"""Of the document; all but its text."""


class HistoryStore(Get, List, Level, Protocol):
    """The verbs for looking into the work folder."""


class HistoryIndex(ReadDocuments, ManageIndex, Protocol):
    """The verbs for looking at a document."""


@dataclass(frozen=True, slots=True)
class ObjectName:
    """An object by its source (a bucket, or a folder's `file:` URI) and key."""

    bucket: str
    key: str

    @property
    def doc_id(self) -> str:
        return layout.doc_id(self.bucket, self.key)

    def names(self, row: ManifestRow) -> bool:
        return (row.bucket, row.key) == (self.bucket, self.key)


@dataclass(frozen=True, slots=True)
class Now:
    """The object as it is: there (`meta`), gone, or not to be seen, and `why`. `observed_at` in ms."""

    meta: ObjectMeta | None = None
    gone: bool = False
    why: str = ""
    observed_at: int | None = None


@dataclass(frozen=True, slots=True)
class OpenPart:
    """A row in a run that is not finished: its shard's outcome where that is done."""

    run_id: str
    phase: Phase
    shard: int
    row: ManifestRow
    outcome: Outcome | None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a finished run ended for the object; times in ms."""

    run_id: str
    finished_at: int
    outcome: Outcome


@dataclass(slots=True)
class History:
    """`waiting`: rows in the inbox by segment. `index` is the one behind the alias, None where nobody was asked."""

    name: ObjectName
    now: Now
    waiting: list[tuple[str, ManifestRow]] = field(default_factory=list)
    open: list[OpenPart] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    given_up: GivenUp | None = None
    index: str | None = None
    document: StoredDocument | None = None


def read_history(
    name: ObjectName,
    store: HistoryStore,
    index: HistoryIndex | None,
    alias: str,
    source: Callable[[str], Get],
) -> History:
    """Looks everywhere. Raises UsageError (a damaged record, several indexes), TransientError."""
    found = History(name, look_at_object(name, source))
    ledger = read_ledger(store)
    found.waiting = waiting_rows(name, store, ledger)
    found.open = open_parts(name, store, ledger)
    found.ended = ended_runs(name, store, all_runs(store))
    quarantined = layout.quarantined_row(name.doc_id)
    data = read_or_none(store, quarantined)
    found.given_up = parse_record(GivenUp, quarantined, data) if data else None
    if index is not None:
        found.index = index.resolve(alias)
        if found.index is not None:
            found.document = index.documents(found.index, [name.doc_id], FIELDS).get(name.doc_id)
    return found


def look_at_object(name: ObjectName, source: Callable[[str], Get]) -> Now:
    try:
        with source(name.bucket).open(name.key) as opened:
            return Now(meta=opened.meta, observed_at=opened.observed_at)
    except ObjectMissingError as error:
        return Now(gone=True, observed_at=error.observed_at)
    except BatchjobError as error:
        return Now(why=str(error))


def waiting_rows(name: ObjectName, store: HistoryStore, ledger: Ledger) -> list[tuple[str, ManifestRow]]:
    """Rows of segments that no run holds."""
    segments = [key for key in list_segments(store) if key not in ledger.adopted]
    read = in_order(lambda key: [(key, row) for row in rows_of(store, key, name.key)], segments, AT_ONCE)
    return [(key, row) for rows in read for key, row in rows if name.names(row)]


def open_parts(name: ObjectName, store: HistoryStore, ledger: Ledger) -> list[OpenPart]:
    """Rows of the runs that the ledger calls open."""
    found: list[OpenPart] = []
    for run_id in ledger.open:
        run = look_at(store, ledger, run_id)
        if run.phase is not Phase.FINISHED:
            rows = manifest_rows(store, run_id, run.run.shards, name.key)
            found += [
                OpenPart(run_id, run.phase, shard, row, _done(name, store, run_id, shard))
                for shard, row in rows
                if name.names(row)
            ]
    return found


def _done(name: ObjectName, store: HistoryStore, run_id: str, shard: int) -> Outcome | None:
    receipt = read_receipt(store, run_id, shard)
    if receipt is None:
        return None
    outcomes = outcomes_from_parquet(read_output(store, receipt.outcomes))
    return next((outcome for outcome in outcomes if outcome.doc_id == name.doc_id), None)


def ended_runs(name: ObjectName, store: HistoryStore, runs: list[RunFolder]) -> list[Ended]:
    """What finished runs did to the object, oldest first."""

    def look(run: RunFolder) -> list[Ended]:
        if run.merged is None or run.finished_at is None:
            return []
        outcomes = find_outcomes(store, run.merged, name.doc_id)
        return [Ended(run.run_id, run.finished_at, outcome) for outcome in outcomes]

    found = [one for some in in_order(look, runs, AT_ONCE) for one in some]
    return sorted(found, key=lambda one: one.finished_at)
