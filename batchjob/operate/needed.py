"""Which runs something still needs, and whether a re-index is at work: nothing of that may be removed."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import orjson

from batchjob import layout
from batchjob.ports import Get, List, read_or_none
from batchjob.runs import damaged

RUN = re.compile(rb"\b\d{8}T\d{6}Z-[0-9a-f]{6}\b")
ENDED = ("done", "abandoned")
"""Phases of a re-index that does nothing any more."""


class NeededStore(Get, List, Protocol):
    """The verbs for looking at what is under way."""


def needed_runs(store: NeededStore) -> set[str]:
    """Every run that the ledger names, or a re-index that may still go on or back, or rows that come back from it.

    Whatever the reason is for which a record names a run, the run stays. Raises UsageError (damaged), TransientError.
    """
    ledger = read_or_none(store, layout.LEDGER) or b"{}"
    newest = _parsed(layout.LEDGER, ledger).get("reindex")
    records = [
        ledger,
        *(data for name, data in _reindexes(store) if name == newest or _is_active(name, data)),
    ]
    named = {found.decode() for data in records for found in RUN.findall(data)}
    return named | {layout.run_of_retries(meta.key) for meta in store.list(layout.RETRIES)}


def active_reindex(store: NeededStore) -> str | None:
    """The name of a re-index that has not ended. Raises UsageError (damaged), TransientError."""
    return next((name for name, data in _reindexes(store) if _is_active(name, data)), None)


def _reindexes(store: NeededStore) -> Iterator[tuple[str, bytes]]:
    for meta in store.list(layout.REINDEXES):
        data = read_or_none(store, meta.key)
        if data is not None:
            yield meta.key.removeprefix(layout.REINDEXES).removesuffix(".json"), data


def _is_active(name: str, data: bytes) -> bool:
    return _parsed(f"{layout.REINDEXES}{name}.json", data).get("phase") not in ENDED


def _parsed(key: str, data: bytes) -> Mapping[str, Any]:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise damaged(key, "record")
    return found
