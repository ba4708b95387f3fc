"""Reading back what a run should have left in the index, before the run is called done."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from batchjob.ports import Get, ReadDocuments, StoredDocument
from batchjob.records import UNSEEN_VERSION, FinalState
from batchjob.reduce.bulk import Operation, split_operations
from batchjob.reduce.receipts import Item, in_order, read_output
from batchjob.reduce.retrying import Patience

IDS_A_REQUEST = 2000
REQUESTS_AT_ONCE = 4
WRITTEN = (FinalState.INDEXED, FinalState.DELETED, FinalState.FAILED)
BODIES_SAMPLED = 16
"""One body of so many is compared with what the index holds."""
DOCUMENTS_A_BODY = 10
NOT_STORED_AS_SENT = ("embedding",)
"""OpenSearch rebuilds vectors from its own copy, in single precision."""


def missing_documents(index: ReadDocuments, name: str, outcomes: pa.Table, patience: Patience) -> list[str]:
    """Keys whose observation is not in the index, nor a later one. `outcomes` are rows of OUTCOME_SCHEMA.

    A row that was given up since it killed its shard has no document.
    """
    ended = pc.is_in(outcomes["state"], pa.array([state.value for state in WRITTEN]))
    has_document = pc.or_(pc.is_valid(outcomes["part"]), pc.is_valid(outcomes["observed_at"]))
    written = outcomes.filter(pc.and_(ended, has_document))
    versions = pc.fill_null(written["observed_at"], UNSEEN_VERSION)
    ids, wanted, keys = (column.to_pylist() for column in (written["doc_id"], versions, written["key"]))
    stored = stored_versions(index, name, patience, ids)
    return [key for one, version, key in zip(ids, wanted, keys, strict=True) if stored.get(one, 0) < version]


def stored_versions(
    index: ReadDocuments, name: str, patience: Patience, ids: Sequence[str]
) -> dict[str, int]:
    """The time of the observation that each of the documents was written by (ms), by id."""

    def found(start: int) -> Mapping[str, int]:
        return patience.call(lambda: index.versions(name, ids[start : start + IDS_A_REQUEST]))

    stored: dict[str, int] = {}
    for some in in_order(found, range(0, len(ids), IDS_A_REQUEST), REQUESTS_AT_ONCE):
        stored |= some
    return stored


def altered_documents(
    store: Get, index: ReadDocuments, name: str, items: Sequence[Item], patience: Patience
) -> list[str]:
    """Ids of documents that the index holds otherwise than they were sent, of a sample.

    A server that turned requests away under load may have mixed up what others sent (OpenSearch issue 20724).
    """
    return [
        found
        for item in _sampled(items)
        for found in _altered(index, name, split_operations(read_output(store, item.output)), patience)
    ]


def _sampled(items: Sequence[Item]) -> Sequence[Item]:
    """Every sixteenth body, and two at least."""
    return items[:: max(1, min(BODIES_SAMPLED, len(items) // 2))]


def _altered(
    index: ReadDocuments, name: str, operations: Sequence[Operation], patience: Patience
) -> Iterator[str]:
    chosen = operations[:: -(-len(operations) // DOCUMENTS_A_BODY)] if operations else []
    stored = patience.call(lambda: index.documents(name, [one.doc_id for one in chosen], ["*"]))
    return (one.doc_id for one in chosen if _differs(one, stored.get(one.doc_id)))


def _differs(sent: Operation, found: StoredDocument | None) -> bool:
    """What is missing, or of another version, was looked for before: it may have been refused, or be a later one."""
    if found is None or found.version != sent.version:
        return False
    return _comparable(_parsed(sent.document)) != _comparable(found.source)


def _parsed(document: bytes) -> Any:
    """As the server takes it: with lone surrogates, which orjson refuses."""
    try:
        return orjson.loads(document)
    except ValueError:
        return json.loads(document.decode("utf-8", "surrogatepass"))


def _comparable(document: Any) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in NOT_STORED_AS_SENT}
