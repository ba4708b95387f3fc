"""What is not finished, and giving shards up: the receipt decides, and every row comes back once."""

from contextlib import closing
from pathlib import Path

import pytest

from batchjob import layout
from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.stores import open_store
from batchjob.drain.commit import Intake, commit_inbox, commit_rows, freeze_rows
from batchjob.drain.freeze import Target
from batchjob.drain.ledger import close_runs, mark_submitted, read_ledger
from batchjob.drain.openruns import Phase, abandon, look_at, missing_shards, never_committed
from batchjob.errors import TransientError, UsageError
from batchjob.records import Checkpoint, FinalState, RunInfo, manifest_batches, outcomes_from_parquet
from batchjob.reduce.finish import Ending, finish_run
from batchjob.reduce.gather import gather
from batchjob.reduce.outcomes import MergedFile
from batchjob.reduce.receipts import read_receipts
from batchjob.runs import read_receipt
from tests.support.command import batchjob
from tests.support.faults import KINDS, FaultPlan, Faults, FaultStore, Kind, SimulatedCrash
from tests.support.segments import committed, events, intake, read_rows
from tests.support.servers import S3Server, unique_name

CLOCK = SystemClock()


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "work")


@pytest.fixture
def run(store: FolderStore) -> RunInfo:
    [run] = commit_rows(intake(shards=3), store, CLOCK, manifest_batches(events("a", 7))).runs
    return run


def test_an_abandoned_shard_is_a_shard_whose_rows_come_back(store: FolderStore, run: RunInfo) -> None:
    assert abandon(store, run, [1], "sweeper", "all its jobs are dead") == [1]
    receipt = read_receipt(store, run.run_id, 1)
    assert receipt is not None
    rows = read_rows(store, layout.manifest(run.run_id, 1))
    assert (receipt.abandoned, receipt.counts.rows, receipt.counts.requeued) == (
        "all its jobs are dead",
        len(rows),
        len(rows),
    )
    with store.open(receipt.outcomes.key) as opened:
        outcomes = outcomes_from_parquet(opened.body.read())
    assert [(o.key, o.state) for o in outcomes] == [(row.key, FinalState.REQUEUED) for row in rows]
    assert missing_shards(store, run) == [0, 2]


def test_who_was_first_has_the_shard(store: FolderStore, run: RunInfo) -> None:
    store.create_once(layout.receipt(run.run_id, 0), b"another's")
    assert abandon(store, run, range(3), "sweeper", "dead") == [1, 2]
    with store.open(layout.receipt(run.run_id, 0)) as opened:
        assert opened.body.read() == b"another's"
    with pytest.raises(UsageError, match="shards are 0 to 2"):
        abandon(store, run, [3], "sweeper", "dead")


@pytest.mark.parametrize("kind", KINDS)
def test_giving_up_may_fail_at_every_step(store: FolderStore, kind: Kind) -> None:
    """Two steps a shard: its outcomes, then its receipt."""
    for at in range(1, 7):
        [run] = commit_rows(intake(shards=3), store, CLOCK, manifest_batches(events(f"{at}", 7))).runs
        faulty = FaultStore(store, Faults(FaultPlan(at, kind)))
        with pytest.raises((SimulatedCrash, TransientError)):
            abandon(faulty, run, range(3), "first", "dead")
        done = 3 - len(missing_shards(store, run))
        assert done == (at - 1) // 2 + (kind != "crash_before" and at % 2 == 0)
        assert len(abandon(store, run, range(3), "second", "dead")) == 3 - done
        assert sum(receipt.counts.requeued for receipt in read_receipts(store, run)) == run.rows


