"""Cutting rows into shards of about equal cost."""

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

MAX_SHARDS = 10_000
"""AWS Batch's limit of children in an array job; more shards become several runs."""
BALANCED = 1.05
"""The heaviest shard's cost over the mean, above which another number of shards is tried."""
ROWS_TRIED = 4_000_000
"""Over all numbers of shards that are tried; cutting a million rows takes about 2 s."""
NUMBERS_TRIED = 40
CHUNK = 100_000


@dataclass(frozen=True, slots=True)
class Cut:
    """`shard_of` each row, by its place; `loads` and `counts` of the shards: their costs and rows."""

    shard_of: np.ndarray
    loads: np.ndarray
    counts: np.ndarray

    @property
    def shards(self) -> int:
        return len(self.loads)

    @property
    def imbalance(self) -> float:
        """The heaviest shard's cost over the mean, save a document that exceeds it alone; 1.0 at best."""
        several = self.loads[self.counts > 1]
        return max(1.0, float(several.max() / self.loads.mean())) if len(several) else 1.0

    def runs(self) -> Iterator[range]:
        """The shards of each run: as few runs as can be, of about the same size."""
        count = math.ceil(self.shards / MAX_SHARDS)
        ends = [self.shards * number // count for number in range(count + 1)]
        return (range(ends[number], ends[number + 1]) for number in range(count))


def cut(costs: np.ndarray, shards: int) -> Cut:
    """At most `shards` non-empty shards: the dearest row first, each to the cheapest shard so far.

    So no shard is dearer than the mean before its last, cheapest row, and a row dearer than the mean is alone.
    (Graham, Bounds on multiprocessing timing anomalies, 1969: LPT rule)
    """
    count = max(1, min(shards, len(costs)))
    heap = [(0.0, number) for number in range(count)]
    shard_of = np.zeros(len(costs), np.uint32)
    order = np.argsort(-costs, kind="stable")
    for start in range(0, len(order), CHUNK):
        rows = order[start : start + CHUNK]
        chosen = []
        for cost in costs[rows].tolist():
            load, number = heap[0]
            chosen.append(number)
            heapq.heapreplace(heap, (load + cost, number))
        shard_of[rows] = chosen
    return Cut(
        shard_of,
        np.bincount(shard_of, costs, minlength=count),
        np.bincount(shard_of, minlength=count),
    )


def cut_evenly(costs: np.ndarray, shard_cost: float) -> Cut:
    """Shards of about `shard_cost`, and as many more or fewer as make them equal; a dearer row is alone.

    A few rows of about the same cost cannot always be cut within BALANCED: then the best of those that were tried.
    """
    best: Cut | None = None
    for shards in _numbers(costs, shard_cost):
        found = cut(costs, shards)
        if best is None or found.imbalance < best.imbalance:
            best = found
        if best.imbalance <= BALANCED:
            break
    return best or cut(costs, 1)


def _numbers(costs: np.ndarray, shard_cost: float) -> Iterator[int]:
    """Numbers of shards, the wanted one first, then others the nearer the sooner, last one a row."""
    alone = costs > shard_cost
    wanted = int(alone.sum()) + math.ceil(costs[~alone].sum() / shard_cost)
    wanted = max(1, min(wanted, len(costs)))
    yield wanted
    tries = min(NUMBERS_TRIED, ROWS_TRIED // max(1, len(costs)))
    step = max(1, wanted // max(1, tries))
    for distance in range(step, step * tries // 2 + 1, step):
        if wanted + distance <= len(costs):
            yield wanted + distance
        if wanted - distance >= max(1, wanted // 2):
            yield wanted - distance
    if len(costs) <= 4 * wanted:
        yield len(costs)
