"""Quarantined rows: shown with the cause, and back in the inbox for a first attempt."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import pytest

from batchjob import layout
from batchjob.adapters.folder import FolderStore
from batchjob.drain.giveups import find_given_up, given_up, retry
from batchjob.errors import TransientError, UsageError
from batchjob.ports import Store
from batchjob.records import GivenUp, ManifestRow
from tests.support.command import batchjob
from tests.support.faults import KINDS, FaultPlan, Faults, FaultStore, Kind, SimulatedCrash
from tests.support.segments import inbox_keys, read_rows

ROWS = [
    ManifestRow("bucket", f"部/{number} .pdf", attempt=3, tags=("a", "b"), not_before=7, cost=2.0)
    for number in range(3)
]


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    store = FolderStore(tmp_path / "work")
    give_up(store, ROWS)
    return store


def give_up(store: Store, rows: Iterable[ManifestRow]) -> None:
    for number, row in enumerate(rows):
        found = GivenUp(run_id="r", at=number, category="gave_up", message="no answer", row=asdict(row))
        store.put(layout.quarantined_row(layout.doc_id(row.bucket, row.key)), found.to_json())


def test_rows_go_back_as_they_were_for_a_first_attempt(store: FolderStore) -> None:
    chosen = find_given_up(store, [ROWS[0].key, f"s3://bucket/{ROWS[2].key}"])
    segment = retry(store, chosen, "writer")
    assert segment is not None
    back = sorted(read_rows(store, segment), key=lambda row: row.key)
    assert back == [ManifestRow("bucket", row.key, tags=("a", "b")) for row in (ROWS[0], ROWS[2])]
    assert [found.row["key"] for found in given_up(store)] == [ROWS[1].key]
    assert retry(store, [], "writer") is None


def test_a_name_that_is_not_there_is_named(store: FolderStore) -> None:
    with pytest.raises(UsageError, match=r"'other\.pdf'"):
        find_given_up(store, [ROWS[0].key, "other.pdf"])


@pytest.mark.parametrize("kind", KINDS)
def test_going_back_may_fail_at_every_step(tmp_path: Path, kind: Kind) -> None:
    for at in range(1, 5):
        store = FolderStore(tmp_path / str(at))
        give_up(store, ROWS)
        with pytest.raises((SimulatedCrash, TransientError)):
            retry(FaultStore(store, Faults(FaultPlan(at, kind))), list(given_up(store)), "first")
        assert inbox_keys(store) | {found.row["key"] for found in given_up(store)} == {
            row.key for row in ROWS
        }
        retry(store, list(given_up(store)), "second")
        assert inbox_keys(store) == {row.key for row in ROWS}
        assert list(given_up(store)) == []


def test_the_commands(store: FolderStore, tmp_path: Path) -> None:
    work = ("--work", tmp_path / "work")
    listed = batchjob("quarantine", "list", "--limit", 1, *work, "--json").answer
    assert (listed["rows"], [row["key"] for row in listed["shown"]]) == (3, [ROWS[2].key])
    [shown] = batchjob("quarantine", "show", ROWS[1].key, *work, "--json").answer["rows"]
    assert (shown["message"], shown["attempt"]) == ("no answer", 3)
    assert batchjob("quarantine", "retry", *work).code == 64
    assert batchjob("quarantine", "retry", "--all", *work, "--json").answer["rows"] == 3
    assert batchjob("quarantine", "list", *work, "--json").answer["rows"] == 0
    assert inbox_keys(store) == {row.key for row in ROWS}
