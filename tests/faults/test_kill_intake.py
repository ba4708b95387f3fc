"""Real processes, killed at any moment while they make runs; and as many shards as three arrays hold."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.drain.commit import commit_inbox
from batchjob.drain.ledger import read_ledger
from tests.support.segments import committed, events, inbox_keys, intake, put_segment

LIVES = 40


@pytest.mark.slow
def test_a_drain_killed_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    """Segments come all the time; each drain is killed after another part of the time that a whole one takes."""
    store = FolderStore(tmp_path / "work")
    command = [sys.executable, "-m", "tests.drain.one_drain", str(tmp_path / "work")]
    started = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    whole = time.monotonic() - started
    expected: set[str] = set()
    killed = 0
    for number in range(LIVES):
        rows = events(f"{number}", 40)
        put_segment(store, f"{number}", rows)
        expected |= {row.key for row in rows}
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        time.sleep(whole * random.Random(number).uniform(0.5, 1.3))
        process.kill()
        killed += process.wait() != 0
        found = committed(store)
        assert set(found) | inbox_keys(store) == expected
        assert set(found.values()) <= {1}
    assert killed > LIVES // 4
    commit_inbox(intake(), store, SystemClock())
    assert committed(store) == dict.fromkeys(expected, 1)
    assert not list(store.list("inbox/"))


@pytest.mark.slow
def test_25000_shards_are_three_runs(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "work")
    put_segment(store, "backlog", events("a", 25_000))
    done = commit_inbox(intake(shards=25_000), store, SystemClock())
    assert [run.shards for run in done.runs] == [8333, 8333, 8334]
    assert read_ledger(store).open == tuple(run.run_id for run in done.runs)
    assert committed(store) == dict.fromkeys((row.key for row in events("a", 25_000)), 1)
