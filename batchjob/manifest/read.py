"""Manifests written by hand or by a command: CSV or Parquet to rows, every problem named with its line."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import url2pathname

import pyarrow as pa
import pyarrow.parquet as pq

from batchjob.errors import UsageError
from batchjob.manifest.batches import has_manifest_types, read_parquet
from batchjob.records import Action, ManifestRow, manifest_batches

PLACE_COLUMNS = ("uri", "bucket", "key", "path")
HINT_COLUMNS = (
    "action",
    "version_id",
    "size",
    "etag",
    "event_time",
    "sequencer",
    "attempt",
    "not_before",
    "cost",
)
FIELD_COLUMNS = ("department", "project", "tags", "doc_type")
KNOWN_COLUMNS = frozenset((*PLACE_COLUMNS, *HINT_COLUMNS, *FIELD_COLUMNS))
INTEGERS = {"size": 2**63 - 1, "attempt": 100, "not_before": 2**63 - 1}
"""Columns of whole numbers, and the most that each may be."""
TEXTS = ("version_id", "etag", "sequencer", "department", "project", "doc_type")


@dataclass(frozen=True, slots=True)
class Manifest:
    """Rows with one row an object, and how many repeated an object before them."""

    rows: list[ManifestRow]
    duplicates: int


def read_manifest(path: Path) -> Manifest:
    """Reads a manifest file. Raises UsageError that names the file, the line and the mend."""
    return one_row_an_object(row for row in _rows(path))


def one_row_an_object(rows: Iterable[ManifestRow]) -> Manifest:
    """The last row of each object, in order of first appearance: the worker looks at the object itself."""
    seen: dict[tuple[str, str], ManifestRow] = {}
    count = 0
    for row in rows:
        seen[row.bucket, row.key] = row
        count += 1
    return Manifest(list(seen.values()), count - len(seen))


def read_batches(path: Path, name: str | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a manifest file in MANIFEST_SCHEMA, repeated ones too; millions of rows in a file of the system's.

    `name`: of a file that was fetched to `path`, whose rows then cannot be relative to its folder. Raises UsageError.
    """
    if path.suffix.lower() == ".parquet" and path.is_file():
        try:
            schema = pq.read_schema(path)
        except (pa.ArrowException, OSError) as error:
            raise UsageError(f"{name or path} is no readable Parquet file: {error}") from None
        if has_manifest_types(schema) and {"bucket", "key"} <= set(schema.names):
            return read_parquet(path, name or str(path))
    return manifest_batches(_rows(path, name))


def _rows(path: Path, name: str | None = None) -> Iterator[ManifestRow]:
    shown = name or path
    if not path.is_file():
        raise UsageError(f"no manifest {str(path)!r}: give a CSV or Parquet file, or a folder of documents")
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise UsageError(
            f"{str(path)!r} is no manifest (.csv or .parquet): for documents give their folder, or use "
            "`batchjob extract`"
        )
    read = _parquet_records if path.suffix.lower() == ".parquet" else _csv_records
    for line, record in read(path, shown):
        try:
            yield _row(record, path.parent if name is None else None)
        except (ValueError, KeyError) as error:
            raise UsageError(f"{shown}, line {line}: {error}") from None


def _csv_records(path: Path, shown: object) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{shown} is not UTF-8 (byte {error.start}): save it as CSV UTF-8") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        check_columns(shown, reader.fieldnames or [])
        for record in reader:
            if None in record or None in record.values():
                raise UsageError(
                    f"{shown}, line {reader.line_num}: the row has more or fewer fields than the header"
                )
            yield reader.line_num, record
    except csv.Error as error:
        raise UsageError(f"{shown}, line {reader.line_num}: {error}") from None


def _parquet_records(path: Path, shown: object) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        file = pq.ParquetFile(path)
        check_columns(shown, file.schema_arrow.names)
        line = 0
        for batch in file.iter_batches():
            for record in batch.to_pylist():
                line += 1
                yield line, record
    except pa.ArrowException as error:
        raise UsageError(f"{shown} is no readable Parquet file: {error}") from None


