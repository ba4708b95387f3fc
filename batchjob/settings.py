"""Every setting, its default and its unit; environment variables are the names here with `BATCHJOB_` before."""

import difflib
import os
import re
import shlex
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from batchjob.errors import UsageError

MIB = 1024 * 1024
PREFIX = "BATCHJOB_"
NOT_SETTINGS = frozenset({"BATCHJOB_SUPERVISOR"})
"""Variables that `local` sets for its jobs."""


_PAGE_MODES = frozenset({1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13})
"""Tesseract's page segmentation modes that read text: 0 only finds the direction, 2 is not made."""


def pairs(text: str) -> list[tuple[str, str]]:
    """`a=b,c=d` as pairs. Raises ValueError."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        left, sign, right = (piece.strip() for piece in part.rpartition("="))
        if not (left and sign and right):
            raise ValueError(
                f"{part!r} is not of the form PATTERN=TYPE or TYPE=MODE; several are joined by commas"
            )
        found.append((left, right))
    return found


def _check_pairs(text: str) -> str:
    pairs(text)
    return text


def _check_page_modes(text: str) -> str:
    for name, mode in pairs(text):
        if not mode.isdecimal() or int(mode) not in _PAGE_MODES:
            raise ValueError(f"{name}={mode}: Tesseract reads text in the modes {sorted(_PAGE_MODES)}")
    return text


def _check_converter(text: str) -> str:
    words = shlex.split(text)
    if words and not all(any(place in word for word in words[1:]) for place in ("{input}", "{output}")):
        raise ValueError("a program, then its arguments, among them {input} and {output}")
    return text


SUFFIXES = (".pdf", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".xdw", ".xbd")
"""What counts as a document by its name, in any case; everything else in a folder, bucket or queue is passed over."""


def _check_suffixes(text: str) -> str:
    for suffix in text.split():
        if not re.fullmatch(r"\.[A-Za-z0-9]+", suffix):
            raise ValueError(f"{suffix!r} is no suffix; separate them by spaces: {' '.join(SUFFIXES)}")
    if not text.split():
        raise ValueError(f"no suffix, so that nothing counts as a document; write {' '.join(SUFFIXES)}")
    return text


def _check_prefix(text: str) -> str:
    if text.startswith("/"):
        raise ValueError(f"{text!r} begins with '/', which keys do not, so that nothing counts as a document")
    return text


class Settings(BaseSettings):
    """Read once by the command line and handed down; nothing else looks at the environment."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, use_attribute_docstrings=True
    )

    work: str = ".batchjob"
    """Work folder or `s3://bucket/prefix`: runs, cache, inbox."""
    thumbnails: str | None = None
    """Where thumbnails go; without it `<work>/thumbnails`."""
    scratch: Path | None = None
    """Folder for temporary files; without it the system's temporary folder."""
    opensearch_url: str | None = None
    """OpenSearch server, `https://host:9200`; without it `local` starts an embedded one."""
    opensearch_auth: Literal["none", "basic", "sigv4"] | None = None
    """How requests to OpenSearch are signed; without it `basic` where there is a user, `sigv4` for a host of AWS."""
    opensearch_user: str | None = None
    """User for basic authentication."""
    opensearch_password: SecretStr | None = None
    """The user's password; give it as a secret of the job, not in a definition."""
    opensearch_region: str | None = None
    """AWS region of the OpenSearch domain; without it that of the AWS profile."""
    opensearch_ca_file: Path | None = None
    """PEM file of the authority that signed OpenSearch's certificate; without it the usual authorities."""
    opensearch_timeout_seconds: Annotated[float, Field(gt=0)] = 60.0
    """Wall time without a byte from OpenSearch after which a request counts as failed."""
    opensearch_retry_seconds: Annotated[float, Field(gt=0)] = 300.0
    """Wall time for which a request to OpenSearch is sent again without progress; then the reducer exits with 75."""
    index: str = "documents"
    """The alias that searches ask and runs load."""
    s3_endpoint: str | None = None
    """Endpoint of an S3-compatible server; without it AWS."""

    queue_url: str | None = None
    """The queue of events: an SQS queue's URL, or `file:///path` for a queue in a file of this machine."""
    dead_letter_queue_url: str | None = None
    """Where messages end that nobody took; what `dlq` looks at."""
    prefix: Annotated[str, AfterValidator(_check_prefix)] = ""
    """Only keys that begin with this count as documents; events of others are passed over."""
    suffixes: Annotated[str, AfterValidator(_check_suffixes)] = " ".join(SUFFIXES)
    """Only keys that end with one of these, in any case, count as documents; separated by spaces."""
    receivers: Annotated[int, Field(ge=1, le=32)] = 8
    """Connections that receive from the queue side by side."""
    visibility_seconds: Annotated[int, Field(ge=30, le=43_200)] = 300
    """How long the queue hides a message that was received and not deleted; after a kill it comes back then."""
    drain_seconds: Annotated[float, Field(gt=0)] = 900.0
    """Wall time after which a drain receives no more."""
    drain_messages: Annotated[int, Field(ge=1)] = 1_000_000
    """Messages after which a drain receives no more."""
    shard_cost: Annotated[float, Field(gt=0)] = 1200.0
    """Estimated cost of a shard, in CPU seconds; a run has as many shards as its rows need."""

    job_queue: str | None = None
    """The AWS Batch queue (name or ARN) for a run's jobs; without it the queue that `drain` itself runs in.
    `local`: as processes of this machine."""
    process_job_definition: str = "batchjob-process"
    """Job definition of the shards: a name, `name:revision` or ARN."""
    reduce_job_definition: str = "batchjob-reduce"
    """Job definition of the reducer."""
    process_job_seconds: Annotated[int | None, Field(ge=60)] = None
    """Wall time of an attempt at a shard, after which Batch ends it for good; without it the definition's."""
    reduce_job_seconds: Annotated[int | None, Field(ge=60)] = None
    """The same for the reducer."""
    job_share: str | None = None
    """Share identifier of the jobs, which a queue with a fair-share policy demands and others refuse."""
    job_priority: Annotated[int | None, Field(ge=0, le=9999)] = None
    """Scheduling priority of the jobs within their share."""

    workers: Annotated[int | None, Field(ge=1)] = None
    """Documents in work at once in a shard; without it what the job's CPUs and memory allow."""
    ocr_engine: Literal["paddle", "tesseract"] = "paddle"
    """`paddle` (PP-OCRv6: fewest errors, and quickest on CPUs with AVX-512) or `tesseract`."""
    ocr_languages: str = "Japanese"
    """Tesseract's language or script data, joined by `+`."""
    ocr_languages_vertical: str = "Japanese_vert"
    """Tried where horizontal reading gives little confidence; empty to leave it out."""
    doc_types: Annotated[str, AfterValidator(_check_pairs)] = ""
    """Types of documents by key, `PATTERN=TYPE` joined by commas, the first that fits; `*` also takes `/`.
    The manifest's `doc_type` goes first."""
    ocr_page_modes: Annotated[str, AfterValidator(_check_page_modes)] = ""
    """Tesseract's page segmentation mode by type of document, `TYPE=MODE` joined by commas; 3 for all others."""
    ocr_dpi: Annotated[int, Field(ge=72, le=600)] = 200
    """Resolution at which pages are read, in dots per inch."""
    max_bytes: Annotated[int, Field(ge=1)] = 2048 * MIB
    """Largest document, in bytes."""
    max_pages: Annotated[int, Field(ge=1)] = 5000
    """Pages read of a document."""
    max_pixels: Annotated[int, Field(ge=1)] = 200_000_000
    """Largest image, in pixels."""
    max_content_bytes: Annotated[int, Field(ge=1024)] = 5 * MIB
    """Text kept of a document, in UTF-8 bytes; the rest is counted as truncated."""
    xdw_converter: Annotated[str, AfterValidator(_check_converter)] = ""
    """Program that makes a PDF of a DocuWorks file, for what is not read without it: a command line with `{input}` and
    `{output}`, run without a shell. Without it such pages are lost, and told. docs/docuworks.md tells how."""
    xdw_converter_seconds: Annotated[float, Field(gt=0)] = 300.0
    """Wall time for one call of that program."""
    page_seconds: Annotated[float, Field(gt=0)] = 60.0
    """Wall time without a finished page after which a child process is stopped."""
    document_seconds: Annotated[float, Field(gt=0)] = 3600.0
    """Wall time for a document; pages not read by then are left out, those that were are kept."""
    child_memory: Annotated[int, Field(ge=64 * MIB)] = 1536 * MIB
    """Resident memory of a child process and its descendants, in bytes."""
    user_dictionary: str | None = None
    """File (a path or `s3://bucket/key`) of Kuromoji's user dictionary: names that must not be cut into words. A change
    needs a re-index; docs/reindex.md tells its form."""
    probe_queries: str = ""
    """Queries separated by `;` that the new index of a re-index must answer where the old one does."""
    reindex_tolerance: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share by which documents may be more or fewer after a re-index, and which may have lost their text."""
    failure_limit: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of failed documents above which a finished run exits with 65."""


def load_settings(**given: object) -> Settings:
    """Settings from the environment, with the values of the command line over them. Raises UsageError."""
    _check_names()
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
        raise UsageError(f"{name}: {first['msg']}; docs/settings.md has all settings") from None


def _check_names() -> None:
    """A mistyped variable would otherwise be passed over in silence."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | NOT_SETTINGS
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else "docs/settings.md has all settings"
            raise UsageError(f"no setting {name}: {hint}")
