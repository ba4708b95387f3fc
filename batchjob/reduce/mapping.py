"""The index: mapping, analysis, alias filter; created before the first run loads into it."""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from batchjob.errors import UsageError
from batchjob.ports import ManageIndex

MAPPING_VERSION = 1
EMBEDDING_DIMENSION = 512
TEXT_LIMIT_FOR_KEYWORDS = 1024
REPLICAS = 1
MOST_TOLD = 5
"""Differences that an error names."""
MOST_SHOWN = 120

HIDE_TOMBSTONES: dict[str, Any] = {"bool": {"must_not": [{"exists": {"field": "deleted_at"}}]}}
"""What the alias shows: everything but the tombstones of deleted objects."""

_KEYWORD: dict[str, Any] = {"type": "keyword", "ignore_above": TEXT_LIMIT_FOR_KEYWORDS}
_DATE: dict[str, Any] = {"type": "date"}
_LONG: dict[str, Any] = {"type": "long"}
_FLOAT: dict[str, Any] = {"type": "float"}

ANALYSIS: dict[str, Any] = {
    "char_filter": {
        "name_separators": {
            "type": "pattern_replace",
            "pattern": "[_.+%=@#~()\\[\\]{}（）【】「」・-]",
            "replacement": " ",
        }
    },
    "tokenizer": {"japanese": {"type": "kuromoji_tokenizer", "mode": "search"}},
    "analyzer": {
        "japanese": {
            "type": "custom",
            "tokenizer": "japanese",
            "filter": [
                "kuromoji_baseform",
                "kuromoji_part_of_speech",
                "cjk_width",
                "lowercase",
                "kuromoji_stemmer",
            ],
        },
        "bigram": {
            "type": "custom",
            "tokenizer": "standard",
            "filter": ["cjk_width", "lowercase", "cjk_bigram"],
        },
        "name": {
            "type": "custom",
            "char_filter": ["name_separators"],
            "tokenizer": "standard",
            "filter": ["cjk_width", "lowercase", "cjk_bigram"],
        },
    },
}
"""`japanese` finds words, `bigram` what segmentation or OCR breaks, `name` parts of file names."""


def _searchable(analyzer: str, **subfields: Any) -> dict[str, Any]:
    return {"type": "text", "analyzer": analyzer, "index_options": "offsets", "fields": subfields}


def _text_field(analyzer: str) -> dict[str, Any]:
    return {"type": "text", "analyzer": analyzer, "index_options": "offsets"}


KEYWORD_FIELDS = (
    *("file_id", "bucket", "file_ext", "mime_type", "etag", "version_id", "content_sha256", "fingerprint"),
    *("doc_type", "lang", "thumbnail_url", "department", "project", "tags", "run_id", "embedding_status"),
)

PROPERTIES: dict[str, Any] = {
    **dict.fromkeys(KEYWORD_FIELDS, _KEYWORD),
    "s3_key": _searchable("name", keyword=_KEYWORD),
    "file_name": _searchable("name", keyword=_KEYWORD),
    "file_path": _searchable("name", keyword=_KEYWORD),
    "title": _searchable("japanese", bigram=_text_field("bigram")),
    "author": _searchable("japanese", keyword=_KEYWORD),
    "content": _searchable("japanese", bigram=_text_field("bigram")),
    **dict.fromkeys(("last_modified", "observed_at", "indexed_at", "deleted_at"), _DATE),
    **dict.fromkeys(("size", "truncated", "content_length", "page_count"), _LONG),
    "embedding": {
        "type": "knn_vector",
        "dimension": EMBEDDING_DIMENSION,
        "method": {
            "name": "hnsw",
            "engine": "lucene",
            "space_type": "cosinesimil",
            "parameters": {"m": 16, "ef_construction": 128},
        },
    },
    "extraction": {
        "properties": {
            **dict.fromkeys(("status", "method", "engine"), _KEYWORD),
            "ocr_pages": _LONG,
            "confidence": _FLOAT,
            "seconds": _FLOAT,
            "error": {"properties": {"category": _KEYWORD, "message": _text_field("bigram")}},
        }
    },
}  # fmt: skip


def first_index(alias: str) -> str:
    return f"{alias}-000001"


def index_body(
    alias: str, fingerprint: str, dictionary: Sequence[str] = (), *, icu: bool = False
) -> dict[str, Any]:
    """What PUT /<index> takes: 3 shards and 1 replica, as the system that this one replaces had.

    `dictionary`: rules of Kuromoji's user dictionary. `icu`: text is folded by the ICU plugin before it is cut into
    words (㈱ is found as (株), ① as 1).
    """
    return {
        "settings": {
            "index": {"number_of_shards": 3, "number_of_replicas": REPLICAS, "knn": True},
            "analysis": analysis(dictionary, icu=icu),
        },
        "mappings": {
            "dynamic": "strict",
            "_meta": {**_filled_by(fingerprint), "icu": icu},
            "properties": PROPERTIES,
        },
        "aliases": {alias: {"filter": HIDE_TOMBSTONES}},
    }