def test_rows_of_a_dead_shard_are_in_the_next_run_without_an_attempt(
    store: FolderStore, run: RunInfo, tmp_path: Path
) -> None:
    """What the reducer makes of the receipts, without an index: its end alone."""

    class Later:
        def now_ms(self) -> int:
            return CLOCK.now_ms() + 3600 * 1000

    abandon(store, run, range(3), "sweeper", "dead")
    receipts = read_receipts(store, run)
    gathered = gather(store, run, receipts, [], tmp_path)
    with closing(MergedFile(tmp_path / "outcomes.parquet")) as merged:
        for group in gathered.sorter.groups():
            merged.add(group)
    ending = Ending(
        run, receipts, gathered, merged.path, Checkpoint(epoch=1, writer="w"), lambda ids: {}, 0.0
    )
    summary = finish_run(store, ending, CLOCK)
    assert summary.states[FinalState.REQUEUED] == run.rows
    assert commit_inbox(intake(), store, CLOCK).waiting == 3
    [again] = commit_inbox(intake(), store, Later()).runs
    assert committed(store, [again.run_id]) == committed(store, [run.run_id])
    rows = [
        row for shard in range(again.shards) for row in read_rows(store, layout.manifest(again.run_id, shard))
    ]
    assert {row.attempt for row in rows} == {1}


def test_phases(store: FolderStore, run: RunInfo) -> None:
    def phase() -> Phase:
        return look_at(store, read_ledger(store), run.run_id).phase

    assert phase() is Phase.UNSUBMITTED
    mark_submitted(store, "w", [run.run_id])
    assert phase() is Phase.PROCESSING
    abandon(store, run, range(3), "sweeper", "dead")
    assert phase() is Phase.PROCESSED
    store.put(layout.summary(run.run_id), b"{}")
    assert phase() is Phase.FINISHED


def test_the_commands(store: FolderStore, run: RunInfo, tmp_path: Path) -> None:
    work = ("--work", tmp_path / "work")
    [listed] = batchjob("runs", "list", *work, "--json").answer["runs"]
    assert (listed["run_id"], listed["phase"], listed["shards_done"]) == (run.run_id, "unsubmitted", 0)
    assert batchjob("runs", "abandon", run.run_id, "--shard", 2, *work, "--json").answer["abandoned"] == [2]
    wrong = batchjob("runs", "abandon", run.run_id, "--shard", 9, *work)
    assert (wrong.code, "0 to 2" in wrong.stderr) == (64, True)
    assert batchjob("runs", "abandon", run.run_id, *work, "--json").answer["abandoned"] == [0, 1]
    assert batchjob("runs", "abandon", "no-run", *work).code == 64


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_what_was_never_committed_is_listed(
    tmp_path: Path, s3_real: S3Server, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs that died at each step before the commit; not open ones, finished ones or those of `local`."""
    for name, value in s3_real.environment().items():
        monkeypatch.setenv(name, value)
    work = tmp_path / "loose" if place == "folder" else f"s3://{s3_real.bucket}/{unique_name()}"
    store = open_store(str(work), endpoint=None)
    left: set[str] = set()
    for at in range(1, 5):  # two shards, run.json, the ledger
        faulty = FaultStore(store, Faults(FaultPlan(at, "crash_before")))
        with pytest.raises(SimulatedCrash):
            commit_rows(intake(), faulty, CLOCK, manifest_batches(events(f"{at}", 2)))
        found = {meta.key.split("/")[1] for meta in store.list(layout.RUNS)}
        assert len(found - left) == (at > 1)
        left = found
    for finished in (False, True):
        [run] = commit_rows(intake(), store, CLOCK, manifest_batches(events("open", 2))).runs
        if finished:
            store.put(layout.summary(run.run_id), b"{}")
            close_runs(store, "w", [run.run_id])
    local = Intake(Target("local", "documents", "f"), "w", 1.0, 1)
    freeze_rows(local, store, CLOCK, manifest_batches(events("local", 2)))
    assert never_committed(store) == sorted(left)
    assert batchjob("runs", "list", "--work", work, "--json").answer["never_committed"] == sorted(left)


def test_a_damaged_run_hides_no_other(store: FolderStore, run: RunInfo, tmp_path: Path) -> None:
    [damaged] = commit_rows(intake(), store, CLOCK, manifest_batches(events("b", 2))).runs
    store.put(layout.run_info(damaged.run_id), b'{"run_id"')
    listed = batchjob("runs", "list", "--work", tmp_path / "work", "--json")
    assert [one["run_id"] for one in listed.answer["runs"]] == [run.run_id]
    assert (listed.code, layout.run_info(damaged.run_id) in listed.stderr) == (64, True)
    assert "Traceback" not in listed.stderr
