"""From an observed object and its extraction to the lines of a bulk body."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import orjson

from batchjob.layout import doc_id
from batchjob.ports import ObjectMeta
from batchjob.records import Extraction, Failure, ManifestRow

KANA = re.compile("[\u3041-\u30ff\uff66-\uff9f]")
IDEOGRAPH = re.compile("[\u3400-\u9fff]")
MAX_PROPERTY = 1024
"""Characters kept of a title or an author's name: some PDFs carry megabytes there."""
LATIN = re.compile("[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Observation:
    """An object as it was seen: `observed_at` (ms) is the version of every write it decides."""

    row: ManifestRow
    meta: ObjectMeta
    observed_at: int
    sha256: str | None = None


def iso(ms: int) -> str:
    """Milliseconds since 1970 as OpenSearch's `strict_date_time`."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def language(text: str) -> str | None:
    """`ja`, `en` or None, by script: kana are Japanese alone, ideographs nearly so in these collections."""
    japanese = len(KANA.findall(text)) + len(IDEOGRAPH.findall(text))
    latin = len(LATIN.findall(text))
    if japanese * 5 > latin and japanese:
        return "ja"
    return "en" if latin else None


def cut_text(text: str, limit: int) -> tuple[str, int]:
    """A prefix of at most `limit` bytes, in UTF-8 and as a JSON string, and how many UTF-8 bytes were left out."""
    encoded = text.encode()
    room = limit
    while True:
        kept = encoded[:room].decode(errors="ignore")
        excess = len(orjson.dumps(kept)) - len('""') - limit
        if excess <= 0:
            return kept, len(encoded) - len(kept.encode())
        room = max(len(kept.encode()) - excess, 0)


def _row_fields(row: ManifestRow, run_id: str, indexed_at: int) -> dict[str, Any]:
    """What is known of an object without having seen it. Names are NFC: macOS writes them decomposed."""
    path = PurePosixPath(unicodedata.normalize("NFC", row.key))
    fields: dict[str, Any] = {
        "file_id": doc_id(row.bucket, row.key),
        "bucket": row.bucket,
        "s3_key": row.key,
        "file_name": path.name,
        "file_path": str(path.parent),
        "file_ext": path.suffix.lower(),
        "run_id": run_id,
        "indexed_at": iso(indexed_at),
        "tags": list(row.tags),
    }
    optional = {"department": row.department, "project": row.project, "doc_type": row.doc_type}
    return fields | {name: value for name, value in optional.items() if value is not None}


def _object_fields(seen: Observation, run_id: str, indexed_at: int) -> dict[str, Any]:
    fields = _row_fields(seen.row, run_id, indexed_at) | {
        "size": seen.meta.size,
        "etag": seen.meta.etag,
        "last_modified": seen.meta.last_modified.astimezone(UTC).isoformat(timespec="milliseconds"),
        "observed_at": iso(seen.observed_at),
    }
    optional = {"version_id": seen.meta.version_id, "content_sha256": seen.sha256}
    return fields | {name: value for name, value in optional.items() if value is not None}


def _extraction_fields(extraction: Extraction, seconds: float) -> dict[str, Any]:
    confidences = [page.confidence for page in extraction.pages if page.confidence is not None]
    fields: dict[str, Any] = {
        "status": extraction.status,
        "method": extraction_method(extraction),
        "ocr_pages": extraction.ocr_pages,
        "seconds": round(seconds, 3),
    }
    engines = sorted({page.engine for page in extraction.pages if page.engine})
    if engines:
        fields["engine"] = "+".join(engines)
    if confidences:
        fields["confidence"] = mean_confidence(extraction)
    problem = extraction.failure or next((page.error for page in extraction.pages if page.error), None)
    if problem:
        fields["error"] = {"category": str(problem.category), "message": problem.message}
    return fields


def extraction_method(extraction: Extraction) -> str:
    """The page methods that occur, joined by `+` in a fixed order: `text`, `ocr`, `text+ocr`, or `none`."""
    used = {part for page in extraction.pages for part in page.method.value.split("+")}
    return "+".join(name for name in ("text", "ocr") if name in used) or "none"


def mean_confidence(extraction: Extraction) -> float | None:
    """Mean over the recognised pages, 0–100."""
    values = [page.confidence for page in extraction.pages if page.confidence is not None]
    return round(sum(values) / len(values), 1) if values else None


def full_document(
    seen: Observation,
    extraction: Extraction,
    *,
    run_id: str,
    indexed_at: int,
    seconds: float,
    max_content_bytes: int,
    thumbnail_url: str | None,
) -> dict[str, Any]:
    """The document of an object with text (or with pages that have none)."""
    content, left_out = cut_text(extraction.text, max_content_bytes)
    document = _object_fields(seen, run_id, indexed_at) | {
        "mime_type": extraction.mime_type,
        "content": content,
        "content_length": len(content),
        "truncated": left_out,
        "page_count": extraction.page_count,
        "extraction": _extraction_fields(extraction, seconds),
    }
    optional = {
        "title": (extraction.title or "")[:MAX_PROPERTY],
        "author": (extraction.author or "")[:MAX_PROPERTY],
        "lang": language(content),
        "thumbnail_url": thumbnail_url,
    }
    return document | {name: value for name, value in optional.items() if value}


def failure_document(
    seen: Observation, failure: Failure, mime_type: str | None, *, run_id: str, indexed_at: int
) -> dict[str, Any]:
    """The metadata-only document of an object that cannot be read: found by its name, with its reason."""
    document = _object_fields(seen, run_id, indexed_at) | {"extraction": _failed(failure)}
    return document | ({"mime_type": mime_type} if mime_type else {})


def unseen_document(row: ManifestRow, failure: Failure, *, run_id: str, indexed_at: int) -> dict[str, Any]:
    """The document of an object that nobody could open: found by its name, with the reason."""
    return _row_fields(row, run_id, indexed_at) | {"extraction": _failed(failure)}


def _failed(failure: Failure) -> dict[str, Any]:
    error = {"category": str(failure.category), "message": failure.message}
    return {"status": "failed", "method": "none", "error": error}


def tombstone(row: ManifestRow, observed_at: int) -> dict[str, Any]:
    """What stays of a deleted object (invariant 3); the alias hides it."""
    return {"file_id": doc_id(row.bucket, row.key), "s3_key": row.key, "deleted_at": iso(observed_at)}


def bulk_lines(document: dict[str, Any], version: int) -> bytes:
    """An index operation for a body that names no index, under the external version `version` (ms)."""
    action = {"index": {"_id": document["file_id"], "version": version, "version_type": "external_gte"}}
    return orjson.dumps(action) + b"\n" + orjson.dumps(document) + b"\n"
