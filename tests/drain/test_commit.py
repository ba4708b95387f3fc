"""From the inbox to runs: what is due, what is not, what cannot be read, and who wins."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from batchjob import layout
from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.stores import open_store
from batchjob.drain import cut
from batchjob.drain.commit import ROUNDS, commit_inbox, commit_rows
from batchjob.drain.ledger import read_ledger
from batchjob.ports import Store
from batchjob.records import ManifestRow, manifest_batches
from batchjob.runs import read_run
from tests.adapters.races import together
from tests.support.segments import Interrupted, committed, events, inbox_keys, intake, put_segment, read_rows
from tests.support.servers import S3Server, unique_name

CLOCK = SystemClock()


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "work")


def test_everything_in_the_inbox_is_in_a_run_then(store: FolderStore) -> None:
    segments = [put_segment(store, "a", events("a", 5)), put_segment(store, "b", events("a", 3))]
    done = commit_inbox(intake(), store, CLOCK)
    [run] = done.runs
    assert (done.rows, done.repeated, run.rows, run.shards) == (5, 3, 5, 2)
    assert read_run(store, run.run_id).segments == tuple(segments)
    ledger = read_ledger(store)
    assert (ledger.open, ledger.unsubmitted) == ((run.run_id,), (run.run_id,))
    assert {key: adoption.run for key, adoption in ledger.adopted.items()} == dict.fromkeys(
        segments, run.run_id
    )
    assert committed(store) == dict.fromkeys((f"a/{n}.pdf" for n in range(5)), 1)
    assert not list(store.list("inbox/"))
    for shard in range(run.shards):
        costs = [row.cost for row in read_rows(store, layout.manifest(run.run_id, shard))]
        assert costs == sorted(costs, reverse=True)


def test_no_rows_are_no_run(store: FolderStore) -> None:
    assert commit_inbox(intake(), store, CLOCK).runs == []
    put_segment(store, "empty", [])
    assert commit_inbox(intake(), store, CLOCK).runs == []
    assert list(store.list()) == []


def test_rows_that_are_not_due_stay_in_the_inbox(store: FolderStore) -> None:
    now = CLOCK.now_ms()
    due = [replace(row, not_before=now - 1, attempt=2) for row in events("due", 2)]
    later = [replace(row, not_before=now + 60_000, attempt=2) for row in events("later", 2)]
    put_segment(store, "retry-r-00000", due)
    waiting = put_segment(store, "retry-r-00001", [*later, *events("with them", 1)])
    done = commit_inbox(intake(), store, CLOCK)
    assert (done.rows, done.waiting) == (2, 1)
    assert [meta.key for meta in store.list("inbox/")] == [waiting]
    again = commit_inbox(intake(), store, CLOCK)
    assert (again.runs, again.waiting) == ([], 1)


def test_a_damaged_segment_stops_no_other(store: FolderStore) -> None:
    store.put(layout.segment("bad"), b"PAR1 and no more")
    store.put(layout.segment("retry-bad-00000"), b"nothing")
    put_segment(store, "good", events("good", 2))
    done = commit_inbox(intake(), store, CLOCK)
    assert (done.rows, sorted(done.damaged)) == (
        2,
        ["quarantine/segments/bad.parquet", "quarantine/segments/retry-bad-00000.parquet"],
    )
    assert not list(store.list("inbox/"))
    with store.open("quarantine/segments/bad.parquet") as opened:
        assert opened.body.read() == b"PAR1 and no more"


def test_many_damaged_segments_are_no_other_drains(store: FolderStore) -> None:
    for number in range(ROUNDS + 2):
        store.put(layout.segment(f"bad-{number}"), b"no Parquet")
    put_segment(store, "good", events("good", 2))
    done = commit_inbox(intake(), store, CLOCK)
    assert (done.rows, len(done.damaged)) == (2, ROUNDS + 2)


def test_a_segment_that_comes_back_is_not_taken_twice(store: FolderStore) -> None:
    key = put_segment(store, "retry-x-00000", events("a", 2))
    commit_inbox(intake(), store, CLOCK)
    put_segment(store, "retry-x-00000", events("a", 2))
    assert commit_inbox(intake(), store, CLOCK).runs == []
    assert not list(store.list("inbox/"))
    assert key in read_ledger(store).adopted


def test_segments_are_forgotten_when_they_cannot_come_back(store: FolderStore) -> None:
    class Later:
        def now_ms(self) -> int:
            return CLOCK.now_ms() + 15 * 24 * 3600 * 1000

    put_segment(store, "a", events("a", 2))
    commit_inbox(intake(), store, CLOCK)
    put_segment(store, "b", events("b", 2))
    commit_inbox(intake(), store, Later())
    assert set(read_ledger(store).adopted) == {layout.segment("b")}


def test_a_large_backlog_is_several_runs(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut, "MAX_SHARDS", 3)
    done = commit_rows(intake(shards=8), store, CLOCK, manifest_batches(events("a", 20)))
    assert [run.shards for run in done.runs] == [2, 3, 3]
    assert list(read_ledger(store).open) == [run.run_id for run in done.runs]
    assert committed(store) == dict.fromkeys((f"a/{n}.pdf" for n in range(20)), 1)


def test_another_drain_at_any_moment(tmp_path: Path) -> None:
    """A second drain runs whole before each write of the first, with segments that came meanwhile."""
    writes, at = 1, 0
    while at <= writes:
        at += 1
        store = FolderStore(tmp_path / str(at))
        put_segment(store, "1", events("first", 4))
        put_segment(store, "2", events("second", 2))

        def other(store: Store = store) -> None:
            put_segment(store, "3", events("third", 2))
            commit_inbox(intake(), store, CLOCK)

        watched = Interrupted(store, at, other)
        commit_inbox(intake(), watched, CLOCK)
        writes = watched.writes
        if at > writes:
            other()
        commit_inbox(intake(), store, CLOCK)
        expected = {
            row.key for name, n in (("first", 4), ("second", 2), ("third", 2)) for row in events(name, n)
        }
        assert committed(store) == dict.fromkeys(expected, 1), at
        assert not list(store.list("inbox/"))
        kept = {meta.key.split("/")[1] for meta in store.list("runs/")}
        assert kept == set(read_ledger(store).open), "the loser's files are discarded"
    assert writes > 4


def race(connect: Callable[[], Store], drains: int) -> None:
    """Drains at once, while segments still come; then one more, which finds what is left."""
    for number in range(6):
        put_segment(connect(), f"{number}", events(f"segment {number}", 7))

    def drain(number: int) -> None:
        store = connect()
        put_segment(store, f"late {number}", events(f"late {number}", 3))
        commit_inbox(intake(), store, CLOCK)

    together(drains, drain)
    store = connect()
    commit_inbox(intake(), store, CLOCK)
    assert inbox_keys(store) == set()
    found = committed(store)
    assert len(found) == 6 * 7 + drains * 3
    assert set(found.values()) == {1}


def test_drains_at_once_in_a_folder(tmp_path: Path) -> None:
    for number in range(3):
        race(partial(FolderStore, tmp_path / str(number)), 4)


def test_drains_at_once_in_a_bucket(s3_real: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3_real.environment().items():
        monkeypatch.setenv(name, value)
    place = f"s3://{s3_real.bucket}/{unique_name()}"
    race(lambda: open_store(place, endpoint=s3_real.endpoint), 3)


def test_drains_at_once_in_processes(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "work")
    for number in range(20):
        put_segment(store, f"{number}", events(f"segment {number}", 50))
    command = [sys.executable, "-m", "tests.drain.one_drain", str(tmp_path / "work")]
    drains = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    rows = sum(int(drain.communicate()[0]) for drain in drains)
    assert [drain.returncode for drain in drains] == [0, 0, 0]
    assert (rows, len(committed(store)), set(committed(store).values())) == (1000, 1000, {1})
    assert not list(store.list("inbox/"))


def test_a_later_event_of_the_same_object_is_a_row_of_a_later_run(store: FolderStore) -> None:
    put_segment(store, "1", [ManifestRow("bucket", "a.pdf", etag="1")])
    first = commit_inbox(intake(), store, CLOCK)
    put_segment(store, "2", [ManifestRow("bucket", "a.pdf", etag="2")])
    second = commit_inbox(intake(), store, CLOCK)
    assert (
        committed(store, [first.runs[0].run_id]) == committed(store, [second.runs[0].run_id]) == {"a.pdf": 1}
    )
