"""The index on a real node: what it finds, how it differs from what it should be, and what is said of that."""

from gzip import compress
from typing import Any

import pytest

from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.errors import UsageError
from batchjob.operate.search import find
from batchjob.reduce.mapping import ANALYSIS, check_drift, drift, ensure_index, index_body
from tests.support.servers import unique_name

RULES = ("蒼樹精機,蒼樹精機,ソウジュセイキ,カスタム名詞",)


@pytest.fixture
def index(opensearch_url: str) -> OpenSearchIndex:
    return OpenSearchIndex(opensearch_url)


def made(index: OpenSearchIndex, **changes: Any) -> str:
    """An index of this version, with other `properties`, `analyzer` or `dictionary`."""
    name = unique_name()
    body = index_body(f"{name}-alias", "f", changes.get("dictionary", ()), icu=True)
    body["mappings"]["properties"] = {
        field: value
        for field, value in (body["mappings"]["properties"] | changes.get("properties", {})).items()
        if value
    }
    body["settings"]["analysis"]["analyzer"] |= changes.get("analyzer", {})
    body["settings"]["index"]["number_of_replicas"] = 0
    index.create(name, body)
    return name


def test_what_was_made_just_now_has_no_drift(index: OpenSearchIndex) -> None:
    assert drift(index.structure(made(index))) == []
    assert drift(index.structure(made(index, dictionary=RULES)), RULES) == []


def test_drift_names_what_differs_and_what_to_do(index: OpenSearchIndex) -> None:
    other = ANALYSIS["analyzer"]["japanese"] | {"filter": ["lowercase"], "char_filter": ["icu_normalizer"]}
    name = made(
        index,
        properties={"title": {"type": "text"}, "lang": None, "more": {"type": "keyword"}},
        analyzer={"japanese": other},
    )
    with pytest.raises(UsageError) as caught:
        check_drift(name, index.structure(name))
    words = str(caught.value)
    assert 'analyzer.japanese.filter is ["lowercase"], not ["kuromoji_baseform"' in words
    assert "field lang is missing" in words
    assert "field title.analyzer is missing" in words
    assert "more" not in words
    assert "batchjob reindex PLACE" in words


def test_another_dictionary_is_drift_both_ways(index: OpenSearchIndex) -> None:
    with_rules, without = made(index, dictionary=RULES), made(index)
    assert drift(index.structure(with_rules)) == ["tokenizer.japanese.user_dictionary_rules is not wanted"]
    assert drift(index.structure(without), RULES) == ["tokenizer.japanese.user_dictionary_rules is missing"]


def test_a_run_is_refused_by_an_index_with_drift(index: OpenSearchIndex) -> None:
    name = made(index, properties={"lang": None})
    with pytest.raises(UsageError, match="field lang is missing"):
        ensure_index(index, f"{name}-alias", "f")
    with pytest.raises(UsageError, match="no alias"):
        ensure_index(index, f"{name}-building", "f", create=False)


def test_company_names_and_compatibility_characters_are_found(index: OpenSearchIndex) -> None:
    alias = unique_name()
    ensure_index(index, alias, "f", RULES)
    document = '{"file_id":"1","s3_key":"a.pdf","file_name":"a.pdf","content":"㈱蒼樹精機の見積書"}'
    body = f'{{"index":{{"_id":"1","version":1,"version_type":"external_gte"}}}}\n{document}\n'
    assert index.bulk(alias, compress(body.encode())) is None
    index.refresh(f"{alias}-000001")
    for query in ("蒼樹精機", "(株)蒼樹精機", "見積書"):
        assert find(index, alias, query, 1).total == 1, query
    words = {"analyzer": "japanese", "text": "蒼樹精機の"}
    tokens = index._ask("POST", f"/{alias}-000001/_analyze", body=words)["tokens"]
    assert tokens[0]["token"] == "蒼樹精機"