def check_columns(path: object, names: Iterable[str]) -> None:
    """Raises UsageError for unknown columns, and where no column says which object a row means."""
    given = list(names)
    if not KNOWN_COLUMNS.intersection(given):
        raise UsageError(
            f"{path} has no header: its first line is {','.join(given)[:200]!r}, which names no known column; begin "
            "it with `uri`, `path`, or `bucket,key`"
        )
    unknown = [name for name in given if name not in KNOWN_COLUMNS]
    if unknown:
        raise UsageError(
            f"{path}: unknown column {', '.join(map(repr, unknown))}; known are {', '.join(sorted(KNOWN_COLUMNS))}"
        )
    if not ("uri" in given or "path" in given or {"bucket", "key"} <= set(given)):
        raise UsageError(
            f"{path}: no column says where the documents are; give `uri`, `path`, or `bucket` and `key`"
        )


def _row(record: dict[str, Any], folder: Path | None) -> ManifestRow:
    given = {name: value for name, value in record.items() if value not in (None, "")}
    bucket, key = _place(given, folder)
    values: dict[str, Any] = {name: given[name] for name in HINT_COLUMNS + FIELD_COLUMNS if name in given}
    values |= {name: _whole_number(name, values[name]) for name in INTEGERS if name in values}
    values |= {name: _text(name, values[name]) for name in TEXTS if name in values}
    if "event_time" in values:
        values["event_time"] = milliseconds(values["event_time"])
    if "cost" in values:
        values["cost"] = float(values["cost"])
    values["action"] = _action(str(values.get("action", "upsert")))
    tags = values.get("tags", ())
    values["tags"] = (
        tuple(t.strip() for t in tags.split(";") if t.strip()) if isinstance(tags, str) else tuple(tags)
    )
    return ManifestRow(bucket=bucket, key=key, **values)


def _whole_number(name: str, value: object) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = -1
    if not 0 <= number <= INTEGERS[name]:
        raise ValueError(f"{name} is {value!r}, not a whole number from 0 to {INTEGERS[name]}")
    return number


def _text(name: str, value: object) -> str:
    if isinstance(value, bytes):
        raise ValueError(f"{name} is binary: write the column as text")
    return str(value)


def milliseconds(value: object) -> int:
    """Milliseconds since 1970, from ISO 8601 (UTC where it says nothing else), a time stamp, or such a number.

    Raises ValueError.
    """
    if isinstance(value, int) or (isinstance(value, str) and value.isdigit()):
        return int(value)
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"the time {value!r} is not like 2026-04-01T09:30:00Z") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _action(name: str) -> Action:
    try:
        return Action(name)
    except ValueError:
        raise ValueError(f"action is {name!r}, not `upsert` or `delete`") from None


def _place(given: dict[str, Any], folder: Path | None) -> tuple[str, str]:
    """The bucket and key that a row names, by `uri`, by `bucket` and `key`, or by `path` from the manifest's folder."""
    if "uri" in given:
        return split_uri(_text("uri", given["uri"]))
    if "bucket" in given and "key" in given:
        return _text("bucket", given["bucket"]), _text("key", given["key"])
    if "path" in given:
        if folder is None:
            raise ValueError("`path` is for manifests on this machine: give `uri`, or `bucket` and `key`")
        path = Path(_text("path", given["path"]))
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(
                f"path {str(path)!r} leaves the manifest's folder; give `uri` with file:///… instead"
            )
        return folder.resolve().as_uri(), path.as_posix()
    raise ValueError("the row names no object: give `uri`, `path`, or `bucket` and `key`")


def split_uri(uri: str) -> tuple[str, str]:
    """`s3://bucket/key` to (bucket, key); `file:///folder/name` to (`file:///folder`, name). Raises ValueError."""
    if uri.startswith("s3://"):
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if bucket and key:
            return bucket, key
    elif uri.startswith("file:///"):
        path = Path(url2pathname(uri.removeprefix("file://")))
        return path.parent.as_uri(), path.name
    raise ValueError(f"uri {uri!r} is neither s3://bucket/key nor file:///path")
