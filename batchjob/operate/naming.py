"""From what people call a file to the object: a URI, a key, or a path on this machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from batchjob.errors import UsageError
from batchjob.operate.history import ObjectName
from batchjob.ports import ManageIndex, ReadDocuments, Search

MOST_SOURCES = 1000


class NamingIndex(Search, ReadDocuments, ManageIndex, Protocol):
    """The verbs for finding out which sources there are."""


def name_object(text: str, index: NamingIndex | None, alias: str) -> ObjectName:
    """What `s3://bucket/key` names, or a key or path of one of the sources that the index knows. Raises UsageError."""
    if text.startswith("s3://"):
        bucket, _, key = text.removeprefix("s3://").partition("/")
        if not bucket or not key:
            raise UsageError(f"{text!r} names no object; write s3://bucket/key")
        return ObjectName(bucket, key)
    behind = index.resolve(alias) if index is not None else None
    if index is None or behind is None:
        raise UsageError(f"{text!r}: without an index its source is not known; write s3://bucket/key")
    names = [name for bucket in _sources(index, alias) for name in _in_source(text, bucket)]
    stored = index.documents(behind, [name.doc_id for name in names], ["file_id"])
    known = [name for name in names if name.doc_id in stored]
    chosen = known or names
    if len(chosen) == 1:
        return chosen[0]
    several = ", ".join(sorted(f"{name.bucket}/{name.key}" for name in chosen[:5]))
    raise UsageError(
        f"{text!r} may be any of {several}: write it whole, as s3://bucket/key"
        if several
        else f"{text!r} is below no source that the index knows; write s3://bucket/key"
    )


def _sources(index: Search, alias: str) -> Sequence[str]:
    body = {"size": 0, "aggs": {"sources": {"terms": {"field": "bucket", "size": MOST_SOURCES}}}}
    answer = index.search(alias, body)
    return [str(entry["key"]) for entry in answer["aggregations"]["sources"]["buckets"]]


def _in_source(text: str, bucket: str) -> list[ObjectName]:
    if text.startswith(f"{bucket}/"):
        return [ObjectName(bucket, text.removeprefix(f"{bucket}/"))]
    if "://" in text:
        return []
    if not bucket.startswith("file:"):
        return [ObjectName(bucket, text)] if not text.startswith("/") else []
    uri = Path(text).absolute().as_uri()
    if uri.startswith(f"{bucket}/"):
        return [ObjectName(bucket, unquote(uri.removeprefix(f"{bucket}/")))]
    return [] if text.startswith("/") else [ObjectName(bucket, text)]
