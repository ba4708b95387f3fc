"""What must hold before searches are sent to the new index."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from batchjob.ports import Store
from batchjob.records import FinalState
from batchjob.reduce.mapping import HIDE_TOMBSTONES
from batchjob.reindex.indexes import ReindexIndex
from batchjob.reindex.rounds import summaries
from batchjob.reindex.state import Reindex

FAILED: dict[str, Any] = {"term": {"extraction.status": "failed"}}
PARTIAL: dict[str, Any] = {"term": {"extraction.status": "partial"}}
WITH_TEXT: dict[str, Any] = {"range": {"content_length": {"gt": 0}}}
PAGE = 500
"""Documents that are compared at a time."""
SHOWN = 3
SHORT: dict[str, Any] = {"range": {"content_length": {"gt": 0, "lte": 100_000}}}
"""Texts that are sampled: whole ones come with the answer."""
SAMPLE = 40
"""Documents of the old index whose own words are asked of both."""
SAMPLES_LOST = 0.1
"""Share of these that may no longer answer: another OCR engine reads some words otherwise."""
FEW = 10
"""Differences in the number of documents that never stop a swap: single ones come and go."""
WORDS = slice(20, 32)
"""The characters of a sampled text that are asked as a phrase."""

Answers = Callable[[str, str], int]
"""How many documents an index or alias finds for a query."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that was looked at; `told` gives its figures."""

    name: str
    passed: bool
    told: str


@dataclass(frozen=True, slots=True)
class Limits:
    """`tolerance`: share by which counts may differ; `probes`: queries that must go on to be answered."""

    tolerance: float
    probes: tuple[str, ...] = ()


def check_gates(
    state: Reindex, store: Store, index: ReindexIndex, answers: Answers, limits: Limits
) -> list[Gate]:
    """Looks at the new index, refreshed, beside the old one. Raises TransientError."""
    gates = [_loaded(state, store, index)]
    if state.old is None:
        return gates
    documents = index.count(state.alias)
    allowed = int(documents * limits.tolerance)
    gates += [
        _close(documents, index.count(state.building), allowed),
        _no_more("documents that failed", FAILED, state, index, allowed),
        _no_more("documents read in part", PARTIAL, state, index, allowed),
        _texts_kept(index, state, allowed),
    ]
    given = _ask(limits.probes, state, answers)
    gates.append(Gate("probe queries", not given, f"{len(limits.probes)} asked, without answer now: {given}"))
    words = _sampled_words(index, state.alias)
    lost = _ask(words, state, answers)
    passed = len(lost) <= max(1, int(len(words) * SAMPLES_LOST))
    gates.append(
        Gate("words of old documents", passed, f"{len(words)} asked, {len(lost)} without answer: {lost[:3]}")
    )
    return gates


def _loaded(state: Reindex, store: Store, index: ReindexIndex) -> Gate:
    """Everything that the first round wrote is there, tombstones too."""
    written = (FinalState.INDEXED, FinalState.DELETED, FinalState.FAILED)
    expected = sum(found.states[name] for found in summaries(store, state.rounds[0]) for name in written)
    there = index.count(state.new)
    return Gate("loaded documents", there >= expected, f"{there} there, {expected} were loaded")


def _close(old: int, new: int, allowed: int) -> Gate:
    allowed = max(min(FEW, old // FEW), allowed)
    return Gate("documents", abs(old - new) <= allowed, f"{old} before, {new} now, {allowed} may differ")


def _no_more(name: str, query: Mapping[str, Any], state: Reindex, index: ReindexIndex, allowed: int) -> Gate:
    old, new = index.count(state.alias, query), index.count(state.building, query)
    return Gate(name, new <= old + allowed, f"{old} before, {new} now, {allowed} more are allowed")


def _texts_kept(index: ReindexIndex, state: Reindex, allowed: int) -> Gate:
    """Documents without text of which the old index has the text, of the same ETag."""
    lost = list(islice(_lost(index, state), allowed + 1))
    more = "" if len(lost) <= allowed else " or more"
    names = f" ({', '.join(lost[:SHOWN])})" if lost else ""
    told = f"{len(lost)}{more} lost theirs{names}, {allowed} may"
    return Gate("texts of documents", len(lost) <= allowed, told)


def _lost(index: ReindexIndex, state: Reindex) -> Iterator[str]:
    for hits in _pages(index, state.building):
        found = {hit["_id"]: hit["_source"] for hit in hits}
        stored = index.documents(str(state.old), [*found], ["etag", "content_length"])
        for name, source in found.items():
            before = stored[name].source if name in stored else {}
            if before.get("content_length") and before.get("etag") == source.get("etag", before.get("etag")):
                yield str(source["s3_key"])


def _pages(index: ReindexIndex, alias: str) -> Iterator[list[Mapping[str, Any]]]:
    """All documents without text, some at a time."""
    body: dict[str, Any] = {
        "size": PAGE,
        "_source": ["s3_key", "etag"],
        "query": {"bool": {"must_not": [WITH_TEXT]}},
        "sort": [{"file_id": "asc"}],
    }
    while hits := index.search(alias, body)["hits"]["hits"]:
        yield hits
        body["search_after"] = hits[-1]["sort"]


def _ask(queries: Sequence[str], state: Reindex, answers: Answers) -> list[str]:
    """Those that the old index answers and the new one does not."""
    return [query for query in queries if answers(state.alias, query) and not answers(state.building, query)]


def _sampled_words(index: ReindexIndex, alias: str) -> list[str]:
    """A few characters out of each of some documents, chosen at random."""
    body = {
        "size": SAMPLE,
        "_source": ["content"],
        "query": {
            "function_score": {
                "query": {"bool": {"filter": [HIDE_TOMBSTONES, SHORT]}},
                "random_score": {},
            }
        },
    }
    hits = index.search(alias, body)["hits"]["hits"]
    return [words for hit in hits if (words := _some_words(str(hit["_source"].get("content", ""))))]


def _some_words(content: str) -> str:
    """Short texts give what they have; a cut word is left out where spaces tell."""
    text = " ".join(content.split())
    piece = text[WORDS] if len(text) >= WORDS.stop else text[: WORDS.stop]
    whole = piece.partition(" ")[2].rpartition(" ")[0] if piece.count(" ") > 1 else piece
    return whole.strip()
