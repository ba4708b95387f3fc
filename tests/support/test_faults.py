"""Planned faults strike where they are planned, once, and the dead stay dead."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from batchjob.adapters.folder import FolderStore
from batchjob.errors import ObjectMissingError, TransientError
from batchjob.ports import Store
from tests.support.faults import KINDS, FaultPlan, Faults, FaultStore, Kind, SimulatedCrash

STEPS: list[Callable[[Store], object]] = [
    lambda store: store.put("a", b"1"),
    lambda store: store.create_once("b", b"2"),
    lambda store: store.replace_if_match("a", b"3", next((meta.etag for meta in store.list("a")), "")),
    lambda store: store.delete("b"),
]
NAMES = ["put a", "create_once b", "replace_if_match a", "delete b"]
STATES = [{}, {"a": b"1"}, {"a": b"1", "b": b"2"}, {"a": b"3", "b": b"2"}, {"a": b"3"}]


def content(store: Store) -> dict[str, bytes]:
    return {meta.key: store.open(meta.key).body.read() for meta in store.list()}


def test_without_a_plan_everything_is_done_and_named(tmp_path: Path) -> None:
    faults = Faults()
    store = FaultStore(FolderStore(tmp_path), faults)
    for step in STEPS:
        step(store)
    with pytest.raises(ObjectMissingError):
        store.open("b")
    assert faults.operations == NAMES
    assert content(store) == STATES[-1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", range(1, 5))
def test_a_plan_strikes_at_its_operation(tmp_path: Path, at: int, kind: Kind) -> None:
    faults = Faults(FaultPlan(at, kind))
    inner = FolderStore(tmp_path)
    store = FaultStore(inner, faults)
    for step in STEPS[: at - 1]:
        step(store)
    with pytest.raises(TransientError if kind == "answer_lost" else SimulatedCrash, match=NAMES[at - 1]):
        STEPS[at - 1](store)
    assert content(inner) == STATES[at - 1 if kind == "crash_before" else at]
    assert faults.operations == NAMES[:at]
    if kind == "answer_lost":
        for step in STEPS[at:]:
            step(store)
        assert content(inner) == STATES[-1]
    else:
        for step in STEPS:
            with pytest.raises(SimulatedCrash):
                step(store)
        assert content(inner) == STATES[at - 1 if kind == "crash_before" else at]


def test_a_refusal_can_be_lost_too(tmp_path: Path) -> None:
    inner = FolderStore(tmp_path)
    inner.put("b", b"theirs")
    with pytest.raises(TransientError):
        FaultStore(inner, Faults(FaultPlan(1, "answer_lost"))).create_once("b", b"ours")
    assert content(inner) == {"b": b"theirs"}


def test_threads_share_one_count(tmp_path: Path) -> None:
    faults = Faults(FaultPlan(20, "crash_before"))
    store = FaultStore(FolderStore(tmp_path), faults)

    def writes(number: int) -> bool:
        try:
            store.put(str(number), b"")
        except SimulatedCrash:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(writes, range(60))) == 19
    assert len(content(store)) == 19
    assert len(faults.operations) == 20
