"""Every setting, its default and its unit; environment variables are the names here with `BATCHJOB_` before."""

import difflib
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from batchjob.errors import UsageError

MIB = 1024 * 1024
PREFIX = "BATCHJOB_"
NOT_SETTINGS = frozenset({"BATCHJOB_SUPERVISOR"})
"""Variables that `local` sets for its jobs."""


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
    index: str = "documents"
    """The alias that searches ask and runs load."""
    s3_endpoint: str | None = None
    """Endpoint of an S3-compatible server; without it AWS."""

    workers: Annotated[int | None, Field(ge=1)] = None
    """Documents in work at once in a shard; without it what the job's CPUs and memory allow."""
    ocr_engine: Literal["paddle", "tesseract"] = "paddle"
    """`paddle` (PP-OCRv6: fewest errors, and quickest on CPUs with AVX-512) or `tesseract`."""
    ocr_languages: str = "Japanese"
    """Tesseract's language or script data, joined by `+`."""
    ocr_languages_vertical: str = "Japanese_vert"
    """Tried where horizontal reading gives little confidence; empty to leave it out."""
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
    page_seconds: Annotated[float, Field(gt=0)] = 60.0
    """Wall time without a finished page after which a child process is stopped."""
    document_seconds: Annotated[float, Field(gt=0)] = 3600.0
    """Wall time for a document; pages not read by then are left out, those that were are kept."""
    child_memory: Annotated[int, Field(ge=64 * MIB)] = 1536 * MIB
    """Resident memory of a child process and its descendants, in bytes."""
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
