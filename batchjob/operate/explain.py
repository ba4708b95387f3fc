"""`explain`: where a file is, and how it got there, in order of time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from batchjob import layout
from batchjob.drain.filters import KeyFilter
from batchjob.operate.history import History, HistoryIndex, HistoryStore, ObjectName, read_history
from batchjob.operate.verdict import verdict
from batchjob.ports import Get, StoredDocument
from batchjob.records import ManifestRow, Outcome


@dataclass(frozen=True, slots=True)
class Event:
    """What happened `where`; `at` in ms, None where nobody knows."""

    at: int | None
    where: str
    what: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer in a sentence, and all events, oldest first."""

    name: ObjectName
    answer: str
    events: list[Event]


def explain(
    name: ObjectName,
    store: HistoryStore,
    index: HistoryIndex | None,
    alias: str,
    source: Callable[[str], Get],
    keys: KeyFilter,
) -> Explanation:
    """Raises UsageError (a damaged record, several indexes), TransientError."""
    found = read_history(name, store, index, alias, source)
    events = sorted(_events(found), key=lambda event: event.at or 0)
    return Explanation(name, verdict(found, keys), events)


def _events(found: History) -> Iterator[Event]:
    yield from _of_object(found)
    for segment, row in found.waiting:
        yield Event(row.event_time, segment, f"{row.action} waits in the inbox", _row(row))
    for part in found.open:
        frozen = layout.run_started(part.run_id)
        where = f"run {part.run_id}"
        yield Event(frozen, where, f"{part.row.action} frozen in shard {part.shard}", _row(part.row))
        if part.outcome is not None:
            yield Event(part.outcome.observed_at, where, _ended(part.outcome), _outcome(part.outcome))
    for one in found.ended:
        details = _outcome(one.outcome)
        at = one.outcome.observed_at if (one.outcome.observed_at or 0) > 1 else one.finished_at
        yield Event(at, f"run {one.run_id}", _ended(one.outcome), details)
    if found.given_up is not None:
        given_up = found.given_up
        details = {"category": given_up.category, "message": given_up.message, "run_id": given_up.run_id}
        yield Event(given_up.at, "quarantine", "given up", details)
    if found.document is not None:
        yield _of_document(f"index {found.index}", found.document)


def _of_object(found: History) -> Iterator[Event]:
    now = found.now
    if now.meta is None:
        yield Event(now.observed_at, "object", "is gone" if now.gone else "cannot be seen", {"why": now.why})
        return
    details = {"etag": now.meta.etag, "size": now.meta.size, "version_id": now.meta.version_id}
    yield Event(_ms(now.meta.last_modified), "object", "last changed", _known(details))


def _of_document(where: str, document: StoredDocument) -> Event:
    source = document.source
    details = {**source, "version": document.version}
    if "deleted_at" in source:
        return Event(document.version, where, "tombstone", details)
    status = source.get("extraction", {}).get("status")
    indexed = source.get("indexed_at")
    at = _ms(datetime.fromisoformat(indexed)) if indexed else document.version
    return Event(at, where, f"document ({status})", details)


def _ended(outcome: Outcome) -> str:
    why = f": {outcome.message}" if outcome.message else ""
    return f"{outcome.state}{why}"


def _row(row: ManifestRow) -> dict[str, Any]:
    told = {"etag": row.etag, "version_id": row.version_id, "size": row.size, "sequencer": row.sequencer}
    return _known({**told, "attempt": row.attempt, "not_before": row.not_before})


def _outcome(outcome: Outcome) -> dict[str, Any]:
    names = ("attempt", "etag", "size", "sha256", "category", "method", "page_count", "pages_read", "cached")
    return _known({name: getattr(outcome, name) for name in (*names, "seconds", "part")})


def _known(details: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if value is not None}


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
