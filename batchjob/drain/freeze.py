"""Freezing: every shard's rows written once, then `run.json`; nothing of a run's input changes after that."""

import io
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batchjob import layout
from batchjob.drain.cut import Cut
from batchjob.drain.gather import Rows, Spill
from batchjob.ports import Clock, CreateOnce, Delete
from batchjob.records import MANIFEST_SCHEMA, RunInfo

WRITERS = 8
"""Shards written at once: each waits for the store most of the time."""
ROWS_A_GROUP = 200_000
"""Rows that are sorted into shards at a time."""
SHARD = "shard"


@dataclass(frozen=True, slots=True)
class Target:
    """What runs are for: the index they fill, and the extraction settings they stand for."""

    kind: Literal["incremental", "local", "reindex"]
    index: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a shard goes."""

    run_id: str
    number: int


def new_runs(cut: Cut, target: Target, segments: Sequence[str], clock: Clock) -> list[RunInfo]:
    """As many runs as the limit of children makes of the shards, with names of their own."""
    now = clock.now_ms()
    names: set[str] = set()
    pieces = list(cut.runs())
    while len(names) < len(pieces):
        names.add(layout.new_run_id(now))
    return [
        RunInfo(
            run_id=name,
            kind=target.kind,
            index=target.index,
            fingerprint=target.fingerprint,
            rows=int(cut.counts[piece.start : piece.stop].sum()),
            shards=len(piece),
            segments=tuple(segments),
        )
        for name, piece in zip(sorted(names), pieces, strict=True)
    ]


def freeze(runs: Sequence[RunInfo], rows: Rows, cut: Cut, store: CreateOnce, scratch: Path) -> None:
    """Writes every shard of all runs, then every `run.json`. Raises AlreadyExistsError, TransientError."""
    places = [
        Place(run.run_id, number)
        for run, piece in zip(runs, cut.runs(), strict=True)
        for number in range(len(piece))
    ]

    def write(shard: tuple[int, pa.Table]) -> None:
        place = places[shard[0]]
        store.create_once(layout.manifest(place.run_id, place.number), _parquet(shard[1]))

    with ThreadPoolExecutor(min(WRITERS, cut.shards), thread_name_prefix="freeze") as pool:
        for group in _groups(rows, cut, scratch):
            list(pool.map(write, _shards(group)))
    for run in runs:
        store.create_once(layout.run_info(run.run_id), run.to_json())


def _groups(rows: Rows, cut: Cut, scratch: Path) -> Iterator[pa.Table]:
    """The rows with their costs and shards, each shard whole in one of the tables."""
    groups = max(1, len(rows) // ROWS_A_GROUP)
    shards_a_group = -(-cut.shards // groups)
    spill = Spill(scratch / "shards", groups)
    start = 0
    for table in rows.tables():
        place = slice(start, start := start + len(table))
        shard_of, costs = cut.shard_of[place], rows.costs[place]
        field = MANIFEST_SCHEMA.field("cost")
        costed = table.set_column(table.schema.get_field_index("cost"), field, pa.array(costs))
        spill.add(costed.append_column(SHARD, pa.array(shard_of)), shard_of // shards_a_group)
    return spill.tables()


def _shards(group: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """The shards of a group, in each the dearest row first: what takes long must not begin last."""
    numbers = group[SHARD].to_numpy()
    order = np.lexsort((-group["cost"].to_numpy(), numbers))
    group, numbers = group.drop_columns([SHARD]).take(order), numbers[order]
    found, starts = np.unique(numbers, return_index=True)
    ends = [*starts.tolist(), len(numbers)]
    for number, (start, end) in zip(found.tolist(), itertools.pairwise(ends), strict=True):
        yield number, group.slice(start, end - start)


def _parquet(rows: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    return buffer.getvalue()


class DiscardStore(Delete, Protocol):
    """The verbs for taking back what was not committed."""


def discard(runs: Sequence[RunInfo], store: DiscardStore) -> None:
    """Removes runs that were not committed, the names first by which they are found. Raises TransientError."""
    for run in runs:
        store.delete(layout.run_info(run.run_id))
    keys = [layout.manifest(run.run_id, shard) for run in runs for shard in range(run.shards)]
    with ThreadPoolExecutor(WRITERS, thread_name_prefix="discard") as pool:
        list(pool.map(store.delete, keys))
