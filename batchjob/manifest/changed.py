"""What changed since a former run: rows whose object is no longer the one that the run was done with."""

import io
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchjob import layout
from batchjob.errors import UsageError
from batchjob.manifest.batches import quoted
from batchjob.manifest.select import Tally
from batchjob.ports import Get, read_or_none
from batchjob.records import Action, FinalState
from batchjob.runs import read_run

SAME = ("bucket", "key", "size", "etag")
"""What an unchanged object has in common with the run's; a row that lacks one of them counts as changed."""
CHUNK_ROWS = 1_000_000
READERS = 8


class RunReader(Get, Protocol):
    """The verbs for reading a former run."""


def known_objects(store: RunReader, run_id: str) -> pa.Table:
    """The objects that a run was done with: of its outcomes, or of its manifest while it is not finished.

    Rows that came back (`requeued`) were not done. Raises UsageError where there is no such run, TransientError.
    """
    run = read_run(store, run_id)
    merged = read_or_none(store, layout.merged_outcomes(run_id))
    if merged is not None:
        table = pq.read_table(io.BytesIO(merged), columns=[*SAME, "state"])
        done = pc.invert(pc.is_in(table["state"], pa.array(_NOT_DONE)))
        return _comparable(table.filter(done).select(SAME))
    keys = [layout.manifest(run_id, shard) for shard in range(run.shards)]
    with ThreadPoolExecutor(READERS, thread_name_prefix="known") as pool:
        return pa.concat_tables(pool.map(lambda key: _manifest_objects(store, key), keys))


_NOT_DONE = [FinalState.REQUEUED.value, FinalState.DELETED.value]


def _manifest_objects(store: Get, key: str) -> pa.Table:
    data = read_or_none(store, key)
    if data is None:
        raise UsageError(f"{key} is missing: the run cannot be compared with")
    table = pq.read_table(io.BytesIO(data), columns=[*SAME, "action"])
    return _comparable(table.filter(pc.equal(table["action"], Action.UPSERT.value)).select(SAME))


def _comparable(rows: pa.Table) -> pa.Table:
    etags = pa.chunked_array([quoted(chunk) for chunk in rows["etag"].chunks], pa.string())
    return rows.set_column(SAME.index("etag"), "etag", etags)


def changed(batches: Iterable[pa.RecordBatch], known: pa.Table, tally: Tally) -> Iterator[pa.RecordBatch]:
    """The rows that are not among the known objects; the others are counted. Deletions always are changes."""
    for rows in _chunks(batches):
        numbered = _comparable(rows.select(SAME)).append_column("place", pa.array(np.arange(len(rows))))
        upserts = numbered.filter(pc.equal(rows["action"], Action.UPSERT.value))
        same = upserts.join(known, list(SAME), join_type="left semi")["place"].to_numpy()
        kept = np.ones(len(rows), bool)
        kept[same] = False
        tally.unchanged += len(rows) - int(kept.sum())
        yield from rows.filter(pa.array(kept)).to_batches()


def _chunks(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Many batches at once: the known objects are hashed anew for each join."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(map(len, held)) >= CHUNK_ROWS:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)
