"""A manifest of the files below a folder."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchjob.ports import List
from batchjob.records import ManifestRow
from batchjob.settings import SUFFIXES


def is_document(key: str) -> bool:
    return key.lower().endswith(SUFFIXES)


@dataclass(frozen=True, slots=True)
class Listing:
    """The documents that a source lists, and how many other files it lists."""

    rows: list[ManifestRow]
    passed_over: int


def read_listing(bucket: str, source: List, leave_out: Sequence[str] = ()) -> Listing:
    """A row for each document that the source lists, save those below the folders `leave_out` (with a slash)."""
    rows = []
    passed_over = 0
    for meta in source.list():
        if meta.key.startswith(tuple(leave_out)):
            continue
        if is_document(meta.key):
            rows.append(
                ManifestRow(bucket, meta.key, size=meta.size, etag=meta.etag, version_id=meta.version_id)
            )
        else:
            passed_over += 1
    return Listing(rows, passed_over)
