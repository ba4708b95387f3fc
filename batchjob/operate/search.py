"""Full-text search over the alias: which documents, on which page, in which words."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchjob.ports import Search

HIT_START, HIT_END = "\ue000", "\ue001"
SNIPPET_CHARACTERS = 120
FIELDS_SHOWN = ["s3_key", "file_name", "content", "extraction.error"]
BETWEEN_JAPANESE = re.compile("(?<=[\u3005-\u30ff\u3400-\u9fff])\\s+(?=[\u3005-\u30ff\u3400-\u9fff])")
"""Spaces that people and OCR put between kana and ideographs, where the text has none."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that answers a query; `page` counts from 1, None where the hit is not in the text.

    `snippet` marks what was found with HIT_START and HIT_END.
    """

    s3_key: str
    file_name: str
    score: float
    page: int | None
    snippet: str


@dataclass(frozen=True, slots=True)
class Answer:
    total: int
    hits: list[Hit]


def find(
    index: Search, alias: str, query: str, size: int, filters: Sequence[Mapping[str, Any]] = ()
) -> Answer:
    """The best `size` documents for a query, of those that pass all `filters`, which are query clauses.

    Raises TransientError, PermanentError.
    """
    answer = index.search(alias, _request(unicodedata.normalize("NFC", query), size, filters))["hits"]
    return Answer(int(answer["total"]["value"]), [hit_of(hit) for hit in answer["hits"]])


def _request(query: str, size: int, filters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    ways = {"should": _ways_to_match(query), "minimum_should_match": 1}
    return {
        "query": {"bool": {**ways, "filter": list(filters)}},
        "size": size,
        "track_total_hits": True,
        "_source": FIELDS_SHOWN,
        "highlight": {
            "pre_tags": [HIT_START],
            "post_tags": [HIT_END],
            "fragment_size": SNIPPET_CHARACTERS,
            "number_of_fragments": 1,
            "fields": {"content": {}, "content.bigram": {}},
        },
    }


def _ways_to_match(query: str) -> list[dict[str, Any]]:
    """Words in any order, the phrase as it stands, as bigrams, without its inner spaces, and the file's name."""

    def phrase(field: str, boost: float) -> dict[str, Any]:
        return {"match_phrase": {field: {"query": query, "boost": boost}}}

    def words(field: str, boost: float) -> dict[str, Any]:
        return {"match": {field: {"query": query, "operator": "and", "boost": boost}}}

    return [
        phrase("content", 4),
        phrase("content.bigram", 3),
        words("content", 1),
        phrase("title", 3),
        words("file_name", 8),
        phrase("file_path", 2),
        {"term": {"file_name.keyword": {"value": query, "boost": 20}}},
        {"match_phrase": {"content.bigram": BETWEEN_JAPANESE.sub("", query)}},
    ]


def hit_of(hit: Mapping[str, Any]) -> Hit:
    """A hit of the server's answer, with FIELDS_SHOWN of the document."""
    source = hit["_source"]
    content = str(source.get("content", ""))
    marked = hit.get("highlight", {})
    fragments = [*marked.get("content.bigram", []), *marked.get("content", [])]
    snippet = max(fragments, key=_marked_length, default="")
    return Hit(
        s3_key=source["s3_key"],
        file_name=source["file_name"],
        score=float(hit["_score"]),
        page=_page(content, snippet),
        snippet=" ".join(snippet.split()) if snippet else _reason_or_beginning(source, content),
    )


def plain(snippet: str) -> str:
    """A snippet without its marks."""
    return snippet.replace(HIT_START, "").replace(HIT_END, "")


def _marked_length(fragment: str) -> int:
    """How much of a fragment is marked: the phrase as a whole beats one of its words elsewhere."""
    return sum(len(piece.partition(HIT_END)[0]) for piece in fragment.split(HIT_START)[1:])


def _page(content: str, snippet: str) -> int | None:
    if not snippet:
        return None
    before, _, _ = snippet.partition(HIT_START)
    start = content.find(plain(snippet))
    return content.count("\f", 0, start + len(before)) + 1 if start >= 0 else None


def _reason_or_beginning(source: Mapping[str, Any], content: str) -> str:
    error = source.get("extraction", {}).get("error")
    return (
        f"not read: {error['message']}"
        if error and not content
        else " ".join(content.split())[:SNIPPET_CHARACTERS]
    )
