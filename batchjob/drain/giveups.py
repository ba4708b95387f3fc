"""Rows that were given up after their last attempt: what they are, and their way back into the inbox."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from batchjob import layout
from batchjob.errors import UsageError
from batchjob.ports import CreateOnce, Delete, Get, List, read_or_none
from batchjob.records import GivenUp, ManifestRow, manifest_row, manifest_to_parquet
from batchjob.runs import parse_record


class QuarantineStore(Get, List, Protocol):
    """The verbs for looking at what was given up."""


class RetryStore(Get, List, CreateOnce, Delete, Protocol):
    """The verbs for trying it again."""


def row_of(found: GivenUp) -> ManifestRow:
    """The row as it was tried last."""
    return manifest_row(found.row)


def given_up(store: QuarantineStore, damaged: list[UsageError]) -> Iterator[GivenUp]:
    """Every row that was given up, and that no later run could read; `damaged` gets an error for each other record.

    Raises TransientError.
    """
    for meta in store.list(layout.QUARANTINED_ROWS):
        data = read_or_none(store, meta.key)
        if data is not None:
            try:
                yield parse_record(GivenUp, meta.key, data)
            except UsageError as error:
                damaged.append(error)


def names_of(found: GivenUp) -> set[str]:
    """What a row may be called by."""
    row = row_of(found)
    place = row.bucket if ":" in row.bucket else f"s3://{row.bucket}"
    return {row.key, f"{place}/{row.key}", layout.doc_id(row.bucket, row.key)}


def retry(store: RetryStore, chosen: Sequence[GivenUp], writer: str) -> str | None:
    """Puts rows into the inbox for a first attempt, and takes them out of quarantine; returns the segment.

    A crash between leaves rows in both, which is harmless. Raises TransientError.
    """
    if not chosen:
        return None
    rows = [replace(row_of(found), attempt=1, not_before=None, cost=0.0) for found in chosen]
    segment = layout.segment(f"again-{writer}")
    store.create_once(segment, manifest_to_parquet(rows))
    for row in rows:
        store.delete(layout.quarantined_row(layout.doc_id(row.bucket, row.key)))
    return segment
