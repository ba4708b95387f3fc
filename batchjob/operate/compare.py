"""Bucket and index side by side, both in order of the keys: what is missing, stale, or a ghost."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from batchjob.drain.filters import KeyFilter
from batchjob.errors import UsageError
from batchjob.ports import List, ObjectMeta, ScanDocuments
from batchjob.records import Action, ManifestRow

KEY = "s3_key.keyword"
EXAMPLES = 20


class Difference(StrEnum):
    """`missing`: in the bucket alone; `ghost`: in the index alone; `stale`: in both, but not the same object."""

    MISSING = "missing"
    STALE = "stale"
    GHOST = "ghost"


@dataclass(frozen=True, slots=True)
class Source:
    """What is compared: the documents of a bucket (or a folder's URI) whose keys begin with `prefix`.

    `leave_out`: folders, with a slash, in which batchjob itself writes.
    """

    bucket: str
    objects: List
    prefix: str = ""
    leave_out: tuple[str, ...] = ()

    @property
    def query(self) -> dict[str, Any]:
        """Its documents in the index; tombstones name no bucket."""
        must: list[dict[str, Any]] = [{"term": {"bucket": self.bucket}}]
        if self.prefix:
            must.append({"prefix": {KEY: self.prefix}})
        return {"bool": {"filter": must}}


@dataclass(slots=True)
class Counts:
    """`objects` in the bucket that are documents, `documents` in the index, and some keys of each difference."""

    objects: int = 0
    documents: int = 0
    differences: dict[Difference, int] = field(default_factory=lambda: dict.fromkeys(Difference, 0))
    examples: dict[Difference, list[str]] = field(default_factory=lambda: {d: [] for d in Difference})

    @property
    def equal(self) -> bool:
        return not any(self.differences.values())

    def add(self, difference: Difference, key: str) -> None:
        self.differences[difference] += 1
        if len(self.examples[difference]) < EXAMPLES:
            self.examples[difference].append(key)


def compare(
    source: Source, index: ScanDocuments, name: str, keys: KeyFilter, counts: Counts
) -> Iterator[ManifestRow]:
    """The rows that would make the index `name` equal to the source, one a difference, in order of the keys.

    A page of either side is in memory. Objects that change meanwhile may be told: a worker looks at each once more.
    Raises UsageError where the source is not listed in order, TransientError.
    """
    listed = (
        meta
        for meta in source.objects.list(source.prefix)
        if not meta.key.startswith(source.leave_out or "\0")
    )
    documents = index.scan(name, source.query, [KEY, "etag", "last_modified"], KEY)
    for meta, document in side_by_side(ascending(listed, source.bucket), documents):
        key = meta.key if meta is not None else str(document[KEY]) if document is not None else ""
        wanted = meta is not None and keys.takes(key)
        counts.objects += wanted
        counts.documents += document is not None
        difference = _difference(meta, document, wanted=wanted)
        if difference is not None:
            counts.add(difference, key)
            yield _row(source.bucket, key, meta)


def _difference(
    meta: ObjectMeta | None, document: Mapping[str, Any] | None, *, wanted: bool
) -> Difference | None:
    if meta is None:
        return Difference.GHOST
    if document is None:
        return Difference.MISSING if wanted else None
    return None if _same(meta, document) else Difference.STALE


def _same(meta: ObjectMeta, document: Mapping[str, Any]) -> bool:
    """By ETag, and by the second: a GET's Last-Modified has no finer time (RFC 9110)."""
    modified = document.get("last_modified")
    if document.get("etag") != meta.etag or modified is None:
        return False
    return int(datetime.fromisoformat(str(modified)).timestamp()) == int(meta.last_modified.timestamp())


def _row(bucket: str, key: str, meta: ObjectMeta | None) -> ManifestRow:
    if meta is None:
        return ManifestRow(bucket, key, Action.DELETE)
    return ManifestRow(
        bucket,
        key,
        version_id=meta.version_id,
        size=meta.size,
        etag=meta.etag,
        event_time=int(meta.last_modified.timestamp() * 1000),
    )


def ascending(objects: Iterable[ObjectMeta], bucket: str) -> Iterator[ObjectMeta]:
    """Objects as they are, checked to come in bytewise order of their keys. Raises UsageError."""
    before = ""
    for meta in objects:
        if before and before.encode() >= meta.key.encode():
            raise UsageError(
                f"{bucket!r} is not listed in bytewise order ({meta.key!r} after {before!r}): S3's general purpose "
                "buckets are; directory buckets cannot be reconciled"
            )
        before = meta.key
        yield meta


def side_by_side(
    objects: Iterable[ObjectMeta], documents: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[ObjectMeta | None, Mapping[str, Any] | None]]:
    """Pairs of the same key; None where one side lacks it."""
    left, right = iter(objects), iter(documents)
    meta, document = next(left, None), next(right, None)
    while meta is not None or document is not None:
        ours = meta.key.encode() if meta is not None else None
        theirs = str(document[KEY]).encode() if document is not None else None
        if theirs is None or (ours is not None and ours < theirs):
            yield meta, None
            meta = next(left, None)
        elif ours is None or theirs < ours:
            yield None, document
            document = next(right, None)
        else:
            yield meta, document
            meta, document = next(left, None), next(right, None)
