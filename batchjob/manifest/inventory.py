"""A manifest from S3 Inventory: `manifest.json` and the Parquet or CSV files that it names.

(https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html)
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from pydantic import BaseModel, Field, ValidationError

from batchjob.errors import ObjectMissingError, TransientError, UsageError
from batchjob.manifest.batches import BATCH_ROWS, check_rows, manifest_batch, quoted
from batchjob.manifest.decode import BadRowError, form_decoded
from batchjob.manifest.select import Tally
from batchjob.ports import Get, Opened

WANTED = frozenset(
    ("bucket", "key", "versionid", "islatest", "isdeletemarker", "size", "lastmodifieddate", "etag")
)
"""Columns that are read, as both formats' names are without `_` and in lower case."""
CSV_BLOCK = 4 * 1024 * 1024
CHUNK = 1024 * 1024
MANIFEST = "manifest.json"


class DataFile(BaseModel):
    """One of an inventory's files; `checksum` is the MD5 of its bytes in hexadecimal digits."""

    key: str
    size: int
    checksum: str = Field(alias="MD5checksum")


class Inventory(BaseModel):
    """`manifest.json`; what it says beside this is not needed."""

    source: str = Field(alias="sourceBucket")
    destination: str = Field(alias="destinationBucket")
    format: Literal["CSV", "Parquet"] = Field(alias="fileFormat")
    columns: str = Field(alias="fileSchema")
    files: list[DataFile]

    @property
    def bucket(self) -> str:
        """The bucket that holds the files."""
        return self.destination.rpartition(":")[2]


def read_inventory(store: Get, key: str) -> Inventory:
    """The inventory whose `manifest.json` is at `key`.

    Raises UsageError where it is missing, damaged (where `manifest.checksum` is beside it) or of another format,
    TransientError.
    """
    data = _read(store, key)
    if data is None:
        raise UsageError(f"no object {key!r}: name the {MANIFEST} of an inventory")
    expected = _read(store, key.removesuffix(MANIFEST) + "manifest.checksum")
    if expected is not None and expected.decode("ascii", "replace").strip() != _md5(data):
        raise UsageError(
            f"{key} does not have the MD5 in its manifest.checksum: it is damaged or being replaced"
        )
    try:
        found = Inventory.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "JSON"
        raise UsageError(
            f"{key} is no {MANIFEST} of an inventory in Parquet or CSV: {place}: {first['msg']}"
        ) from None
    if not found.files:
        raise UsageError(f"{key} names no files: the inventory is empty, or its manifest is not complete")
    return found


def _opened(store: Get, key: str) -> Opened | None:
    """None where there is no such file. In a copy on this machine an absence needs no proof: nothing is deleted."""
    try:
        return store.open(key)
    except ObjectMissingError:
        return None
    except TransientError as error:
        if error.cause == "absence_unproven":
            return None
        raise


def _read(store: Get, key: str) -> bytes | None:
    opened = _opened(store, key)
    if opened is None:
        return None
    with opened:
        return opened.body.read()


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def inventory_batches(
    inventory: Inventory, store: Get, scratch: Path, tally: Tally
) -> Iterator[pa.RecordBatch]:
    """The latest version of each object, in MANIFEST_SCHEMA; older ones and deleted objects are counted.

    One file at a time is on disk, below `scratch`. Each is checked before its first row is given; what fails is named
    with file, row and cause. Raises UsageError, TransientError.
    """
    for file in inventory.files:
        path = _fetched(file, store, scratch)
        try:
            yield from _file_batches(inventory, file.key, path, tally)
        finally:
            path.unlink()


def _fetched(file: DataFile, store: Get, scratch: Path) -> Path:
    path = scratch / "inventory-file"
    digest, size = hashlib.md5(usedforsecurity=False), 0
    opened = _opened(store, file.key)
    if opened is None:
        raise UsageError(
            f"inventory file {file.key!r} is missing: use another inventory, since its rows would be lost"
        )
    with opened, path.open("wb") as copy:
        while chunk := opened.body.read(CHUNK):
            copy.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    if (size, digest.hexdigest()) != (file.size, file.checksum.lower()):
        raise UsageError(
            f"inventory file {file.key!r} is damaged: {size} bytes with MD5 {digest.hexdigest()}, but {MANIFEST} says "
            f"{file.size} and {file.checksum}"
        )
    return path


