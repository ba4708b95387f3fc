"""Reading back what a run should have left in the index, before the run is called done."""

from collections.abc import Iterable, Sequence

from batchjob.ports import ReadDocuments, StoredDocument
from batchjob.records import FinalState, Outcome

IDS_A_REQUEST = 500
WRITTEN = (FinalState.INDEXED, FinalState.DELETED, FinalState.FAILED)


def missing_documents(index: ReadDocuments, name: str, outcomes: Iterable[Outcome]) -> list[str]:
    """Keys whose observation, or a later one, is not in the index, or is there with another object's hash."""
    written = [o for o in outcomes if o.state in WRITTEN and o.observed_at is not None]
    return [key for batch in _batched(written) for key in _missing(index, name, batch)]


def stored_versions(index: ReadDocuments, name: str, ids: Sequence[str]) -> dict[str, int]:
    """The time of the observation that each of the documents was written by (ms), by id."""
    return {
        key: found.version
        for start in range(0, len(ids), IDS_A_REQUEST)
        for key, found in index.documents(name, ids[start : start + IDS_A_REQUEST], ["file_id"]).items()
    }


def _missing(index: ReadDocuments, name: str, outcomes: Sequence[Outcome]) -> list[str]:
    stored = index.documents(name, [o.doc_id for o in outcomes], ["content_sha256"])
    return [outcome.key for outcome in outcomes if not _landed(outcome, stored.get(outcome.doc_id))]


def _landed(outcome: Outcome, found: StoredDocument | None) -> bool:
    if found is None or found.version < (outcome.observed_at or 0):
        return False
    return found.version > (outcome.observed_at or 0) or found.source.get("content_sha256") == outcome.sha256


def _batched(outcomes: Sequence[Outcome]) -> Iterable[Sequence[Outcome]]:
    return (outcomes[start : start + IDS_A_REQUEST] for start in range(0, len(outcomes), IDS_A_REQUEST))
