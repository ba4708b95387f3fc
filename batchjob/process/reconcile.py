"""One manifest row: look at the object as it is now, and say what the index should hold of it."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from batchjob import layout
from batchjob.errors import (
    AlreadyExistsError,
    BatchjobError,
    FailureCategory,
    MachineError,
    ObjectMissingError,
    ObjectRefusedError,
    PreconditionFailedError,
    SourceMissingError,
    TransientError,
)
from batchjob.ports import Clock, CreateOnce, Get
from batchjob.process.ahead import Claim
from batchjob.process.cache import CacheStore, ContentCache, recall_content, remember_content
from batchjob.process.conversion import cached_document, extract_document
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
from batchjob.process.download import download
from batchjob.process.readers import Readers
from batchjob.records import (
    MAX_ATTEMPTS,
    NOT_COUNTED,
    UNSEEN_VERSION,
    Extraction,
    Failure,
    FinalState,
    ManifestRow,
    Outcome,
)
from batchjob.settings import Settings

LOOKS = 4
"""How often an object is looked at in one run."""


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


def process_row(
    row: ManifestRow, around: Surroundings, scratch: Path, readers: Readers, claim: Claim
) -> Processed:
    """Reconciles one row. A document's failure is data; raises only MachineError and the work store's errors."""
    started = time.monotonic()
    row = typed(row, around.settings)
    if row.key.endswith("/"):
        return Processed(_outcome(row, FinalState.SKIPPED, message="a folder's placeholder, no document"))
    done = _reconcile(row, around, scratch, readers, claim)
    return replace(done, outcome=replace(done.outcome, seconds=round(time.monotonic() - started, 3)))


def _reconcile(
    row: ManifestRow, around: Surroundings, scratch: Path, readers: Readers, claim: Claim
) -> Processed:
    """Looks at the object; again from scratch after waiting for room, or where it changes while it is read."""
    for _ in range(LOOKS):
        try:
            source = around.source(row.bucket)
            opened = source.open(row.key)
        except BatchjobError as error:
            return _unread(row, error, around)
        with opened:
            seen = Observation(row, opened.meta, opened.observed_at)
            done = _without_reading(seen, around)
            if done is not None:
                return done
            path, sha256 = scratch / "document", None
            if claim.take(seen.meta.size):
                try:
                    sha256 = download(source, opened, path)
                except PreconditionFailedError:
                    continue
                except BatchjobError as error:
                    return _unread(row, error, around)
        if sha256 is None:
            claim.wait(seen.meta.size)
            continue
        with claim.worker():
            cache = _cache(row, around, sha256)
            extraction = extract_document(path, around.settings, scratch, cache, readers, row.doc_type)
        remember_content(around.work, row.bucket, seen.meta, sha256)
        return _finished(replace(seen, sha256=sha256), extraction, around, seen.meta.size)
    changing = f"{row.key!r} was another one at each of {LOOKS} looks; it comes back in another run"
    return _try_again(row, TransientError(changing, cause="changed"), around)


def _unread(row: ManifestRow, error: BatchjobError, around: Surroundings) -> Processed:
    """What follows from an object that could not be opened or read. Raises what says nothing about the row."""
    if isinstance(error, ObjectMissingError):
        lines = bulk_lines(tombstone(row, error.observed_at), error.observed_at)
        return Processed(_outcome(row, FinalState.DELETED, observed_at=error.observed_at), lines)
    if isinstance(error, ObjectRefusedError):
        return _unseen(row, Failure(FailureCategory.REFUSED, str(error)), around)
    if isinstance(error, SourceMissingError):
        return _try_again(row, TransientError(str(error), cause="no_bucket"), around)
    if isinstance(error, TransientError) and not isinstance(error, MachineError):
        return _try_again(row, error, around)
    raise error


def _without_reading(seen: Observation, around: Surroundings) -> Processed | None:
    """The outcome of what is too large, or was extracted before and has not changed since."""
    size, limit = seen.meta.size, around.settings.max_bytes
    if size > limit:
        message = f"{size} bytes, over the limit of {limit}; raise BATCHJOB_MAX_BYTES to read it"
        return _failed(seen, Failure(FailureCategory.TOO_LARGE, message), None, around)
    sha256 = recall_content(around.work, seen.row.bucket, seen.meta)
    if sha256 is None:
        return None
    extraction = cached_document(around.settings, _cache(seen.row, around, sha256))
    if extraction is None:
        return None
    return _finished(replace(seen, sha256=sha256), extraction, around, 0)


def _cache(row: ManifestRow, around: Surroundings, sha256: str) -> ContentCache:
    fingerprint = typed_fingerprint(around.fingerprint, row.doc_type, around.settings)
    return ContentCache(around.work, fingerprint, sha256)


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
    problem = next((page.error for page in extraction.pages if page.error), None)
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
    """The row comes back in another run, unless this was its last attempt; an outage is no attempt."""
    if row.attempt >= MAX_ATTEMPTS and error.cause not in NOT_COUNTED:
        given_up = _unseen(row, Failure(FailureCategory.GAVE_UP, str(error)), around)
        return replace(given_up, cause=error.cause)
    outcome = _outcome(row, FinalState.REQUEUED, category=error.cause, message=str(error))
    return Processed(outcome, cause=error.cause)


def _unseen(row: ManifestRow, failure: Failure, around: Surroundings) -> Processed:
    """A failure without an observation: written only where the index holds nothing of the object."""
    now = around.clock.now_ms()
    document = unseen_document(row, failure, run_id=around.run_id, indexed_at=now)
    told = {"category": str(failure.category), "message": failure.message, "gave_up_at": now}
    return Processed(_outcome(row, FinalState.FAILED, **told), bulk_lines(document, UNSEEN_VERSION))


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
        reading_seconds=round(sum(page.seconds for page in extraction.pages), 3),
        cached=extraction.cache_misses == 0 and extraction.cache_hits > 0,
    )
