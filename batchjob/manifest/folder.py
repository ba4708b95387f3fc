"""A manifest of the files below a folder."""

from collections.abc import Iterator

from batchjob.ports import List
from batchjob.records import ManifestRow

SUFFIXES = (".pdf", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".xdw", ".xbd")
"""What counts as a document by its name; everything else in a folder or bucket is passed over."""


def is_document(key: str) -> bool:
    return key.lower().endswith(SUFFIXES)


def rows_from_listing(bucket: str, source: List, prefix: str = "") -> Iterator[ManifestRow]:
    """A row for each document that the source lists."""
    for meta in source.list(prefix):
        if is_document(meta.key):
            yield ManifestRow(bucket, meta.key, size=meta.size, etag=meta.etag, version_id=meta.version_id)
