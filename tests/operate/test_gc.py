"""What is removed and what never is, wherever the removal is killed."""

import secrets
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batchjob import layout
from batchjob.adapters.folder import FolderStore
from batchjob.drain.ledger import close_runs, commit_runs
from batchjob.errors import BatchjobError, UsageError
from batchjob.operate.gc import DAY_MS, collect
from batchjob.records import RunInfo
from tests.support.faults import KINDS, FaultPlan, Faults, FaultStore, SimulatedCrash
from tests.support.manual_clock import ManualClock

OPEN, NAMED, OLD, UNCOMMITTED, HALF, RETURNING, LOCAL, IN_REINDEX, OLD_REINDEX = (
    f"{datetime.now(UTC):%Y%m%d}T00000{number}Z-{number:06x}" for number in range(9)
)
STARTED = layout.run_started(OPEN)


def make_run(store: FolderStore, run_id: str, *, finished: bool = True, kind: str = "incremental") -> None:
    if run_id != HALF:
        info = {"run_id": run_id, "kind": kind, "index": "i", "fingerprint": "f", "rows": 1, "shards": 1}
        store.put(layout.run_info(run_id), RunInfo.model_validate(info).to_json())
    store.put(layout.manifest(run_id, 0), b"rows")
    store.put(layout.bulk_part(run_id, 0, "writer", "part-00000.ndjson.gz"), b"documents")
    if finished:
        store.put(layout.summary(run_id), b"{}")


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """Files are as old as the test: `now` is seen from there, and all names of runs are older."""
    store = FolderStore(tmp_path)
    for run_id in (OPEN, UNCOMMITTED, HALF):
        make_run(store, run_id, finished=False)
    for run_id in (NAMED, OLD, RETURNING, IN_REINDEX, OLD_REINDEX):
        make_run(store, run_id)
    make_run(store, LOCAL, finished=False, kind="local")
    commit_runs(store, "w", [NAMED, OPEN], ["inbox/a.parquet"], STARTED)
    close_runs(store, "w", [NAMED])
    store.put(layout.retry_segment(RETURNING, 0), b"rows")
    store.put("reindex/1.json", b'{"phase": "load", "rounds": [{"runs": ["%s"]}]}' % IN_REINDEX.encode())
    store.put("reindex/0.json", b'{"phase": "done", "rounds": [{"runs": ["%s"]}]}' % OLD_REINDEX.encode())
    store.put("runs/no-run/notes.txt", b"somebody's")
    return store


def keys(store: FolderStore) -> set[str]:
    return {meta.key for meta in store.list()}


def clock_after(store: FolderStore, days: float) -> ManualClock:
    """So long after the last file was written."""
    latest = max(meta.last_modified.timestamp() for meta in store.list())
    return ManualClock(round(max(latest * 1000, STARTED) + days * DAY_MS) + 60_000)


def test_what_nothing_needs_is_removed_and_told_before(store: FolderStore) -> None:
    clock = clock_after(store, 29)
    early = {run.run_id for run in collect(store, clock, dry_run=True)}
    assert early == {UNCOMMITTED, HALF}
    before = keys(store)
    clock = clock_after(store, 31)
    told = collect(store, clock, dry_run=True)
    assert keys(store) == before
    assert collect(store, clock) == told
    assert all(run.objects >= 2 and run.size > 0 for run in told)
    kept = {key.split("/")[1] for key in keys(store) if key.startswith("runs/")}
    assert kept == {OPEN, NAMED, RETURNING, IN_REINDEX, "no-run"}
    assert {key for key in before if not key.startswith("runs/")} <= keys(store)


def test_a_damaged_ledger_keeps_everything(store: FolderStore) -> None:
    store.put(layout.LEDGER, b"\x00")
    before = keys(store)
    with pytest.raises(UsageError, match="damaged"):
        collect(store, clock_after(store, 31))
    assert keys(store) == before


@pytest.mark.parametrize(
    "kind", [KINDS[0], *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[1:])]
)
def test_wherever_it_is_killed_the_next_one_finishes(store: FolderStore, tmp_path: Path, kind: str) -> None:
    clock = clock_after(store, 31)
    whole = {key: _read(store, key) for key in keys(store)}
    counted = Faults()
    collect(FaultStore(store, counted), clock)
    wanted = keys(store)
    for at in range(1, len(counted.operations) + 1):
        again = FolderStore(tmp_path / secrets.token_hex(4))
        for key, data in whole.items():
            again.put(key, data)
        with suppress(SimulatedCrash, BatchjobError):
            collect(FaultStore(again, Faults(FaultPlan(at, kind))), clock)  # type: ignore[arg-type]
        assert wanted <= keys(again)
        collect(again, clock)
        assert keys(again) == wanted


def _read(store: FolderStore, key: str) -> bytes:
    with store.open(key) as opened:
        return opened.body.read()
