"""The reducer behind a proxy that injects faults: the index is the undisturbed one, rejected/ has what was refused.

`make test-slow` tries 20 seeds, `make faults-reduce` 200; every tenth also kills the node and starts it again.
"""

import os
import random
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from batchjob import layout
from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.errors import TransientError
from batchjob.records import FinalState, RunInfo, outcomes_from_parquet
from batchjob.reduce.run import ReduceJob, reduce_run
from tests.support.faultproxy import fault_proxy
from tests.support.madeup_runs import Row, make_run, rejected_ids, text_of, unknown_field, wrong_size
from tests.support.node import Node
from tests.support.pipeline import FINGERPRINT, Silent
from tests.support.projection import index_projection, outcome_projection
from tests.support.servers import unique_name

SEEDS = range(100, 100 + int(os.environ.get("FAULT_RUNS", "20")))
SHARE = 0.25
ATTEMPTS = 40
PART_BYTES = 24 * 1024


def first_rows(rng: random.Random) -> list[list[Row]]:
    return [
        [Row(f"{shard}/{number}.pdf", text=text_of(rng, 100)) for number in range(25)] for shard in range(3)
    ]


def later_rows(rng: random.Random, before: list[list[Row]]) -> list[list[Row]]:
    """Changes, deletions, failures of good documents and of new ones, refused documents, and rows that come back."""
    made = []
    for shard, rows in enumerate(before):
        keys = [row.key for row in rows]
        states = [FinalState.DELETED, FinalState.FAILED, FinalState.INDEXED, FinalState.REQUEUED]
        later = [Row(key, states[n % 4], 2_000, text_of(rng, 50)) for n, key in enumerate(keys)]
        later += [Row(f"{shard}/new-{n}.pdf", observed_at=2_000, text=text_of(rng, 200)) for n in range(20)]
        later += [Row(f"{shard}/bad-{n}.pdf", FinalState.FAILED, 2_000) for n in range(4)]
        later += [Row(f"{shard}/refused-{n}.pdf", observed_at=2_000, spoil=wrong_size) for n in range(3)]
        later += [Row(f"{shard}/strict-{n}.pdf", observed_at=2_000, spoil=unknown_field) for n in range(2)]
        rng.shuffle(later)
        made.append(later)
    return made


@dataclass(frozen=True)
class Material:
    """Two runs, one after the other, and what they come to without faults."""

    folder: Path
    runs: list[RunInfo]
    refused: list[str]
    expected: Any

    def copy_to(self, folder: Path) -> FolderStore:
        shutil.copytree(self.folder, folder)
        return FolderStore(folder)


def reduced(store: FolderStore, run: RunInfo, index: OpenSearchIndex, alias: str) -> None:
    """As Batch does it: an attempt that says "try again" is followed by another."""
    for attempt in range(ATTEMPTS):
        job = ReduceJob(run.model_copy(update={"index": alias}), f"reduce-{uuid4().hex}", retry_seconds=6.0)
        try:
            reduce_run(job, store, index, SystemClock(), Silent())
            return
        except TransientError:
            assert attempt < ATTEMPTS - 1


def result(store: FolderStore, runs: list[RunInfo], index: OpenSearchIndex, alias: str) -> Any:
    outcomes = []
    for run in runs:
        with store.open(layout.merged_outcomes(run.run_id)) as opened:
            outcomes.append([outcome_projection(o) for o in outcomes_from_parquet(opened.body.read())])
    name = index.resolve(alias)
    assert name is not None
    return index_projection(index, name), outcomes


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory, opensearch_url: str) -> Material:
    folder = tmp_path_factory.mktemp("material") / "work"
    rng, store = random.Random(1), FolderStore(folder)
    first = first_rows(rng)
    later = later_rows(rng, first)
    names = ("20260101T000000Z-aaaaaa", "20260102T000000Z-bbbbbb")
    runs = [
        make_run(store, name, "unused", FINGERPRINT, shards, PART_BYTES)
        for name, shards in zip(names, (first, later), strict=True)
    ]
    refused = sorted(row.doc_id for shard in later for row in shard if row.spoil)
    undisturbed, alias = FolderStore(folder.parent / "undisturbed"), unique_name("alias")
    shutil.copytree(folder, folder.parent / "undisturbed", dirs_exist_ok=True)
    index = OpenSearchIndex(opensearch_url)
    for run in runs:
        reduced(undisturbed, run, index, alias)
    assert rejected_ids(undisturbed, runs[1]) == refused
    return Material(folder, runs, refused, result(undisturbed, runs, index, alias))


def test_the_material_has_every_state(material: Material) -> None:
    documents, outcomes = material.expected
    states = {outcome[2] for run in outcomes for outcome in run}
    assert states == set(FinalState) - {FinalState.SKIPPED}
    assert len(documents) == 3 * (25 + 20 + 4)


def check_seed(material: Material, folder: Path, node: str, seed: int, share: float = SHARE) -> None:
    store, alias = material.copy_to(folder / f"work-{seed}"), unique_name("alias")
    with fault_proxy(node, seed, share) as proxy:
        index = OpenSearchIndex(proxy.url, timeout=2.0)
        for run in material.runs:
            reduced(store, run, index, alias)
        index.close()
        assert sum(proxy.seen.values()) > proxy.seen["requests"], "no fault was met"
    undisturbed = OpenSearchIndex(node)
    assert rejected_ids(store, material.runs[1]) == material.refused
    assert result(store, material.runs, undisturbed, alias) == material.expected
    undisturbed.close()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_faults_change_nothing(material: Material, opensearch_url: str, tmp_path: Path, seed: int) -> None:
    check_seed(material, tmp_path, opensearch_url, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [seed for seed in SEEDS if seed % 10])
def test_faults_change_nothing_many_times(
    material: Material, opensearch_url: str, tmp_path: Path, seed: int
) -> None:
    check_seed(material, tmp_path, opensearch_url, seed)


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    node = Node()
    yield node
    node.remove()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [seed for seed in SEEDS if seed % 10 == 0])
def test_a_node_that_is_killed_changes_nothing(
    material: Material, node: Node, tmp_path: Path, seed: int
) -> None:
    """The node is started by this thread, with which it would die; the reducer runs beside it."""
    rng = random.Random(seed)
    with ThreadPoolExecutor(1) as pool:
        done: Future[None] = pool.submit(check_seed, material, tmp_path, node.url, seed, SHARE / 2)
        for _ in range(2):
            threading.Event().wait(rng.uniform(0.5, 6))
            if done.done():
                break
            node.kill()
            node.start()
        done.result()
