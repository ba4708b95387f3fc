"""Full-text search over the alias: which documents, on which page, in which words."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchjob.operate.nearness import Place, Query
from batchjob.ports import Search

HIT_START, HIT_END = "\ue000", "\ue001"
SNIPPET_CHARACTERS = 120
BEFORE_HIT = 40
"""Characters of a snippet before what was found."""
FIELDS = ["s3_key", "file_name", "content_length", "extraction.error"]
HIGHLIGHT = {
    "pre_tags": [HIT_START],
    "post_tags": [HIT_END],
    "fragment_size": SNIPPET_CHARACTERS,
    "number_of_fragments": 1,
    "fields": {"content": {}, "content.bigram": {}},
}
LOOKED_AT = 50
"""Documents whose text is looked at, though fewer be asked for."""
CHARACTERS_LOOKED_AT = 5_000_000
"""Of these texts together; those of the documents that were asked for are looked at however long they are."""
MOST_BIGRAMS = "2<67%"
"""One misread character takes two bigrams away. Of a short query all are wanted."""
APART = 0.2
"""What the score of a document counts in which the query stands nowhere; where it stands as it is, 1 more."""
NEAR = 0.6
"""Share of a query's bigrams in one place from which that is taken for the hit."""
BETWEEN_JAPANESE = re.compile("(?<=[\u3005-\u30ff\u3400-\u9fff])\\s+(?=[\u3005-\u30ff\u3400-\u9fff])")
"""Spaces that people and OCR put between kana and ideographs, where the text has none."""
FIRST_WORD = re.compile(r"^([0-9A-Za-z]+([.,'_:][0-9A-Za-z]+)*|\w(?=\W))\W*")
"""What may be the end of a longer word or number; a kana or ideograph alone is in the index only where it is alone.

(Unicode Standard Annex 29, word boundaries: which marks join letters or digits)
"""


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


@dataclass(frozen=True, slots=True)
class Filters:
    """Only documents of a department, of an extension (`.pdf`), or changed since a moment (ms)."""

    department: str | None = None
    extension: str | None = None
    since: int | None = None

    def clauses(self) -> list[dict[str, Any]]:
        terms = {"department": self.department, "file_ext": self.extension}
        found: list[dict[str, Any]] = [{"term": {name: value}} for name, value in terms.items() if value]
        if self.since is not None:
            found.append({"range": {"last_modified": {"gte": self.since, "format": "epoch_millis"}}})
        return found


NO_FILTERS = Filters()


@dataclass(frozen=True, slots=True)
class Found:
    """A hit as the server gave it, with its score after a look at its text, and the `place` where the query is."""

    doc_id: str
    source: Mapping[str, Any]
    content: str
    score: float
    place: Place | None

    def shown(self, marked: Mapping[str, Any]) -> Hit:
        """`marked`: what the server highlighted."""
        content = self.content
        page, snippet = _highlighted(marked, content)
        if self.place is not None:
            page, snippet = content.count("\f", 0, self.place.start) + 1, _around(content, self.place)
        return Hit(
            s3_key=self.source["s3_key"],
            file_name=self.source["file_name"],
            score=self.score,
            page=page,
            snippet=" ".join(snippet.split()) if snippet else _reason_or_beginning(self.source, content),
        )


def find(index: Search, alias: str, query: str, size: int, filters: Filters = NO_FILTERS) -> Answer:
    """The best `size` documents for a query. Raises TransientError, PermanentError.

    The server's best are looked at once more: a document that holds the query as it stands goes before one that holds
    as many of its characters here and there.
    """
    query = unicodedata.normalize("NFC", query)
    asked = _question(query, filters)
    body = {"query": asked, "size": max(size, LOOKED_AT), "track_total_hits": True, "_source": FIELDS}
    answer = index.search(alias, body)["hits"]
    texts, near = texts_of(index, alias, answer["hits"], size), Query(query)
    found = (_hit(hit, texts.get(hit["_id"], ""), near) for hit in answer["hits"])
    hits = sorted(found, key=lambda hit: -hit.score)[:size]
    return Answer(int(answer["total"]["value"]), _with_snippets(index, alias, asked, hits))


