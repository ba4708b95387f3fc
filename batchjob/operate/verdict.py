"""One sentence on top of an object's history: is it found, and if not, why and what to do."""

from datetime import UTC, datetime
from typing import Any

from batchjob.drain.filters import KeyFilter
from batchjob.operate.history import History
from batchjob.records import FinalState

WHAT_TO_DO = {
    "corrupt": "put a whole file in its place",
    "protected": "save it without a password",
    "empty": "there is nothing to read in it",
    "unsupported": "save it as PDF",
    "too_large": "raise BATCHJOB_MAX_BYTES, then `batchjob reconcile --repair`",
    "too_many_pages": "raise BATCHJOB_MAX_PAGES, then re-index",
    "timeout": "raise BATCHJOB_DOCUMENT_SECONDS, then `batchjob quarantine retry`",
    "out_of_memory": "give the job more memory (BATCHJOB_CHILD_MEMORY), then `batchjob quarantine retry`",
    "crashed": "`batchjob extract FILE` shows what it dies of",
    "gave_up": "mend the cause, then `batchjob quarantine retry`",
    "refused": "mend the cause, then `batchjob quarantine retry`",
}
"""By failure category (errors.FailureCategory)."""


def verdict(found: History, keys: KeyFilter) -> str:
    """The answer, one sentence or two."""
    state = _in_index(found)
    coming = _coming(found)
    if state is None and not coming:
        return _not_indexed(found, keys)
    return "; ".join(part for part in (state, coming or _behind(found)) if part) + "."


def when(moment: int | None) -> str:
    """Milliseconds as ISO 8601 in UTC."""
    if moment is None:
        return "?"
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _in_index(found: History) -> str | None:
    if found.document is None:
        return None
    source = found.document.source
    if "deleted_at" in source:
        return f"was deleted, and not found any more since {source['deleted_at']}"
    extraction = source.get("extraction", {})
    if extraction.get("status") == "failed":
        return _failed(extraction.get("error", {}))
    text = f"is searchable since {source.get('indexed_at')}, {_pages(source)}"
    if extraction.get("status") == "partial":
        text += f", not read wholly ({extraction.get('error', {}).get('message')})"
    return text


def _pages(source: Any) -> str:
    count = source.get("page_count", 0)
    return f"{count} page{'' if count == 1 else 's'}"


def _failed(error: Any) -> str:
    category = str(error.get("category"))
    todo = WHAT_TO_DO.get(category, "mend that, and put it there again")
    return f"is found by its name alone, since reading it failed ({category}: {error.get('message')}); {todo}"


def _coming(found: History) -> str | None:
    """What is under way."""
    for part in found.open:
        if part.outcome is None:
            return f"is in run {part.run_id}, which is {part.phase}: `batchjob runs list`"
        return (
            f"was read ({part.outcome.state}) by run {part.run_id}, which is {part.phase} and not loaded yet"
        )
    for segment, row in found.waiting:
        wait = f", not before {when(row.not_before)}" if row.not_before else ""
        return (
            f"waits in the inbox ({segment}, attempt {row.attempt}{wait}): the next `batchjob drain` takes it"
        )
    return None


def _behind(found: History) -> str | None:
    """Whether the index holds the object as it is now."""
    document, now = found.document, found.now
    if document is None:
        return None
    deleted = "deleted_at" in document.source
    if now.why:
        return f"whether that is still so cannot be seen: {now.why}"
    if now.gone:
        return None if deleted else "but the object is gone: `batchjob reconcile --repair` takes it out"
    if now.meta is None or document.source.get("etag") == now.meta.etag:
        return None
    if deleted:
        return "but it is there again: wait for its event, or `batchjob reconcile --repair`"
    return "but the object is another one now: wait for its event, or `batchjob reconcile --repair`"


def _not_indexed(found: History, keys: KeyFilter) -> str:
    if found.given_up is not None:
        given_up = found.given_up
        return f"was given up ({given_up.category}: {given_up.message}); `batchjob quarantine retry` tries it again."
    last = found.ended[-1] if found.ended else None
    if last is not None and last.outcome.state is FinalState.REJECTED:
        return (
            f"was refused by OpenSearch in run {last.run_id} ({last.outcome.message}); mend that, then retry."
        )
    if not keys.takes(found.name.key):
        return (
            f"is no document: keys begin with {keys.prefix!r} and end with {' '.join(keys.suffixes)} "
            "(BATCHJOB_PREFIX, BATCHJOB_SUFFIXES)."
        )
    if last is not None and found.index is None:
        return f"ended as {last.outcome.state} in run {last.run_id}; no index was asked whether it is still there."
    if last is not None:
        return (
            f"ended as {last.outcome.state} in run {last.run_id} and is not in the index: "
            "`batchjob reconcile --repair`."
        )
    return _never_seen(found)


def _never_seen(found: History) -> str:
    if found.now.why:
        return f"was never seen here, and cannot be looked at: {found.now.why}"
    if found.now.gone:
        return "was never seen here, and there is no such object: is its name right?"
    asked = "" if found.index else " (no index was asked)"
    return (
        f"was never seen here{asked}, though it is there: its event is still in the queue, or was lost; "
        "`batchjob drain`, then `batchjob reconcile --repair`."
    )
