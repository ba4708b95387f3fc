"""`purge`: everything that is kept of one object is erased, in the index and in the work folder."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, quote_plus

from batchjob import layout
from batchjob.drain.ledger import read_ledger
from batchjob.errors import UsageError
from batchjob.operate.history import ObjectName, look_at_object, waiting_rows
from batchjob.operate.needed import active_reindex
from batchjob.operate.rewriting import rewrite_run, without_lines
from batchjob.operate.runfiles import RunFolder, all_runs, find_outcomes, manifest_rows
from batchjob.ports import Delete, Erase, Get, List, ManageIndex, ScanDocuments, Store, read_or_none
from batchjob.process.cache import last_content
from batchjob.runs import read_run


class PurgeIndex(ManageIndex, ScanDocuments, Erase, Protocol):
    """The verbs for erasing a document."""


class Thumbnails(List, Delete, Protocol):
    """The verbs for erasing thumbnails."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where something may be kept. `alias`: its indexes, also those before and after the present one."""

    store: Store
    thumbnails: Thumbnails
    index: PurgeIndex
    alias: str
    source: Callable[[str], Get]
    scratch: Path


@dataclass(slots=True)
class Purged:
    """How much of each kind was erased; nothing where nothing was kept. `warning`: what could not be looked at."""

    documents: int = 0
    runs: int = 0
    run_files: int = 0
    cache_entries: int = 0
    thumbnails: int = 0
    quarantined: int = 0
    warning: str = ""


def check_purge(name: ObjectName, places: Places) -> str:
    """Raises UsageError where the object would come back; returns a warning where nobody can tell."""
    now = look_at_object(name, places.source)
    if now.meta is not None:
        raise UsageError(
            f"{name.key!r} is still in {name.bucket}, so that it would come back: delete it there first, with all its "
            "versions"
        )
    running = active_reindex(places.store)
    if running is not None:
        raise UsageError(f"re-index {running} is at work and may hold {name.key!r}: let it end first")
    ledger = read_ledger(places.store)
    if waiting_rows(name, places.store, ledger):
        raise UsageError(
            f"{name.key!r} waits in the inbox: `batchjob drain --submit`, and purge after that run"
        )
    for run in all_runs(places.store):
        if (run.run_id in ledger.open or run.finished_at is None) and _is_in(name, places.store, run):
            raise UsageError(
                f"run {run.run_id} holds {name.key!r} and is not finished: `batchjob sweep`, then purge again "
                "(one that nobody will finish goes by `batchjob gc --days 1` after a day)"
            )
    return now.why


def _is_in(name: ObjectName, store: Get, run: RunFolder) -> bool:
    if run.info is None:
        return False
    shards = read_run(store, run.run_id).shards
    return any(name.names(row) for _, row in manifest_rows(store, run.run_id, shards, name.key))


def purge(name: ObjectName, places: Places) -> Purged:
    """Erases; a call that was killed is finished by the next one. Raises UsageError (see check_purge), TransientError.

    What nobody can connect to the object any more stays until its lifecycle rule ends it: cached pages of contents that
    the object had before, and of which no run tells.
    """
    warning = check_purge(name, places)
    store, doc_id = places.store, name.doc_id
    runs = [run for run in all_runs(store) if run.merged is not None]
    found = {run.run_id: find_outcomes(store, run.merged, doc_id) for run in runs if run.merged is not None}
    contents = {outcome.sha256 for outcomes in found.values() for outcome in outcomes}
    contents |= {last_content(store, name.bucket, name.key), *_indexed_contents(name, places)}
    done = Purged(warning=warning)
    done.cache_entries = sum(_erase_content(store, sha256) for sha256 in contents if sha256)
    for run_id, outcomes in found.items():
        if outcomes:
            done.runs += 1
            done.run_files += rewrite_run(store, run_id, name, places.scratch)
    done.quarantined = _erase_quarantined(store, name)
    done.thumbnails = _erase_all(places.thumbnails, f"{doc_id}/")
    done.documents = places.index.erase(_indexes(places), {"term": {"file_id": doc_id}})
    done.cache_entries += _erase_all(store, layout.pointer(name.bucket, name.key))
    return done


def _indexes(places: Places) -> str:
    behind = places.index.resolve(places.alias)
    return f"{behind},{places.alias}-*" if behind else f"{places.alias}-*"


def _indexed_contents(name: ObjectName, places: Places) -> Iterator[str | None]:
    query = {"term": {"file_id": name.doc_id}}
    for document in places.index.scan(_indexes(places), query, ["content_sha256"], "file_id"):
        yield document.get("content_sha256")


def _erase_content(store: Store, sha256: str) -> int:
    """Under every fingerprint; another object of the same content is extracted anew."""
    fingerprints = [entry for entry in store.level(layout.CACHED) if isinstance(entry, str)]
    names = [entry.removeprefix(layout.CACHED).rstrip("/") for entry in fingerprints]
    return sum(_erase_all(store, layout.cached_content(name, sha256)) for name in names)


def _erase_all(store: Thumbnails, prefix: str) -> int:
    keys = [meta.key for meta in store.list(prefix)]
    for key in keys:
        store.delete(key)
    return len(keys)


def _erase_quarantined(store: Store, name: ObjectName) -> int:
    """The row, and messages that nobody could read and that name the key in one of the ways keys are written."""
    count = _erase_all(store, layout.quarantined_row(name.doc_id))
    spellings = {name.key, quote(name.key), quote_plus(name.key), json.dumps(name.key)[1:-1]}

    def names(line: dict[str, str]) -> bool:
        return any(spelling in line.get("body", "") for spelling in spellings)

    for meta in list(store.list(layout.QUARANTINED_MESSAGES)):
        left = without_lines(read_or_none(store, meta.key) or b"", names)
        if left is not None:
            count += 1
            if left:
                store.put(meta.key, left)
            else:
                store.delete(meta.key)
    return count
