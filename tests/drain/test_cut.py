"""Cutting: nothing is lost, no shard is empty, and none is much dearer than it must be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchjob.drain.cut import BALANCED, MAX_SHARDS, Cut, cut, cut_evenly

COSTS = st.lists(st.floats(0.01, 10_000), min_size=1, max_size=200).map(np.array)


def check(costs: np.ndarray, found: Cut) -> None:
    """Every row is in one shard, no shard is empty, and the loads are the sums of the costs."""
    assert len(found.shard_of) == len(costs)
    assert found.counts.min() >= 1
    assert found.counts.sum() == len(costs)
    for shard in range(found.shards):
        assert found.loads[shard] == pytest.approx(costs[found.shard_of == shard].sum())


@given(COSTS, st.integers(1, 300))
def test_no_shard_is_dearer_than_the_mean_before_its_cheapest_row(costs: np.ndarray, shards: int) -> None:
    """List scheduling (Graham 1969): the shard that takes a row is the cheapest then, so not above the mean."""
    found = cut(costs, shards)
    check(costs, found)
    assert found.shards == min(shards, len(costs))
    cheapest = [costs[found.shard_of == shard].min() for shard in range(found.shards)]
    assert (found.loads - cheapest).max() <= found.loads.mean() + 1e-6


@given(COSTS, st.floats(0.1, 100_000))
def test_shards_are_equal_save_for_a_document_that_exceeds_the_mean_alone(
    costs: np.ndarray, shard_cost: float
) -> None:
    """Some rows cannot be divided better: seven alike into three. With 20 for a shard they always can."""
    found = cut_evenly(costs, shard_cost)
    check(costs, found)
    assert found.imbalance <= BALANCED or len(costs) < 20 * found.shards
    assert all(found.counts[found.shard_of[costs > max(shard_cost, found.loads.mean())]] == 1)


@pytest.mark.parametrize(
    ("costs", "shards"),
    [
        ([1.0] * 60, 6),
        ([1.0] * 61, 7),
        ([600.0] + [1.0] * 60, 7),
        ([6.0] * 11, 11),
        ([0.5], 1),
        ([25.0] * 3, 3),
    ],
)
def test_the_number_of_shards_follows_from_their_cost(costs: list[float], shards: int) -> None:
    found = cut_evenly(np.array(costs), 10.0)
    assert (found.shards, found.imbalance <= BALANCED) == (shards, True)


def test_documents_of_usual_sizes_are_cut_evenly() -> None:
    costs = 1 + np.exp(np.random.default_rng(5).normal(1, 1.5, 30_000))
    found = cut_evenly(costs, 1200)
    assert found.imbalance <= BALANCED
    assert found.loads.mean() == pytest.approx(1200, rel=0.1)


def test_more_shards_than_an_array_has_children_are_several_runs() -> None:
    found = cut(np.ones(25_000), 25_000)
    runs = list(found.runs())
    assert [shard for run in runs for shard in run] == list(range(25_000))
    assert len(runs) == 3
    assert max(map(len, runs)) <= MAX_SHARDS
