"""Search by meaning: nearest vectors, alone or fused with full text, under the same filters."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from batchjob.enrich.embedding import embed_text
from batchjob.errors import UsageError
from batchjob.operate.search import FIELDS, NO_FILTERS, Answer, Filters, Found, Hit, find, texts_of
from batchjob.ports import Embedder, ManageIndex, Search

RANKED = 100
"""Hits of each kind that are fused, and neighbours that are looked for, at least."""
FUSION_K = 60
"""Weight of low ranks (Cormack, Clarke, Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank
learning methods", SIGIR 2009)."""


class VectorIndex(Search, ManageIndex, Protocol):
    """The verbs that search by meaning needs."""


def query_vector(index: ManageIndex, alias: str, query: str, embedder: Embedder | None) -> Sequence[float]:
    """The query as the index's embedder sees it. Raises UsageError (another embedder, no words), TransientError."""
    name = index.resolve(alias)
    if name is None:
        raise UsageError(f"no alias {alias!r}: index some documents first, or give --index")
    there, here = index.meta(name).get("embedder", "none"), embedder.identity if embedder else "none"
    if there != here or embedder is None:
        raise UsageError(
            f"index {name!r} holds vectors of {there!r}, this process makes those of {here!r}: set BATCHJOB_EMBEDDER "
            "to that of the index, search with --mode text, or fill a new index with `batchjob reindex PLACE`"
        )
    vector = embed_text(query, embedder).vector
    if vector is None:
        raise UsageError(f"{query!r} has no word whose meaning could be searched for")
    return vector


def find_near(
    index: Search,
    alias: str,
    vector: Sequence[float],
    size: int,
    filters: Filters = NO_FILTERS,
) -> Answer:
    """The `size` documents that mean nearly the same, among those that pass the filters.

    The filters are part of the search for neighbours, so that there are `size` of them where so many pass.
    """
    near: dict[str, Any] = {"vector": list(vector), "k": max(size, RANKED)}
    if clauses := filters.clauses():
        near["filter"] = {"bool": {"filter": clauses}}
    body = {"query": {"knn": {"embedding": near}}, "size": size, "_source": FIELDS}
    found = index.search(alias, body)["hits"]["hits"]
    texts = texts_of(index, alias, found, 0)
    hits = (
        Found(hit["_id"], hit["_source"], texts.get(hit["_id"], ""), float(hit["_score"]), None)
        for hit in found
    )
    return Answer(len(found), [hit.shown({}) for hit in hits])


def find_both(
    index: Search,
    alias: str,
    query: str,
    vector: Sequence[float],
    size: int,
    filters: Filters = NO_FILTERS,
) -> Answer:
    """Full text and neighbours, each ranked for itself, fused by rank. Raises TransientError, PermanentError."""
    ranked = max(size, RANKED)
    by_text = find(index, alias, query, ranked, filters).hits
    by_vector = find_near(index, alias, vector, ranked, filters).hits
    fused = fuse(by_text, by_vector)
    return Answer(len(fused), fused[:size])


def fuse(*rankings: Sequence[Hit]) -> list[Hit]:
    """Hits by the sum of 1 / (FUSION_K + rank), which becomes their score; shown as the first ranking has them."""
    scores: dict[str, float] = {}
    shown: dict[str, Hit] = {}
    for ranking in rankings:
        for rank, hit in enumerate(ranking, start=1):
            scores[hit.s3_key] = scores.get(hit.s3_key, 0.0) + 1 / (FUSION_K + rank)
            shown.setdefault(hit.s3_key, hit)
    best = sorted(scores, key=lambda key: -scores[key])
    return [replace(shown[key], score=scores[key]) for key in best]
