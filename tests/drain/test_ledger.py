"""The ledger: nobody's change is lost, and a writer knows its own though the answer is lost."""

from pathlib import Path

import pytest

from batchjob.adapters.folder import FolderStore
from batchjob.drain.ledger import (
    LedgerStore,
    SegmentsTakenError,
    close_runs,
    commit_runs,
    mark_submitted,
    read_ledger,
)
from batchjob.errors import TransientError, UsageError
from batchjob.records import Ledger
from tests.adapters.races import together
from tests.support.faults import FaultPlan, Faults, FaultStore


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def test_nobodys_change_is_lost(store: FolderStore) -> None:
    def commit(number: int) -> None:
        for turn in range(5):
            name = f"run-{number}-{turn}"
            commit_runs(store, f"writer-{number}", [name], [f"inbox/{name}.parquet"], 0)
            mark_submitted(store, f"writer-{number}", [name])
            if turn % 2:
                close_runs(store, f"writer-{number}", [name])

    together(6, commit)
    ledger = read_ledger(store)
    assert set(ledger.open) == {f"run-{number}-{turn}" for number in range(6) for turn in (0, 2, 4)}
    assert (len(ledger.open), len(ledger.adopted), ledger.unsubmitted) == (18, 30, ())
    assert ledger.generation == 6 * (5 + 5 + 2)


def test_a_segment_is_adopted_once(store: FolderStore) -> None:
    commit_runs(store, "a", ["run-a"], ["inbox/1.parquet", "inbox/2.parquet"], 0)
    with pytest.raises(SegmentsTakenError, match="run-a"):
        commit_runs(store, "b", ["run-b"], ["inbox/2.parquet", "inbox/3.parquet"], 0)
    assert read_ledger(store).open == ("run-a",)


@pytest.mark.parametrize("first", [True, False])
def test_a_lost_answer_is_a_commit_all_the_same(store: FolderStore, first: bool) -> None:
    if not first:
        commit_runs(store, "other", ["run-0"], ["inbox/0.parquet"], 0)
    lossy = FaultStore(store, Faults(FaultPlan(1, "answer_lost")))
    commit_runs(lossy, "a", ["run-a"], ["inbox/1.parquet"], 0)
    ledger = read_ledger(store)
    assert (ledger.open[-1], ledger.generation) == ("run-a", 1 if first else 2)


def test_a_lost_answer_is_found_though_others_went_on(store: FolderStore, tmp_path: Path) -> None:
    commit_runs(store, "other", ["run-0"], ["inbox/0.parquet"], 0)

    class Overtaken(FolderStore):
        """Its first replacement lands, others finish the run before the answer would come, and it never comes."""

        lost = False

        def replace_if_match(self, key: str, data: bytes, etag: str) -> str:
            found = super().replace_if_match(key, data, etag)
            if self.lost:
                return found
            self.lost = True
            close_runs(store, "other", ["run-a"])
            raise TransientError("no answer")

    overtaken: LedgerStore = Overtaken(tmp_path)
    commit_runs(overtaken, "a", ["run-a"], ["inbox/1.parquet"], 0)
    ledger = read_ledger(store)
    assert (ledger.open, ledger.generation) == (("run-0",), 3)


def test_a_damaged_ledger_is_named(store: FolderStore) -> None:
    store.put("ledger.json", b'{"format": 2}')
    with pytest.raises(UsageError, match=r"ledger\.json"):
        read_ledger(store)


def test_without_a_change_nothing_is_written(store: FolderStore) -> None:
    close_runs(store, "a", ["unknown"])
    assert read_ledger(store) == Ledger()
    assert not list(store.list())
