"""`gc`: finished runs that nobody needs any more, and runs that were frozen and never committed, are removed."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from batchjob import layout
from batchjob.errors import UsageError
from batchjob.operate.needed import needed_runs
from batchjob.operate.runfiles import RunFolder, all_runs
from batchjob.ports import Clock, Delete, Get, Level, List
from batchjob.runs import read_run

DAY_MS = 24 * 3600 * 1000
KEEP_DAYS = 30
UNCOMMITTED_DAYS = 1
"""No drain freezes for so long and commits then."""
DELETERS = 16


class GcStore(Get, List, Level, Delete, Protocol):
    """The verbs for removing runs."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """A run to be removed, and why; `size` of its `objects` in bytes."""

    run_id: str
    why: str
    objects: int
    size: int


def collect(
    store: GcStore, clock: Clock, *, keep_days: int = KEEP_DAYS, dry_run: bool = False
) -> list[Garbage]:
    """Removes runs, the oldest first, and tells them; with `dry_run` only that.

    What a killed one left is what it would have removed: the next one does. Raises UsageError (a damaged record of
    what is needed: then nothing is removed), TransientError.
    """
    needed = needed_runs(store)
    runs = [run for run in all_runs(store) if run.run_id not in needed]
    now = clock.now_ms()
    return [
        _remove(store, run, why, dry_run=dry_run)
        for run in runs
        if (why := _reason(store, run, now, keep_days * DAY_MS)) is not None
    ]


def _reason(store: GcStore, run: RunFolder, now: int, keep_ms: int) -> str | None:
    """Why a run that nothing needs is removed now; None where it stays."""
    try:
        started = layout.run_started(run.run_id)
    except ValueError:
        return None
    if run.finished_at is not None:
        return "finished" if now - max(run.finished_at, started) > keep_ms else None
    if now - started > keep_ms:
        return "never finished"
    if now - started > UNCOMMITTED_DAYS * DAY_MS and not _may_go_on(store, run):
        return "never committed"
    return None


def _may_go_on(store: GcStore, run: RunFolder) -> bool:
    """Only runs of the intake are in the ledger while somebody works on them."""
    if run.info is None:
        return False
    try:
        return read_run(store, run.run_id).kind != "incremental"
    except UsageError:
        return True


def _remove(store: GcStore, run: RunFolder, why: str, *, dry_run: bool) -> Garbage:
    """First the names by which others find a run, so that nobody meets half of one."""
    objects = list(store.list(layout.run_folder(run.run_id)))
    if not dry_run:
        for key in (layout.run_info(run.run_id), layout.summary(run.run_id)):
            store.delete(key)
        _delete_all(store, [meta.key for meta in objects])
    return Garbage(run.run_id, why, len(objects), sum(meta.size for meta in objects))


def _delete_all(store: Delete, keys: Sequence[str]) -> None:
    with ThreadPoolExecutor(DELETERS, thread_name_prefix="gc") as pool:
        list(pool.map(store.delete, keys))
