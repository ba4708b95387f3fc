"""Cutting: nothing is lost, no shard is empty, and none is much dearer than it must be."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from batchjob.adapters.folder import FolderStore
from batchjob.manifest.cut import MAX_SHARDS, cut, estimated_cost
from batchjob.records import ManifestRow, manifest_from_parquet
from batchjob.runs import read_run
from tests.support.pipeline import frozen_run

SIZES = st.lists(st.integers(0, 10**9) | st.none(), min_size=1, max_size=200)


def rows(sizes: list[int | None]) -> list[ManifestRow]:
    return [ManifestRow("bucket", f"{number}.pdf", size=size) for number, size in enumerate(sizes)]


@given(SIZES, st.integers(1, 300))
def test_every_row_is_in_one_shard_and_no_shard_is_empty(sizes: list[int | None], shards: int) -> None:
    groups = cut(rows(sizes), shards)
    assert sorted(row.key for group in groups for row in group) == sorted(row.key for row in rows(sizes))
    assert all(groups)
    assert len(groups) == min(shards, len(sizes))


@given(SIZES, st.integers(1, 20))
def test_no_shard_is_dearer_than_the_mean_before_its_last_row(sizes: list[int | None], shards: int) -> None:
    """List scheduling (Graham 1969): the shard that takes a row is the cheapest then, so not above the mean."""
    groups = cut(rows(sizes), shards)
    mean = sum(estimated_cost(row) for row in rows(sizes)) / len(groups)
    for group in groups:
        costs = [row.cost for row in group]
        assert costs == sorted(costs, reverse=True)
        assert sum(costs[:-1]) <= mean + 1e-6


def test_an_array_job_has_at_most_10000_children() -> None:
    assert len(cut(rows([1] * (MAX_SHARDS + 5)), MAX_SHARDS + 5)) == MAX_SHARDS


def test_a_frozen_run_reads_back(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    run = frozen_run(store, rows([1, 2, 3]), 2, "alias", "fingerprint")
    assert read_run(store, run.run_id) == run
    keys = [meta.key for meta in store.list(f"runs/{run.run_id}/manifest/")]
    assert len(keys) == run.shards == 2
    read = []
    for key in keys:
        with store.open(key) as opened:
            read += manifest_from_parquet(opened.body.read())
    assert len(read) == run.rows == 3
