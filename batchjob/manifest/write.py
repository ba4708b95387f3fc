"""Writing a manifest of any length to one Parquet file, whole or not at all."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batchjob.records import MANIFEST_SCHEMA

ROWS_A_GROUP = 200_000


def write_manifest(batches: Iterable[pa.RecordBatch], path: Path) -> int:
    """Writes batches in MANIFEST_SCHEMA and returns the number of rows.

    The file has its name only when it is complete. Raises OSError, and what reading the batches raises.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        count = _write(batches, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return count


def _write(batches: Iterable[pa.RecordBatch], path: Path) -> int:
    held: list[pa.RecordBatch] = []
    count = 0
    with pq.ParquetWriter(path, MANIFEST_SCHEMA, compression="zstd") as writer:
        for batch in batches:
            held.append(batch)
            count += len(batch)
            if sum(map(len, held)) >= ROWS_A_GROUP:
                writer.write_table(pa.Table.from_batches(held))
                held = []
        writer.write_table(pa.Table.from_batches(held, MANIFEST_SCHEMA))
    return count
