"""Cutting rows into shards of about equal cost, and freezing them as a run."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from batchjob import layout
from batchjob.ports import CreateOnce
from batchjob.records import ManifestRow, RunInfo, manifest_to_parquet

MAX_SHARDS = 10_000
"""AWS Batch's limit of children in an array job."""
BYTES_PER_UNIT = 100_000
"""A scanned page takes about this many bytes, and reading it is what costs."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to be: its target, the settings it stands for, and how many shards at the most."""

    run_id: str
    kind: Literal["incremental", "local"]
    index: str
    fingerprint: str
    shards: int


def estimated_cost(row: ManifestRow) -> float:
    """In scanned pages: one for the document itself, and more with its size."""
    return row.cost or 1.0 + (row.size or BYTES_PER_UNIT) / BYTES_PER_UNIT


def cut(rows: Sequence[ManifestRow], shards: int) -> list[list[ManifestRow]]:
    """At most `shards` non-empty groups: the dearest row first, each to the cheapest group so far (LPT rule)."""
    count = max(1, min(shards, len(rows), MAX_SHARDS))
    groups: list[list[ManifestRow]] = [[] for _ in range(count)]
    heap = [(0.0, number) for number in range(count)]
    costed = [replace(row, cost=estimated_cost(row)) for row in rows]
    for row in sorted(costed, key=lambda r: (-r.cost, r.bucket, r.key)):
        cost, number = heapq.heappop(heap)
        groups[number].append(row)
        heapq.heappush(heap, (cost + row.cost, number))
    return groups


def freeze(plan: Plan, rows: Sequence[ManifestRow], store: CreateOnce) -> RunInfo:
    """Writes every shard, then `run.json`: from here on nothing of the run's input changes."""
    groups = cut(rows, plan.shards)
    for shard, group in enumerate(groups):
        store.create_once(layout.manifest(plan.run_id, shard), manifest_to_parquet(group))
    run = RunInfo(
        run_id=plan.run_id,
        kind=plan.kind,
        index=plan.index,
        fingerprint=plan.fingerprint,
        rows=len(rows),
        shards=len(groups),
    )
    store.create_once(layout.run_info(plan.run_id), run.to_json())
    return run