def texts_of(index: Search, alias: str, hits: Sequence[Mapping[str, Any]], size: int) -> Mapping[str, str]:
    """The texts of the hits: of as many as were asked for, and of more while they are not too long together."""
    wanted, characters = list[str](), 0
    for place, hit in enumerate(hits):
        characters += hit["_source"].get("content_length", 0)
        if place < size or characters <= CHARACTERS_LOOKED_AT:
            wanted.append(hit["_id"])
    if not wanted:
        return {}
    body = {"query": {"ids": {"values": wanted}}, "size": len(wanted), "_source": ["content"]}
    found = index.search(alias, body)["hits"]["hits"]
    return {hit["_id"]: str(hit["_source"].get("content", "")) for hit in found}


def _question(query: str, filters: Filters) -> dict[str, Any]:
    return {"bool": {"should": _ways_to_match(query), "minimum_should_match": 1, "filter": filters.clauses()}}


def _with_snippets(index: Search, alias: str, asked: Mapping[str, Any], hits: Sequence[Found]) -> list[Hit]:
    """Where words of the query stand apart, the server tells where they are."""
    apart = [hit.doc_id for hit in hits if hit.place is None]
    marked: dict[str, Any] = {}
    if apart:
        body = {
            "query": {"bool": {"must": [asked], "filter": [{"ids": {"values": apart}}]}},
            "size": len(apart),
            "_source": False,
            "highlight": HIGHLIGHT,
        }
        marked = {hit["_id"]: hit.get("highlight", {}) for hit in index.search(alias, body)["hits"]["hits"]}
    return [hit.shown(marked.get(hit.doc_id, {})) for hit in hits]


def _ways_to_match(query: str) -> list[dict[str, Any]]:
    """Words in any order, the phrase as it stands, as bigrams, without its inner spaces, and the file's name.

    Also the phrase with a word begun at its end, or cut off at its beginning, and most of its bigrams anywhere: what
    was copied from a page, and what OCR misread.
    """

    def phrase(field: str, boost: float) -> dict[str, Any]:
        return {"match_phrase": {field: {"query": query, "boost": boost}}}

    def words(field: str, boost: float) -> dict[str, Any]:
        return {"match": {field: {"query": query, "operator": "and", "boost": boost}}}

    squeezed = BETWEEN_JAPANESE.sub("", query)
    return [
        phrase("content", 4),
        phrase("content.bigram", 3),
        words("content", 1),
        phrase("title", 3),
        words("file_name", 8),
        phrase("file_path", 2),
        {"term": {"file_name.keyword": {"value": query, "boost": 20}}},
        {"match_phrase": {"content.bigram": squeezed}},
        {"match_phrase_prefix": {"content.bigram": {"query": squeezed, "boost": 2}}},
        {"match_phrase_prefix": {"content.bigram": {"query": FIRST_WORD.sub("", squeezed), "boost": 1}}},
        {"match": {"content.bigram": {"query": squeezed, "minimum_should_match": MOST_BIGRAMS}}},
    ]


def _hit(hit: Mapping[str, Any], content: str, query: Query) -> Found:
    place, named = query.nearest(content), query.nearest(str(hit["_source"]["file_name"]))
    share = max(found.share if found else 0.0 for found in (place, named))
    score = float(hit["_score"]) * (APART + share**4)
    near = place if place is not None and place.share >= NEAR else None
    return Found(str(hit["_id"]), hit["_source"], content, score, near)


def _around(content: str, place: Place) -> str:
    """A place with what stands about it on its page."""
    top = content.rfind("\f", 0, place.start) + 1
    bottom = content.find("\f", place.end)
    start = max(top, place.start - BEFORE_HIT)
    end = min(place.end + SNIPPET_CHARACTERS - BEFORE_HIT, bottom if bottom >= 0 else len(content))
    hit = f"{HIT_START}{content[place.start : place.end]}{HIT_END}"
    return f"{content[start : place.start]}{hit}{content[place.end : end]}"


def _highlighted(marked: Mapping[str, Any], content: str) -> tuple[int | None, str]:
    """Page and snippet where words of the query stand apart."""
    fragments = [*marked.get("content.bigram", []), *marked.get("content", [])]
    snippet = max(fragments, key=_marked_length, default="")
    return _page(content, snippet), snippet


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
