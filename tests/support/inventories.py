"""S3 Inventories as S3 would publish them, in both formats."""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote_plus

import pyarrow as pa
import pyarrow.parquet as pq

Put = Callable[[str, bytes], object]
FOLDER = "inventories/example-bucket/daily"
MANIFEST = f"{FOLDER}/2026-11-20T01-00Z/manifest.json"
CHANGED = datetime(2026, 4, 1, 9, 30, tzinfo=UTC)
CSV_COLUMNS = ("Bucket", "Key", "VersionId", "IsLatest", "IsDeleteMarker", "Size", "LastModifiedDate", "ETag")
CURRENT = ("Bucket", "Key", "Size", "LastModifiedDate", "ETag")
"""Columns of an inventory of current versions only."""


@dataclass(frozen=True)
class Version:
    """A line of an inventory."""

    key: str
    size: int | None = 9
    version: str = "v1"
    latest: bool = True
    deleted: bool = False
    etag: str = "0123456789abcdef0123456789abcdef"


def csv_file(versions: Sequence[Version], columns: Sequence[str] = CSV_COLUMNS) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    for version in versions:
        values = {
            "Bucket": "example-bucket",
            "Key": quote_plus(version.key),
            "VersionId": version.version,
            "IsLatest": str(version.latest).lower(),
            "IsDeleteMarker": str(version.deleted).lower(),
            "Size": "" if version.size is None else version.size,
            "LastModifiedDate": f"{CHANGED:%Y-%m-%dT%H:%M:%S}.000Z",
            "ETag": version.etag,
        }
        writer.writerow([values[name] for name in columns])
    return gzip.compress(text.getvalue().encode())


def parquet_file(versions: Sequence[Version], columns: Sequence[str] = CSV_COLUMNS) -> bytes:
    table = pa.table(
        {
            "bucket": pa.array(["example-bucket"] * len(versions)),
            "key": pa.array([version.key for version in versions], pa.string()),
            "version_id": pa.array([version.version for version in versions], pa.string()),
            "is_latest": pa.array([version.latest for version in versions], pa.bool_()),
            "is_delete_marker": pa.array([version.deleted for version in versions], pa.bool_()),
            "size": pa.array([version.size for version in versions], pa.int64()),
            "last_modified_date": pa.array([CHANGED] * len(versions), pa.timestamp("ms", "UTC")),
            "e_tag": pa.array([version.etag for version in versions], pa.string()),
        }
    )
    wanted = [name for name, title in zip(table.column_names, CSV_COLUMNS, strict=True) if title in columns]
    buffer = io.BytesIO()
    pq.write_table(table.select(wanted), buffer)
    return buffer.getvalue()


def publish(
    put: Put,
    bodies: Sequence[bytes],
    form: str,
    columns: Sequence[str] = CSV_COLUMNS,
    bucket: str = "inventories",
) -> list[str]:
    """Puts data files and the manifest with its checksum, and returns the data files' keys."""
    ending = "csv.gz" if form == "CSV" else "parquet"
    keys = [f"{FOLDER}/data/{number}.{ending}" for number in range(len(bodies))]
    for key, body in zip(keys, bodies, strict=True):
        put(key, body)
    manifest = {
        "sourceBucket": "example-bucket",
        "destinationBucket": f"arn:aws:s3:::{bucket}",
        "version": "2016-11-30",
        "creationTimestamp": "1795136400000",
        "fileFormat": form,
        "fileSchema": ", ".join(columns),
        "files": [
            {
                "key": key,
                "size": len(body),
                "MD5checksum": hashlib.md5(body, usedforsecurity=False).hexdigest(),
            }
            for key, body in zip(keys, bodies, strict=True)
        ],
    }
    data = json.dumps(manifest).encode()
    put(MANIFEST, data)
    put(MANIFEST.replace(".json", ".checksum"), hashlib.md5(data, usedforsecurity=False).hexdigest().encode())
    return keys
