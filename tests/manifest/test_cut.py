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
def test_the_dearest_shard_is_within_the_bound_of_the_rule(sizes: list[int | None], shards: int) -> None:
    """Longest processing time first is at most 4/3 of the optimum (Graham 1969), whose bounds are known."""
    costs = [sum(row.cost for row in group) for group in cut(rows(sizes), shards)]
    single = [estimated_cost(row) for row in rows(sizes)]
    ordered = sorted(single, reverse=True)
    pair = ordered[len(costs) - 1] + ordered[len(costs)] if len(ordered) > len(costs) else 0
    optimum = max(sum(single) / len(costs), *single, pair)
    assert max(costs) <= optimum * 4 / 3 + 1e-6


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
