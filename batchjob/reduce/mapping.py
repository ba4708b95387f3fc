"""The index: mapping, analysis, alias filter; created before the first run loads into it."""

import json
from collections.abc import Mapping
from typing import Any

from batchjob.errors import UsageError
from batchjob.ports import ManageIndex

MAPPING_VERSION = 1
EMBEDDING_DIMENSION = 512
TEXT_LIMIT_FOR_KEYWORDS = 1024

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


def _text(analyzer: str) -> dict[str, Any]:
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
    "title": _searchable("japanese", bigram=_text("bigram")),
    "author": _searchable("japanese", keyword=_KEYWORD),
    "content": _searchable("japanese", bigram=_text("bigram")),
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
            "error": {"properties": {"category": _KEYWORD, "message": _text("bigram")}},
        }
    },
}  # fmt: skip


def first_index(alias: str) -> str:
    return f"{alias}-000001"


def index_body(alias: str, fingerprint: str) -> dict[str, Any]:
    """What PUT /<index> takes: 3 shards and 1 replica, as the system that this one replaces had."""
    return {
        "settings": {
            "index": {"number_of_shards": 3, "number_of_replicas": 1, "knn": True},
            "analysis": ANALYSIS,
        },
        "mappings": {
            "dynamic": "strict",
            "_meta": {"extraction": fingerprint, "mapping": MAPPING_VERSION},
            "properties": PROPERTIES,
        },
        "aliases": {alias: {"filter": HIDE_TOMBSTONES}},
    }


def ensure_index(index: ManageIndex, alias: str, fingerprint: str) -> str:
    """The index behind `alias`, created where there is none. Raises UsageError (filled by other settings)."""
    name = index.resolve(alias)
    if name is None:
        index.create(first_index(alias), index_body(alias, fingerprint))
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
    check_meta(name, index.meta(name), fingerprint)
    return name


def check_meta(name: str, meta: Mapping[str, Any], fingerprint: str) -> None:
    """Invariant 10: an index says what filled it, and only the same may add to it. Raises UsageError."""
    wanted = {"extraction": fingerprint, "mapping": MAPPING_VERSION}
    found = {key: meta.get(key) for key in wanted}
    if found != wanted:
        raise UsageError(
            f"index {name!r} was filled under {found}, this run is under {wanted}: use the settings of the index, or "
            "load into a new one with --index NAME"
        )
