"""One manifest row: look at the object as it is now, and say what the index should hold of it."""

import errno
import hashlib
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from batchjob import layout
from batchjob.errors import (
    AlreadyExistsError,
    FailureCategory,
    MachineError,
    ObjectMissingError,
    ObjectRefusedError,
    SourceMissingError,
    TransientError,
)
from batchjob.ports import Clock, CreateOnce, Get, Opened
from batchjob.process.cache import CacheStore, ContentCache, recall_content, remember_content
from batchjob.process.doctypes import typed, typed_fingerprint
from batchjob.process.document import (
    Observation,
    bulk_lines,
    extraction_method,
    failure_document,
    full_document,
    mean_confidence,
    tombstone,
    unseen_document,
)
from batchjob.process.extraction import cached_extraction, extract_file
from batchjob.process.ocrpool import OcrPool
from batchjob.records import (
    MAX_ATTEMPTS,
    UNSEEN_VERSION,
    Extraction,
    Failure,
    FinalState,
    ManifestRow,
    Outcome,
    PageMethod,
)
from batchjob.settings import Settings

CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a row is processed with. `source` opens a bucket; `thumbnail_url` turns a thumbnail's key into a link."""

    run_id: str
    fingerprint: str
    settings: Settings
    work: CacheStore
    thumbnails: CreateOnce
    thumbnail_url: Callable[[str], str]
    source: Callable[[str], Get]
    clock: Clock


@dataclass(frozen=True, slots=True)
class Processed:
    """A row's outcome, the bulk lines that go with it (none where nothing is written), and bytes read."""

    outcome: Outcome
    lines: bytes = b""
    bytes_read: int = 0
    cause: str = ""


def process_row(row: ManifestRow, around: Surroundings, scratch: Path, ocr: OcrPool) -> Processed:
    """Reconciles one row. A document's failure is data; raises only MachineError and the work store's errors."""
    started = time.monotonic()
    row = typed(row, around.settings)
    if row.key.endswith("/"):
        return Processed(_outcome(row, FinalState.SKIPPED, message="a folder's placeholder, no document"))
    try:
        opened = around.source(row.bucket).open(row.key)
    except ObjectMissingError as gone:
        lines = bulk_lines(tombstone(row, gone.observed_at), gone.observed_at)
        return Processed(_outcome(row, FinalState.DELETED, observed_at=gone.observed_at), lines)
    except ObjectRefusedError as error:
        return _unseen(row, Failure(FailureCategory.REFUSED, str(error)), around)
    except SourceMissingError as error:
        return _try_again(row, TransientError(str(error), cause="no_bucket"), around)
    except TransientError as error:
        return _try_again(row, error, around)
    with opened:
        done = _process_open(row, opened, around, scratch, ocr)
    return replace(done, outcome=replace(done.outcome, seconds=round(time.monotonic() - started, 3)))


def _process_open(
    row: ManifestRow, opened: Opened, around: Surroundings, scratch: Path, ocr: OcrPool
) -> Processed:
    seen = Observation(row, opened.meta, opened.observed_at)
    if opened.meta.size > around.settings.max_bytes:
        limit = around.settings.max_bytes
        failure = Failure(
            FailureCategory.TOO_LARGE,
            f"{opened.meta.size} bytes, over the limit of {limit}; raise BATCHJOB_MAX_BYTES to read it",
        )
        return _failed(seen, failure, None, around)
    sha256 = recall_content(around.work, row.bucket, opened.meta)
    if sha256 is not None:
        extraction = cached_extraction(around.settings, _cache(row, around, sha256))
        if extraction is not None:
            return _finished(replace(seen, sha256=sha256), extraction, around, 0)
    return _read_and_extract(seen, opened, around, scratch, ocr)


def _read_and_extract(
    seen: Observation, opened: Opened, around: Surroundings, scratch: Path, ocr: OcrPool
) -> Processed:
    path = scratch / "document"
    try:
        sha256 = _download(opened, path)
    except TransientError as error:
        if isinstance(error, MachineError):
            raise
        return _try_again(seen.row, error, around)
    seen = replace(seen, sha256=sha256)
    extraction = extract_file(
        path, around.settings, scratch, _cache(seen.row, around, sha256), ocr, seen.row.doc_type
    )
    remember_content(around.work, seen.row.bucket, seen.meta, sha256)
    return _finished(seen, extraction, around, opened.meta.size)


def _cache(row: ManifestRow, around: Surroundings, sha256: str) -> ContentCache:
    fingerprint = typed_fingerprint(around.fingerprint, row.doc_type, around.settings)
    return ContentCache(around.work, fingerprint, sha256)


