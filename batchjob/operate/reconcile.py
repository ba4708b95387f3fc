"""`reconcile`: makes the index equal to its source again, by an ordinary run of what differs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from batchjob import layout
from batchjob.drain.commit import Intake, commit_rows
from batchjob.drain.filters import KeyFilter
from batchjob.drain.ledger import read_ledger
from batchjob.errors import UsageError
from batchjob.manifest.write import write_manifest
from batchjob.operate.compare import Counts, Difference, Source, compare
from batchjob.ports import Clock, Delete, Erase, Get, List, ManageIndex, ScanDocuments, Search, Store
from batchjob.records import manifest_batches
from batchjob.reduce.run import DELETION_SHARE_ALLOWED, DELETIONS_ALLOWED

TOMBSTONE_DAYS = 30
"""By then no observation from before a deletion is on its way any more (invariant 3)."""
DAY_MS = 24 * 3600 * 1000
THUMBNAILS_AT_ONCE = 500
"""So few that their documents in up to ten indexes are one page of a scan."""


class ReconcileIndex(ManageIndex, ScanDocuments, Erase, Search, Protocol):
    """The verbs for comparing, and for purging tombstones."""


class Thumbnails(List, Delete, Protocol):
    """The verbs for sweeping thumbnails."""


@dataclass(slots=True)
class Reconciled:
    """What was found, and the repairing runs. `tombstones` are older than TOMBSTONE_DAYS: removed with a repair."""

    counts: Counts
    runs: list[str] = field(default_factory=list)
    tombstones: int = 0


@dataclass(frozen=True, slots=True)
class Reconciler:
    """`alias` names the index; `keys` are those that count as documents; `scratch` is a folder for the differences."""

    index: ReconcileIndex
    alias: str
    keys: KeyFilter
    clock: Clock
    scratch: Path

    def behind(self) -> str:
        """The index behind the alias. Raises UsageError where there is none."""
        name = self.index.resolve(self.alias)
        if name is None:
            raise UsageError(
                f"no index {self.alias!r} yet: the first run makes it; name another with --index"
            )
        self.index.refresh(name)
        return name


def reconcile(
    by: Reconciler,
    sources: Sequence[Source],
    repair: Intake | None,
    store: Store,
    *,
    allow_deletes: bool = False,
) -> Reconciled:
    """Compares; with `repair` also freezes and commits runs of what differs, and removes old tombstones.

    Raises UsageError (too many ghosts: nothing is changed; see compare), TransientError.
    """
    name, counts = by.behind(), Counts()
    path = by.scratch / "differences.parquet"
    rows = (row for source in sources for row in compare(source, by.index, name, by.keys, counts))
    write_manifest(manifest_batches(rows), path)
    found = Reconciled(counts)
    if repair is not None:
        if not allow_deletes:
            _check_ghosts(counts)
        if not counts.equal:
            found.runs = [run.run_id for run in commit_rows(repair, store, by.clock, _batches(path)).runs]
        found.tombstones = by.index.erase(name, _old_tombstones(by.clock))
    else:
        found.tombstones = _count(by.index, name, _old_tombstones(by.clock))
    path.unlink()
    return found


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches()


def _check_ghosts(counts: Counts) -> None:
    """A source that went away must not empty the index (invariant 3). Raises UsageError."""
    ghosts = counts.differences[Difference.GHOST]
    limit = max(DELETIONS_ALLOWED, int(counts.documents * DELETION_SHARE_ALLOWED))
    if ghosts > limit:
        raise UsageError(
            f"{ghosts} documents of {counts.documents} are in the index and not in the source, more than {limit}: if "
            "the source is whole, repair with --allow-deletes, and reduce that run with --allow-deletes"
        )


def _old_tombstones(clock: Clock) -> dict[str, Any]:
    limit = clock.now_ms() - TOMBSTONE_DAYS * DAY_MS
    return {"range": {"deleted_at": {"lt": limit, "format": "epoch_millis"}}}


def _count(index: Search, name: str, query: dict[str, Any]) -> int:
    answer = index.search(name, {"query": query, "size": 0, "track_total_hits": True})
    return int(answer["hits"]["total"]["value"])


@dataclass(slots=True)
class Swept:
    """Thumbnails that were looked at, and those that no document refers to."""

    thumbnails: int = 0
    unused: int = 0


def sweep_thumbnails(by: Reconciler, thumbnails: Thumbnails, store: Get, *, remove: bool) -> Swept:
    """Finds thumbnails to which no document of any index of the alias refers, and removes them.

    A shard makes them before the index has their documents. Raises UsageError while a run is open, TransientError.
    """
    swept, listed, indexes = Swept(), iter(thumbnails.list()), f"{by.behind()},{by.alias}-*"
    while group := [meta.key for meta in islice(listed, THUMBNAILS_AT_ONCE)]:
        wanted = _wanted(by.index, indexes, {key.partition("/")[0] for key in group})
        unused = [key for key in group if key not in wanted]
        if remove:
            _check_quiet(store)
            for key in unused:
                thumbnails.delete(key)
        swept.thumbnails += len(group)
        swept.unused += len(unused)
    return swept


def _wanted(index: ScanDocuments, indexes: str, documents: Iterable[str]) -> set[str]:
    query = {"terms": {"file_id": sorted(documents)}}
    found = index.scan(indexes, query, ["file_id", "content_sha256"], "file_id")
    return {
        layout.thumbnail(str(one["file_id"]), str(one["content_sha256"]))
        for one in found
        if "content_sha256" in one
    }


def _check_quiet(store: Get) -> None:
    open_runs = read_ledger(store).open
    if open_runs:
        raise UsageError(
            f"run {open_runs[0]} is open, and may have made thumbnails for documents to come: sweep them when no run is"
        )
