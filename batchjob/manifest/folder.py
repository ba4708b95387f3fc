"""A manifest of the files below a folder."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchjob.ports import List
from batchjob.records import ManifestRow
from batchjob.settings import SUFFIXES


def is_document(key: str, suffixes: tuple[str, ...] = SUFFIXES) -> bool:
    return key.lower().endswith(suffixes)


@dataclass(frozen=True, slots=True)
class Listing:
    """The documents that a source lists, and how many other files it lists."""

    rows: list[ManifestRow]
    passed_over: int


def read_listing(
    bucket: str, source: List, leave_out: Sequence[str] = (), suffixes: tuple[str, ...] = SUFFIXES
) -> Listing:
    """A row for each document that the source lists, save those below the folders `leave_out` (with a slash).

    `suffixes`, in lower case, are what documents end with.
    """
    rows = []
    passed_over = 0
    for meta in source.list():
        if meta.key.startswith(tuple(leave_out)):
            continue
        if is_document(meta.key, suffixes):
            rows.append(
                ManifestRow(
                    bucket,
                    meta.key,
                    size=meta.size,
                    etag=meta.etag,
                    version_id=meta.version_id,
                    event_time=int(meta.last_modified.timestamp() * 1000),
                )
            )
        else:
            passed_over += 1
    return Listing(rows, passed_over)
