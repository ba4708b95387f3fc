"""Search by meaning on a real node: neighbours, filters within the search for them, fusion, and another embedder."""

from gzip import compress
from typing import Any

import pytest

from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.enrich.embedding import embed_text
from batchjob.errors import UsageError
from batchjob.operate.search import Filters, Hit, find
from batchjob.operate.vector import find_both, find_near, fuse, query_vector
from batchjob.process.document import bulk_lines
from batchjob.records import run_fingerprint
from batchjob.reduce.mapping import check_meta, index_body
from tests.support.embedders import PairEmbedder
from tests.support.servers import unique_name

TEXTS = {
    "lease.pdf": "賃貸借契約の更新手続きについて",
    "pump.pdf": "Stop the pump before the cover is opened",
    "leave.pdf": "年次有給休暇の申請手続きについて",
}
EMBEDDER = PairEmbedder()


def keys(hits: list[Hit]) -> list[str]:
    return [hit.s3_key for hit in hits]


@pytest.fixture(scope="module")
def alias(opensearch_url: str) -> str:
    """An index with three documents, one without text and a tombstone."""
    alias = unique_name("meaning")
    index = OpenSearchIndex(opensearch_url)
    index.create(f"{alias}-000001", index_body(alias, run_fingerprint("f", EMBEDDER.identity)))
    documents: list[dict[str, Any]] = [
        {"s3_key": key, "content": text, "embedding": embed_text(text, EMBEDDER).vector, "department": key[0]}
        for key, text in TEXTS.items()
    ]
    documents += [{"s3_key": "blank.pdf", "content": "", "embedding_status": "no_text"}]
    documents += [{"s3_key": "gone.pdf", "deleted_at": "2026-01-01T00:00:00.000Z"}]
    body = b"".join(bulk_lines({"file_id": d["s3_key"], "file_name": d["s3_key"], **d}, 1) for d in documents)
    assert index.bulk(alias, compress(body)) is None
    index.refresh(alias)
    return alias


@pytest.fixture
def index(opensearch_url: str) -> OpenSearchIndex:
    return OpenSearchIndex(opensearch_url)


def test_the_nearest_come_first_and_what_has_no_vector_never(index: OpenSearchIndex, alias: str) -> None:
    vector = query_vector(index, alias, "契約の更新手続き", EMBEDDER)
    found = find_near(index, alias, vector, 10)

    assert keys(found.hits)[:2] == ["lease.pdf", "leave.pdf"]
    assert set(keys(found.hits)) == set(TEXTS)
    assert found.hits[0].snippet == TEXTS["lease.pdf"]


def test_filters_work_in_each_mode(index: OpenSearchIndex, alias: str) -> None:
    filters = Filters(department="p")
    vector = query_vector(index, alias, "契約の更新手続き", EMBEDDER)

    assert keys(find_near(index, alias, vector, 1, filters).hits) == ["pump.pdf"]
    assert keys(find(index, alias, "契約の更新手続き", 1, filters).hits) == []
    assert keys(find(index, alias, "pump", 1, filters).hits) == ["pump.pdf"]
    assert keys(find_both(index, alias, "契約の更新手続き", vector, 5, filters).hits) == ["pump.pdf"]


def test_both_find_what_one_alone_misses(index: OpenSearchIndex, alias: str) -> None:
    vector = query_vector(index, alias, "更新手続きの契約", EMBEDDER)
    found = find_both(index, alias, "更新手続きの契約", vector, 2)

    assert keys(found.hits) == ["lease.pdf", "leave.pdf"]
    assert found.hits[0].score > found.hits[1].score
    assert "\ue000" in found.hits[0].snippet


def test_fusion_adds_the_inverse_ranks() -> None:
    a, b, c = (Hit(name, name, 9.9, None, name) for name in "abc")

    fused = fuse([a, b], [b, c])

    assert keys(fused) == ["b", "a", "c"]
    assert [hit.score for hit in fused] == [pytest.approx(s) for s in (1 / 62 + 1 / 61, 1 / 61, 1 / 62)]
    assert fuse([], []) == []


def test_a_query_of_another_embedder_is_refused(index: OpenSearchIndex, alias: str) -> None:
    for other in (PairEmbedder("another model"), None):
        with pytest.raises(UsageError, match="BATCHJOB_EMBEDDER"):
            query_vector(index, alias, "query", other)
    with pytest.raises(UsageError, match="no word"):
        query_vector(index, alias, "😀", EMBEDDER)
    with pytest.raises(UsageError, match="no alias"):
        query_vector(index, unique_name(), "query", EMBEDDER)


def test_a_run_of_another_embedder_is_refused(index: OpenSearchIndex, alias: str) -> None:
    meta = index.meta(f"{alias}-000001")
    check_meta("name", meta, run_fingerprint("f", EMBEDDER.identity))
    for other in ("another model", None):
        with pytest.raises(UsageError, match="batchjob reindex PLACE"):
            check_meta("name", meta, run_fingerprint("f", other))


def test_an_index_of_before_embeddings_holds_none() -> None:
    check_meta("name", {"extraction": "f", "mapping": 1}, run_fingerprint("f", None))