def _file_batches(inventory: Inventory, name: str, path: Path, tally: Tally) -> Iterator[pa.RecordBatch]:
    row = 1
    read = _csv_batches if inventory.format == "CSV" else _parquet_batches
    try:
        for columns, count in read(inventory, path):
            yield _batch(inventory, name, columns, count, row, tally)
            row += count
    except BadRowError as error:
        raise UsageError(f"inventory file {name!r}, row {row + error.place}: {error}") from None
    except (pa.ArrowException, OSError, KeyError) as error:
        raise UsageError(
            f"inventory file {name!r} cannot be read, from row {row} on: {_words(error)}"
        ) from None


def _words(error: Exception) -> str:
    return f"it has no column {error}" if isinstance(error, KeyError) else str(error)


Columns = Iterator[tuple[dict[str, pa.Array], int]]


def _plain(name: str) -> str:
    return name.strip().replace("_", "").lower()


def _csv_batches(inventory: Inventory, path: Path) -> Columns:
    names = [_plain(name) for name in inventory.columns.split(",")]
    _check_names(names)
    wanted = [name for name in names if name in WANTED]
    if not _has_bytes(path):
        return
    with pa.input_stream(str(path), compression="gzip") as stream:
        reader = pacsv.open_csv(
            stream,
            read_options=pacsv.ReadOptions(column_names=names, block_size=CSV_BLOCK, use_threads=False),
            parse_options=pacsv.ParseOptions(newlines_in_values=False),
            convert_options=pacsv.ConvertOptions(
                include_columns=wanted,
                column_types=dict.fromkeys(wanted, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
                quoted_strings_can_be_null=True,
            ),
        )
        for batch in reader:
            columns = dict(zip(wanted, batch.columns, strict=True))
            if columns["key"].null_count:
                raise BadRowError(pc.index(pc.is_null(columns["key"]), True).as_py(), "it names no key")
            columns["key"] = form_decoded(columns["key"])
            yield columns, len(batch)


def _has_bytes(path: Path) -> bool:
    """Arrow takes an empty CSV file for an error; an inventory may have one."""
    with pa.input_stream(str(path), compression="gzip") as stream:
        return bool(stream.read(1))


def _parquet_batches(inventory: Inventory, path: Path) -> Columns:
    file = pq.ParquetFile(path)
    given = {name: _plain(name) for name in file.schema_arrow.names if _plain(name) in WANTED}
    _check_names(given.values())
    for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=[*given]):
        yield {given[name]: batch[name] for name in batch.schema.names}, len(batch)


def _check_names(names: Iterable[str]) -> None:
    """An inventory of all versions must say which are the latest."""
    found = set(names)
    needed = {"bucket", "key"} | ({"islatest", "isdeletemarker"} if "versionid" in found else set())
    if missing := sorted(needed - found):
        raise KeyError(", ".join(missing))


def _batch(
    inventory: Inventory, name: str, columns: dict[str, pa.Array], count: int, row: int, tally: Tally
) -> pa.RecordBatch:
    given = {
        "bucket": pc.fill_null(columns["bucket"], inventory.source),
        "key": columns["key"],
        "version_id": columns.get("versionid"),
        "size": _integers(columns.get("size")),
        "etag": quoted(columns["etag"]) if "etag" in columns else None,
        "event_time": _milliseconds(columns.get("lastmodifieddate")),
    }
    rows = manifest_batch({key: value for key, value in given.items() if value is not None}, count)
    check_rows(rows, f"inventory file {name!r}", row)
    tally.read += count
    latest = _truth(columns.get("islatest"), count, absent=True)
    deleted = pc.and_(latest, _truth(columns.get("isdeletemarker"), count, absent=False))
    tally.older += count - pc.sum(latest, min_count=0).as_py()
    tally.deleted += pc.sum(deleted, min_count=0).as_py()
    return rows.filter(pc.and_not(latest, deleted))


def _integers(column: pa.Array | None) -> pa.Array | None:
    return None if column is None else _cast(column, pa.int64(), "size")


def _milliseconds(column: pa.Array | None) -> pa.Array | None:
    """Texts are ISO 8601 with `Z`; Parquet has time stamps."""
    if column is None:
        return None
    return _cast(column, pa.timestamp("ms", "UTC"), "time").cast(pa.int64())


def _truth(column: pa.Array | None, count: int, *, absent: bool) -> pa.Array:
    if column is None:
        return pa.repeat(absent, count)
    return pc.fill_null(_cast(column, pa.bool_(), "value"), absent)


def _cast(column: pa.Array, wanted: pa.DataType, what: str) -> pa.Array:
    """Raises BadRowError for the first row whose value is not of the type."""
    try:
        return column.cast(wanted)
    except pa.ArrowInvalid:
        for place in range(len(column)):
            try:
                column.slice(place, 1).cast(wanted)
            except pa.ArrowInvalid:
                raise BadRowError(place, f"the {what} {column[place].as_py()!r} makes no sense") from None
        raise