def analysis(dictionary: Sequence[str] = (), *, icu: bool = False) -> dict[str, Any]:
    """The analysers, with company names that Kuromoji must not cut, and ICU's folding where it is installed."""
    made = copy.deepcopy(ANALYSIS)
    if dictionary:
        made["tokenizer"]["japanese"]["user_dictionary_rules"] = list(dictionary)
    if icu:
        for analyzer in made["analyzer"].values():
            analyzer["char_filter"] = ["icu_normalizer", *analyzer.get("char_filter", [])]
    return made


def _filled_by(fingerprint: str) -> dict[str, Any]:
    return {"extraction": fingerprint, "mapping": MAPPING_VERSION}


def ensure_index(
    index: ManageIndex, alias: str, fingerprint: str, dictionary: Sequence[str] = (), *, create: bool = True
) -> str:
    """The index behind `alias`, created where there is none. Raises UsageError (filled by other settings, drift)."""
    name = index.resolve(alias)
    if name is None and not create:
        raise UsageError(
            f"no alias {alias!r}: the re-index that this run is of was abandoned, or has swapped"
        )
    if name is None:
        index.create(first_index(alias), index_body(alias, fingerprint, dictionary, icu=index.normalises()))
        name = index.resolve(alias)
        if name is None:
            raise UsageError(
                f"index {first_index(alias)!r} exists without the alias {alias!r}: delete that index, or choose "
                "another alias with --index"
            )
    if index.alias_filter(alias) != HIDE_TOMBSTONES:
        raise UsageError(
            f"alias {alias!r} would show deleted documents: give it the filter {json.dumps(HIDE_TOMBSTONES)}"
        )
    found = index.structure(name)
    check_meta(name, found["mappings"].get("_meta", {}), fingerprint)
    check_drift(name, found, dictionary)
    return name


def check_meta(name: str, meta: Mapping[str, Any], fingerprint: str) -> None:
    """Invariant 10: an index says what filled it, and only the same may add to it. Raises UsageError."""
    wanted = _filled_by(fingerprint)
    found = {key: meta.get(key) for key in wanted}
    if found != wanted:
        raise UsageError(
            f"index {name!r} was filled under {found}, this run is under {wanted}: use the settings and the image of "
            "the index, or fill a new one: `batchjob reindex PLACE`, or --index NAME for another alias. A run of "
            "before a re-index is processed anew by `batchjob reindex`"
        )


def check_drift(name: str, structure: Mapping[str, Any], dictionary: Sequence[str] = ()) -> None:
    """Raises UsageError that names the analysers and fields that differ from those of this version."""
    found = drift(structure, dictionary)
    if found:
        more = f", and {len(found) - MOST_TOLD} more" if len(found) > MOST_TOLD else ""
        raise UsageError(
            f"index {name!r} is built otherwise than this version builds it ({'; '.join(found[:MOST_TOLD])}{more}): "
            "what is there cannot be changed, so fill a new index with `batchjob reindex PLACE`"
        )


def drift(structure: Mapping[str, Any], dictionary: Sequence[str] = ()) -> list[str]:
    """How an index differs from what `index_body` makes, a phrase a difference; more fields are no difference."""
    mappings, settings = structure["mappings"], structure["settings"]["index"]
    icu = bool(mappings.get("_meta", {}).get("icu"))
    body = index_body("", "", dictionary, icu=icu)
    wanted, found = body["settings"]["analysis"], settings.get("analysis", {})
    return [
        *_differences("", wanted, found),
        *(f"{name} is not wanted" for name in _names(found) - _names(wanted)),
        *_differences("field ", _fields(PROPERTIES), _fields(mappings.get("properties", {}))),
    ]


def _names(told: Mapping[str, Any], before: str = "") -> set[str]:
    """All settings by their whole name."""
    found = set()
    for name, value in told.items():
        found |= _names(value, f"{before}{name}.") if isinstance(value, Mapping) else {before + name}
    return found


def _fields(properties: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Fields and subfields by their whole name."""
    found: dict[str, Any] = {}
    for name, told in properties.items():
        inner = {**told.get("properties", {}), **told.get("fields", {})}
        own = {key: value for key, value in told.items() if key not in ("properties", "fields")}
        if own:
            found[before + name] = own
        found |= _fields(inner, f"{before}{name}.")
    return found


def _differences(before: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    for name, value in wanted.items():
        where = f"{before}{name}"
        if name not in found:
            yield f"{where} is missing"
        elif isinstance(value, Mapping) and isinstance(found[name], Mapping):
            yield from _differences(f"{where}.", value, found[name])
        elif _text(value) != _text(found[name]):
            yield f"{where} is {_short(found[name])}, not {_short(value)}"


def _text(value: Any) -> Any:
    """Settings come back as text."""
    if isinstance(value, list):
        return [str(part) for part in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"
