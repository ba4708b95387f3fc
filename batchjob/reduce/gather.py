"""One pass over the shards' outcomes: final states, counts, and what the end of the run needs, in bounded memory."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchjob import layout
from batchjob.errors import FailureCategory
from batchjob.ports import Get, List
from batchjob.records import OUTCOME_SCHEMA, FinalState, Outcome, Receipt, RunInfo, outcomes_of
from batchjob.reduce.load import kept, refused
from batchjob.reduce.outcomes import OutcomeSorter
from batchjob.reduce.receipts import Item, in_order, read_output

BATCH_ROWS = 8192
FILES_AHEAD = 3
"""Outcome files that are read while others are gathered: 10 MB for a shard of 100,000 rows."""


class GatherStore(Get, List, Protocol):
    """The verbs for reading what the shards left, and who is in quarantine."""


@dataclass(slots=True)
class Gathered:
    """A run's outcomes in `sorter`, with how many of its rows ended how.

    `returning`: shards with rows that come back or are given up, and a file of those rows each. `well`: rows that
    ended well while an earlier version of them is in quarantine.
    """

    sorter: OutcomeSorter
    states: Counter[FinalState] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    returning: dict[int, Path] = field(default_factory=dict)
    well: list[Outcome] = field(default_factory=list)

    def count(self, rows: pa.Table) -> None:
        for entry in pc.value_counts(rows["state"]).to_pylist():
            self.states[FinalState(entry["values"])] += entry["counts"]
        failed = rows.filter(pc.equal(rows["state"], FinalState.FAILED.value))
        for entry in pc.value_counts(failed["category"]).to_pylist():
            if entry["values"]:
                self.failures[entry["values"]] += entry["counts"]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Documents of a shard whose end differs from what it proposed; `rejected` with why."""

    rejected: Mapping[str, str]
    kept: Sequence[str]

    def of(self, rows: pa.Table) -> pa.Table:
        """The rows with their final states (invariant 1)."""
        if self.kept:
            stays = pc.and_(_is(rows, FinalState.FAILED), _among(rows, self.kept))
            rows = _with(rows, "state", pc.if_else(stays, FinalState.KEPT_PREVIOUS.value, rows["state"]))
        if self.rejected:
            is_rejected = _among(rows, [*self.rejected])
            why = pa.array([self.rejected.get(name) for name in rows["doc_id"].to_pylist()], pa.string())
            rows = _with(rows, "state", pc.if_else(is_rejected, FinalState.REJECTED.value, rows["state"]))
            rows = _with(
                rows, "category", pc.if_else(is_rejected, FailureCategory.REFUSED.value, rows["category"])
            )
            rows = _with(rows, "message", pc.if_else(is_rejected, why, rows["message"]))
        return rows


def gather(
    store: GatherStore,
    run: RunInfo,
    receipts: Sequence[Receipt],
    marked: Sequence[Item],
    folder: Path,
) -> Gathered:
    """Reads every shard's outcomes once. `marked`: the bodies some of whose documents were refused or kept.

    Scratch files go to `folder`. Raises TransientError where an output is missing or damaged.
    """
    gathered = Gathered(OutcomeSorter(folder, run.rows))
    quarantined = [_id_of(meta.key) for meta in store.list(layout.QUARANTINED_ROWS)]
    bodies: dict[int, list[Item]] = defaultdict(list)
    for item in marked:
        bodies[item.shard].append(item)
    outputs = in_order(lambda one: (one.shard, read_output(store, one.outcomes)), receipts, FILES_AHEAD)
    for shard, data in outputs:
        verdicts = _verdicts(store, run.run_id, bodies[shard])
        returning = []
        for batch in _batches(data):
            proposed = pa.Table.from_batches([batch]).cast(OUTCOME_SCHEMA)
            final = verdicts.of(proposed)
            gathered.count(final)
            gathered.sorter.add(final)
            gathered.well += _well(final, quarantined)
            returning.append(_returning(proposed, final))
        rows = pa.concat_tables([OUTCOME_SCHEMA.empty_table(), *returning])
        if len(rows):
            gathered.returning[shard] = folder / f"returning-{shard:05d}.parquet"
            pq.write_table(rows, gathered.returning[shard])
    return gathered


def _batches(data: bytes) -> Iterator[pa.RecordBatch]:
    """Rows some thousand at a time; threads and read-ahead would hold several times as many."""
    file = pq.ParquetFile(pa.BufferReader(data), pre_buffer=False)
    return file.iter_batches(BATCH_ROWS, columns=OUTCOME_SCHEMA.names, use_threads=False)  # type: ignore[no-any-return]


def _verdicts(store: Get, run_id: str, bodies: Sequence[Item]) -> Verdicts:
    rejected: dict[str, str] = {}
    stay: list[str] = []
    for item in bodies:
        rejected |= refused(store, run_id, item)
        stay += kept(store, run_id, item)
    return Verdicts(rejected, stay)


def _returning(proposed: pa.Table, final: pa.Table) -> pa.Table:
    """Rows that come back, that were given up unseen (whatever the index keeps of them), or that were refused."""
    hopeless = pc.and_(_is(proposed, FinalState.FAILED), pc.is_null(proposed["observed_at"]))
    refused_rows = _is(final, FinalState.REJECTED)
    rows = _with(final, "state", pc.if_else(refused_rows, final["state"], proposed["state"]))
    return rows.filter(pc.or_(pc.or_(_is(proposed, FinalState.REQUEUED), hopeless), refused_rows))


def _well(final: pa.Table, quarantined: Sequence[str]) -> list[Outcome]:
    if not quarantined:
        return []
    good = pc.or_(_is(final, FinalState.INDEXED), _is(final, FinalState.DELETED))
    return outcomes_of(final.filter(pc.and_(good, _among(final, quarantined))))


def _id_of(key: str) -> str:
    return key.removeprefix(layout.QUARANTINED_ROWS).removesuffix(".json")


def _is(rows: pa.Table, state: FinalState) -> pa.ChunkedArray:
    return pc.equal(rows["state"], state.value)


def _among(rows: pa.Table, names: Sequence[str]) -> pa.ChunkedArray:
    return pc.is_in(rows["doc_id"], pa.array(names, pa.string()))


def _with(rows: pa.Table, name: str, values: pa.ChunkedArray) -> pa.Table:
    place = rows.schema.get_field_index(name)
    return rows.set_column(place, rows.schema.field(place), values)
