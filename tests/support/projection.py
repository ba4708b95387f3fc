"""The canonical projection: what must be equal for two indexes, or two runs' outcomes, to be "the same"."""

from typing import Any

from batchjob.ports import Search
from batchjob.records import Outcome

TIMES_AND_PLACES = ("run_id", "indexed_at", "observed_at", "last_modified", "thumbnail_url", "etag")
MOST_DOCUMENTS = 10_000


def index_projection(index: Search, name: str) -> dict[str, Any]:
    """Every document behind an index name, tombstones too, without run id, times, versions and places."""
    answer = index.search(name, {"query": {"match_all": {}}, "size": MOST_DOCUMENTS})
    assert answer["hits"]["total"]["value"] < MOST_DOCUMENTS
    return {hit["_id"]: document_projection(hit["_source"]) for hit in answer["hits"]["hits"]}


def document_projection(source: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in source.items() if name not in TIMES_AND_PLACES}
    if "deleted_at" in kept:
        kept["deleted_at"] = "some time"
    if "extraction" in kept:
        kept["extraction"] = {name: value for name, value in kept["extraction"].items() if name != "seconds"}
    return kept


def outcome_projection(outcome: Outcome) -> tuple[Any, ...]:
    return (
        *(outcome.doc_id, outcome.key, outcome.state, outcome.attempt, outcome.size, outcome.sha256),
        *(outcome.category, outcome.message, outcome.mime_type, outcome.method),
        *(outcome.page_count, outcome.ocr_pages, outcome.content_length),
    )
