"""Every durable step from the inbox to committed runs fails in every way: no event is lost, none is taken twice."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.drain import cut
from batchjob.drain.commit import Committed, commit_inbox
from batchjob.drain.ledger import read_ledger
from batchjob.errors import TransientError
from batchjob.ports import Store
from tests.support.faults import KINDS, FaultPlan, Faults, FaultStore, Kind, SimulatedCrash
from tests.support.segments import committed, events, inbox_keys, intake, put_segment

KEYS = {row.key for row in [*events("a", 6), *events("b", 3)]}


def filled(folder: Path) -> FolderStore:
    store = FolderStore(folder)
    put_segment(store, "1", events("a", 6))
    put_segment(store, "2", events("a", 2))
    put_segment(store, "retry-x-00000", [replace(row, attempt=2, not_before=1) for row in events("b", 3)])
    return store


def drain(store: Store, shards: int) -> Committed:
    return commit_inbox(intake(shards), store, SystemClock())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("shards", "limit"), [(1, 10_000), (3, 10_000), (5, 2)])
def test_every_step_may_fail(
    kind: Kind, shards: int, limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`limit`: of shards a run, so that five shards are three runs, committed at once or not at all."""
    monkeypatch.setattr(cut, "MAX_SHARDS", limit)
    undisturbed = Faults()
    drain(FaultStore(filled(tmp_path / "undisturbed"), undisturbed), shards)
    assert {name.partition(" ")[0] for name in undisturbed.operations} == {"create_once", "delete"}
    assert sum(name.endswith("run.json") for name in undisturbed.operations) == -(-shards // limit)
    for at in range(1, len(undisturbed.operations) + 1):
        store = filled(tmp_path / f"{at}")
        with suppress(SimulatedCrash, TransientError):
            drain(FaultStore(store, Faults(FaultPlan(at, kind))), shards)
        held = committed(store)
        assert set(held) | inbox_keys(store) == KEYS
        assert set(held) in (set(), KEYS)
        drain(store, shards)
        assert committed(store) == dict.fromkeys(KEYS, 1)
        assert len(read_ledger(store).open) == -(-shards // limit)
        assert not list(store.list("inbox/"))
