"""What people ask is answered with file, page and snippet, within the filters."""

import gzip
from typing import Any

import pytest

from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.layout import doc_id
from batchjob.operate.search import Filters, Hit, find, plain
from batchjob.process.document import bulk_lines
from batchjob.reduce.mapping import first_index, index_body
from tests.support.command import batchjob, environment

LONG = "long.pdf"
FILLER = "検査成績書は毎月末までに提出しなければならない。The gearbox housing is returned. "
ANSWER = "耐圧試験の合格証はここにだけ綴じてある。"


def filled(index: OpenSearchIndex, alias: str, documents: dict[str, dict[str, Any]]) -> None:
    body = index_body(alias, "f")
    body["settings"]["index"]["number_of_replicas"] = 0
    index.create(first_index(alias), body)
    lines = []
    for key, fields in documents.items():
        names = {"file_id": doc_id("b", key), "s3_key": key, "file_name": key.rpartition("/")[2]}
        lines.append(bulk_lines(names | fields, 1))
    assert index.bulk(alias, gzip.compress(b"".join(lines))) is None
    index.refresh(first_index(alias))


@pytest.fixture
def alias(server: OpenSearchIndex, index_name: str) -> str:
    pages = [f"{FILLER * 8}{number}" for number in range(1, 1001)]
    pages[989] += ANSWER
    content = "\f".join(pages)
    documents: dict[str, dict[str, Any]] = {
        LONG: {"content": content, "department": "audit", "file_ext": ".pdf", "last_modified": "2026-01-01"},
        "sales/misread.tif": {
            "content": "表紙\f配送センタ一の合恪証は別冊 に綴じ てある",
            "department": "sales",
            "file_ext": ".tif",
            "last_modified": "2026-06-01",
        },
        "合格証.pdf": {"content": "三月の見積と請求", "file_ext": ".pdf", "last_modified": "2026-03-01"},
        "price.pdf": {"content": "RT-106 540 pieces, 59,900 each\f東京の話。大阪の請求", "file_ext": ".pdf"},
    }
    filled(server, index_name, documents)
    return index_name


def first(index: OpenSearchIndex, alias: str, query: str, filters: Filters | None = None) -> Hit:
    return find(index, alias, query, 3, filters or Filters()).hits[0]


def test_a_hit_tells_page_and_snippet_wherever_it_is(server: OpenSearchIndex, alias: str) -> None:
    hit = first(server, alias, "合格証はここにだけ")
    assert (hit.s3_key, hit.page) == (LONG, 990)
    assert ANSWER in plain(hit.snippet)
    assert "\ue000合格証はここにだけ\ue001" in hit.snippet
    misread = first(server, alias, "合格証は別冊に綴じてある")
    assert (misread.s3_key, misread.page) == ("sales/misread.tif", 2)
    assert "合恪証は別冊 に綴じ てある" in plain(misread.snippet)
    cut_off = first(server, alias, "T-106 54")
    assert (cut_off.s3_key, cut_off.page) == ("price.pdf", 1)
    apart = first(server, alias, "東京 請求")
    assert (apart.s3_key, apart.page) == ("price.pdf", 2)


def test_a_file_is_found_by_its_name(server: OpenSearchIndex, alias: str) -> None:
    assert first(server, alias, "合格証.pdf").s3_key == "合格証.pdf"
    assert first(server, alias, "misread").s3_key == "sales/misread.tif"


def test_filters_leave_out(server: OpenSearchIndex, alias: str) -> None:
    def keys(filters: Filters) -> set[str]:
        return {hit.s3_key for hit in find(server, alias, "合格証", 10, filters).hits}

    assert keys(Filters()) == {LONG, "合格証.pdf"}
    assert keys(Filters(department="audit")) == {LONG}
    assert keys(Filters(extension=".pdf")) == {LONG, "合格証.pdf"}
    assert keys(Filters(extension=".pdf", since=1_770_000_000_000)) == {"合格証.pdf"}
    assert keys(Filters(department="nobody")) == set()


def test_the_command_takes_the_filters(alias: str, opensearch_url: str) -> None:
    env = environment(index=alias, opensearch_url=opensearch_url)
    found = batchjob("search", "合格証", "--ext", "PDF", "--since", "2026-02-01", "--json", env=env)
    assert [hit["s3_key"] for hit in found.answer["hits"]] == ["合格証.pdf"]