def _download(opened: Opened, path: Path) -> str:
    """Copies the object to `path` and returns its SHA-256. Raises TransientError, MachineError."""
    free = shutil.disk_usage(path.parent).free
    if free < opened.meta.size + CHUNK:
        raise MachineError(
            f"scratch folder {str(path.parent)!r} has {free} bytes left, {opened.meta.key!r} needs "
            f"{opened.meta.size}; free some or set BATCHJOB_SCRATCH",
            cause="scratch_full",
        )
    digest = hashlib.sha256()
    read = 0
    with path.open("wb") as file:
        while chunk := opened.body.read(CHUNK):
            digest.update(chunk)
            read += len(chunk)
            _write(file.write, chunk, path)
    if read != opened.meta.size:
        raise TransientError(
            f"{opened.meta.key!r}: {read} of {opened.meta.size} bytes arrived", cause="short_read"
        )
    return digest.hexdigest()


def _write(write: Callable[[bytes], int], chunk: bytes, path: Path) -> None:
    try:
        write(chunk)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise MachineError(
            f"scratch folder {str(path.parent)!r} is full; free some room or set BATCHJOB_SCRATCH",
            cause="scratch_full",
        ) from error


def _finished(seen: Observation, extraction: Extraction, around: Surroundings, bytes_read: int) -> Processed:
    if extraction.failure is not None:
        return replace(_failed(seen, extraction.failure, extraction, around), bytes_read=bytes_read)
    document = full_document(
        seen,
        extraction,
        run_id=around.run_id,
        indexed_at=around.clock.now_ms(),
        seconds=sum(page.seconds for page in extraction.pages),
        max_content_bytes=around.settings.max_content_bytes,
        thumbnail_url=_keep_thumbnail(seen, extraction, around),
    )
    problem = next((page.error for page in extraction.pages if page.method is PageMethod.FAILED), None)
    outcome = _outcome_of(seen, FinalState.INDEXED, extraction, problem)
    return Processed(
        replace(outcome, content_length=document["content_length"]),
        bulk_lines(document, seen.observed_at),
        bytes_read,
    )


def _keep_thumbnail(seen: Observation, extraction: Extraction, around: Surroundings) -> str | None:
    if extraction.thumbnail is None or seen.sha256 is None:
        return None
    key = layout.thumbnail(layout.doc_id(seen.row.bucket, seen.row.key), seen.sha256)
    with suppress(AlreadyExistsError):
        around.thumbnails.create_once(key, extraction.thumbnail)
    return around.thumbnail_url(key)


def _failed(
    seen: Observation, failure: Failure, extraction: Extraction | None, around: Surroundings
) -> Processed:
    mime_type = extraction.mime_type if extraction else None
    document = failure_document(
        seen, failure, mime_type, run_id=around.run_id, indexed_at=around.clock.now_ms()
    )
    return Processed(
        _outcome_of(seen, FinalState.FAILED, extraction, failure), bulk_lines(document, seen.observed_at)
    )


def _try_again(row: ManifestRow, error: TransientError, around: Surroundings) -> Processed:
    """The row comes back in another run, unless this was its last attempt."""
    if row.attempt >= MAX_ATTEMPTS:
        given_up = _unseen(row, Failure(FailureCategory.GAVE_UP, str(error)), around)
        return replace(given_up, cause=error.cause)
    outcome = _outcome(row, FinalState.REQUEUED, category=error.cause, message=str(error))
    return Processed(outcome, cause=error.cause)


def _unseen(row: ManifestRow, failure: Failure, around: Surroundings) -> Processed:
    """A failure without an observation: written only where the index holds nothing of the object."""
    document = unseen_document(row, failure, run_id=around.run_id, indexed_at=around.clock.now_ms())
    outcome = _outcome(row, FinalState.FAILED, category=str(failure.category), message=failure.message)
    return Processed(outcome, bulk_lines(document, UNSEEN_VERSION))


def _outcome(row: ManifestRow, state: FinalState, **more: object) -> Outcome:
    return Outcome(
        layout.doc_id(row.bucket, row.key),
        row.bucket,
        row.key,
        state,
        row.attempt,
        **more,  # type: ignore[arg-type]
    )


def _outcome_of(
    seen: Observation, state: FinalState, extraction: Extraction | None, problem: Failure | None
) -> Outcome:
    outcome = _outcome(
        seen.row,
        state,
        observed_at=seen.observed_at,
        etag=seen.meta.etag,
        size=seen.meta.size,
        sha256=seen.sha256,
        category=str(problem.category) if problem else None,
        message=problem.message if problem else None,
    )
    if extraction is None:
        return outcome
    return replace(
        outcome,
        mime_type=extraction.mime_type,
        method=extraction_method(extraction),
        page_count=extraction.page_count,
        pages_read=extraction.pages_read,
        ocr_pages=extraction.ocr_pages,
        confidence=mean_confidence(extraction),
        cached=extraction.cache_misses == 0 and extraction.cache_hits > 0,
    )
