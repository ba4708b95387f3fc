"""Reading back what a run should have left in the index, before the run is called done."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from batchjob.ports import Get, ReadDocuments, StoredDocument
from batchjob.records import UNSEEN_VERSION, FinalState
from batchjob.reduce.bulk import Operation, split_operations
from batchjob.reduce.receipts import Item, read_output
from batchjob.reduce.retrying import Patience

IDS_A_REQUEST = 2000
WRITTEN = (FinalState.INDEXED, FinalState.DELETED, FinalState.FAILED)
BODIES_SAMPLED = 16
"""One body of so many is compared with what the index holds."""
DOCUMENTS_A_BODY = 10
NOT_STORED_AS_SENT = ("embedding",)
"""OpenSearch rebuilds vectors from its own copy, in single precision."""


def missing_documents(index: ReadDocuments, name: str, outcomes: pa.Table, patience: Patience) -> list[str]:
    """Keys whose observation is not in the index, nor a later one. `outcomes` are rows of OUTCOME_SCHEMA."""
    written = outcomes.filter(pc.is_in(outcomes["state"], pa.array([state.value for state in WRITTEN])))
    versions = pc.fill_null(written["observed_at"], UNSEEN_VERSION)
    missing = []
    for start in range(0, len(written), IDS_A_REQUEST):
        ids = written["doc_id"].slice(start, IDS_A_REQUEST).to_pylist()
        wanted = versions.slice(start, IDS_A_REQUEST).to_pylist()
        found = patience.call(lambda asked=ids: index.versions(name, asked))  # type: ignore[misc]
        places = zip(ids, wanted, strict=True)
        late = [start + place for place, (one, version) in enumerate(places) if found.get(one, 0) < version]
        missing += written["key"].take(pa.array(late, pa.int64())).to_pylist()
    return missing


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
