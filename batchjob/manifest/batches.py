"""Rows of a manifest as columns: what every source builds, millions of rows without a Python object for each."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchjob.errors import UsageError
from batchjob.records import MANIFEST_SCHEMA, Action

USUAL: Mapping[str, object] = {"action": Action.UPSERT.value, "attempt": 1, "cost": 0.0}
"""What a row means that leaves these out."""
BATCH_ROWS = 65_536
MOST_ATTEMPTS = 100


def manifest_batch(columns: Mapping[str, pa.Array], rows: int) -> pa.RecordBatch:
    """A batch in MANIFEST_SCHEMA; columns left out are null, or what USUAL says."""
    return pa.RecordBatch.from_arrays(
        [_column(field, columns.get(field.name), rows) for field in MANIFEST_SCHEMA], schema=MANIFEST_SCHEMA
    )


def _column(field: pa.Field, given: pa.Array | None, rows: int) -> pa.Array:
    usual = USUAL.get(field.name)
    if given is None:
        return pa.nulls(rows, field.type) if usual is None else pa.repeat(pa.scalar(usual, field.type), rows)
    return given if usual is None else pc.fill_null(given, pa.scalar(usual, field.type))


def has_manifest_types(schema: pa.Schema) -> bool:
    """Whether a file's columns are those of MANIFEST_SCHEMA, or some of them."""
    return all(
        name in MANIFEST_SCHEMA.names and MANIFEST_SCHEMA.field(name).type == schema.field(name).type
        for name in schema.names
    )


def read_parquet(path: Path, name: str) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file with manifest types, checked. `name`: the file's in errors. Raises UsageError."""
    row = 1
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=BATCH_ROWS):
            checked = manifest_batch(dict(zip(batch.schema.names, batch.columns, strict=True)), len(batch))
            check_rows(checked, name, row)
            row += len(batch)
            yield checked
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{name} cannot be read after row {row - 1}: {error}") from None


def check_rows(rows: pa.RecordBatch, name: str, first: int) -> None:
    """Raises UsageError that names the first row without an object, or with an impossible value.

    `first`: the number of the batch's first row in the file `name`.
    """
    actions = pa.array([action.value for action in Action])
    faults = {
        "it names no bucket": pc.equal(pc.fill_null(rows["bucket"], ""), ""),
        "it names no key": pc.equal(pc.fill_null(rows["key"], ""), ""),
        "action is not `upsert` or `delete`": pc.invert(pc.is_in(rows["action"], actions)),
        "size is less than 0": pc.less(rows["size"], 0),
        f"attempt is not 1 to {MOST_ATTEMPTS}": pc.or_(
            pc.less(rows["attempt"], 1), pc.greater(rows["attempt"], MOST_ATTEMPTS)
        ),
    }
    for fault, where in faults.items():
        place = pc.index(where, True).as_py()
        if place >= 0:
            raise UsageError(f"{name}, row {first + place}: {fault}")


def quoted(etags: pa.Array) -> pa.Array:
    """ETags with their quotation marks, as S3 answers them, also where a file leaves the marks out."""
    bare = pc.utf8_trim(etags, '"')
    joined = pc.binary_join_element_wise('"', bare, '"', "")
    return pc.if_else(pc.equal(bare, ""), pa.scalar(None, pa.string()), joined)
