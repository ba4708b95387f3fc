"""From the names that people write to the store or source behind them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from batchjob.adapters.folder import FolderStore
from batchjob.adapters.source_folder import SourceFolder
from batchjob.errors import ObjectRefusedError, UsageError
from batchjob.ports import Bucket, PutFile, Source, Store

if TYPE_CHECKING:
    from batchjob.adapters.s3 import S3Store


def open_store(place: str, *, endpoint: str | None) -> Store:
    """The store at a folder's path, a `file://` URI or `s3://bucket/prefix`. Raises UsageError."""
    if place.startswith("file:"):
        return FolderStore(_path(place))
    if place.startswith("s3:"):
        bucket, _, prefix = place.removeprefix("s3://").partition("/")
        if not place.startswith("s3://") or not bucket:
            raise UsageError(f"{place!r} names no bucket; write s3://bucket/prefix")
        return _s3(endpoint, bucket, prefix)
    if "://" in place:
        raise UsageError(f"{place!r}: a store is a folder, file:///folder or s3://bucket/prefix")
    if not place:
        raise UsageError("an empty name is no store; name a folder or s3://bucket/prefix")
    return FolderStore(Path(place))


def open_source(bucket: str, *, endpoint: str | None) -> Source:
    """The source that a manifest row's `bucket` names: S3, or a folder's `file:` URI. Raises UsageError."""
    if bucket.startswith("file:"):
        return SourceFolder(_path(bucket))
    if not bucket or "/" in bucket:
        raise ObjectRefusedError(f"{bucket!r} is neither a bucket's name nor file:///folder")
    return _s3(endpoint, bucket)


def open_bucket(bucket: str, *, endpoint: str | None) -> Bucket:
    """A bucket in S3, to be listed. Raises UsageError."""
    if not bucket or "/" in bucket:
        raise ObjectRefusedError(f"{bucket!r} is no bucket's name")
    return _s3(endpoint, bucket)


def open_output(bucket: str, *, endpoint: str | None) -> PutFile:
    """A bucket in S3, for files of any size. Raises UsageError."""
    return _s3(endpoint, bucket)


def _s3(endpoint: str | None, bucket: str, prefix: str = "") -> "S3Store":
    """boto3 takes 0.2 s to import, which work in a folder need not wait for."""
    from batchjob.adapters.s3 import S3Store, s3_client

    return S3Store(s3_client(endpoint), bucket, prefix)


def _path(uri: str) -> Path:
    """The path of a `file:` URI (RFC 8089), whose special characters are percent-encoded."""
    parts = urlsplit(uri)
    path = Path(os.fsdecode(unquote_to_bytes(parts.path)))
    if parts.netloc not in ("", "localhost") or not path.is_absolute() or parts.query or parts.fragment:
        raise ObjectRefusedError(
            f"{uri!r}: write file:///absolute/path, with '?', '#' and '%' percent-encoded"
        )
    if "\0" in str(path):
        raise ObjectRefusedError(f"{uri!r} contains a NUL character")
    return path
