"""Files of finished runs without what is in them of one object."""

import io
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchjob import layout
from batchjob.operate.history import ObjectName
from batchjob.operate.runfiles import manifest_rows
from batchjob.ports import Delete, Get, List, Put, PutFile, read_or_none
from batchjob.reduce.bulk import join_operations, split_operations
from batchjob.reduce.outcomes import MergedFile
from batchjob.runs import read_run


class RewriteStore(Get, Put, PutFile, List, Delete, Protocol):
    """The verbs for rewriting files."""


Without = Callable[[bytes], bytes | None]
"""A file's content without the object; None where it holds nothing of it."""


def rewrite_run(store: RewriteStore, run_id: str, name: ObjectName, scratch: Path) -> int:
    """Takes an object out of all files of a finished run, and returns how many it was in.

    Receipts keep the checksums of what was: nobody loads a finished run again. The merged outcomes, by which the run is
    found, come last, so that a call that was killed is done again. Raises TransientError.
    """
    run = read_run(store, run_id)
    shards = {shard for shard, row in manifest_rows(store, run_id, run.shards, name.key) if name.names(row)}
    count = sum(_rewrite(store, key, without) for key, without in _files(store, run_id, shards, name))
    return count + _rewrite_merged(store, layout.merged_outcomes(run_id), name, scratch)


def _files(store: List, run_id: str, shards: set[int], name: ObjectName) -> Iterator[tuple[str, Without]]:
    """The files of these shards, also those of writers that no receipt names; the manifests last."""
    for shard in sorted(shards):
        for meta in store.list(layout.bulk_part(run_id, shard, "", "").rstrip("/") + "/"):
            yield meta.key, lambda data: without_operations(data, name.doc_id)
        for meta in store.list(layout.outcomes(run_id, shard, "").removesuffix(".parquet")):
            yield meta.key, lambda data: without_rows(data, name)
        for meta in store.list(layout.rejected(run_id, shard, "").removesuffix(".ndjson")):
            yield meta.key, lambda data: without_lines(data, lambda line: line.get("doc_id") == name.doc_id)
    for shard in sorted(shards):
        yield layout.manifest(run_id, shard), lambda data: without_rows(data, name)


def _rewrite(store: RewriteStore, key: str, without: Without) -> int:
    data = read_or_none(store, key)
    left = without(data) if data is not None else None
    if left is None:
        return 0
    if left:
        store.put(key, left)
    else:
        store.delete(key)
    return 1


def without_operations(body: bytes, doc_id: str) -> bytes | None:
    operations = split_operations(body)
    left = [operation for operation in operations if operation.doc_id != doc_id]
    if len(left) == len(operations):
        return None
    return join_operations(left) if left else b""


def without_lines(data: bytes, drop: Callable[[Any], bool]) -> bytes | None:
    lines = data.splitlines()
    left = [line for line in lines if not drop(orjson.loads(line))]
    return None if len(left) == len(lines) else b"".join(line + b"\n" for line in left)


def without_rows(data: bytes, name: ObjectName) -> bytes | None:
    table = pq.read_table(io.BytesIO(data))
    left = table.filter(_others(table, name))
    if len(left) == len(table):
        return None
    buffer = io.BytesIO()
    pq.write_table(left, buffer, compression="zstd")
    return buffer.getvalue()


def _others(rows: pa.Table, name: ObjectName) -> pa.ChunkedArray:
    same = pc.and_(pc.equal(rows["bucket"], name.bucket), pc.equal(rows["key"], name.key))
    return pc.invert(same)


def _rewrite_merged(store: RewriteStore, key: str, name: ObjectName, scratch: Path) -> int:
    data = read_or_none(store, key)
    if data is None:
        return 0
    file, path, dropped = pq.ParquetFile(io.BytesIO(data)), scratch / "merged.parquet", 0
    with closing(MergedFile(path)) as merged:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group)
            left = rows.filter(_others(rows, name))
            dropped += len(rows) - len(left)
            merged.add(left)
    if dropped:
        store.put_file(key, path)
    path.unlink()
    return int(dropped > 0)
