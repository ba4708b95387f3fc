"""Every setting, its default and its unit; environment variables are the names here with `BATCHJOB_` before."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from batchjob.errors import UsageError

MIB = 1024 * 1024


class Settings(BaseSettings):
    """Read once by the command line and handed down; nothing else looks at the environment."""

    model_config = SettingsConfigDict(env_prefix="BATCHJOB_", extra="forbid", frozen=True)

    work: str = ".batchjob"
    """Work folder or `s3://bucket/prefix`: runs, cache, inbox."""
    thumbnails: str | None = None
    """Where thumbnails go; without it `<work>/thumbnails`."""
    scratch: Path | None = None
    """Folder for temporary files; without it the system's temporary folder."""
    opensearch_url: str | None = None
    index: str = "documents"
    """The alias that searches ask and runs load."""
    s3_endpoint: str | None = None
    """Endpoint of an S3-compatible server; without it AWS."""

    workers: Annotated[int, Field(ge=1)] | None = None
    """Documents in work at once in a shard; without it the CPUs this process may use."""
    ocr_languages: str = "Japanese"
    """Tesseract's language or script data, joined by `+`."""
    ocr_languages_vertical: str = "Japanese_vert"
    """Tried where horizontal reading gives little confidence; empty to leave it out."""
    ocr_dpi: Annotated[int, Field(ge=72, le=600)] = 200
    max_bytes: Annotated[int, Field(ge=1)] = 2048 * MIB
    """Largest document, in bytes."""
    max_pages: Annotated[int, Field(ge=1)] = 5000
    max_pixels: Annotated[int, Field(ge=1)] = 200_000_000
    """Largest image, in pixels."""
    max_content_bytes: Annotated[int, Field(ge=1024)] = 5 * MIB
    """Text kept of a document, in UTF-8 bytes; the rest is counted as truncated."""
    page_seconds: Annotated[float, Field(gt=0)] = 60.0
    """Wall time without a finished page after which a child process is stopped."""
    document_seconds: Annotated[float, Field(gt=0)] = 1800.0
    """Wall time for one group of pages in one child process."""
    child_memory: Annotated[int, Field(ge=64 * MIB)] = 1536 * MIB
    """Resident memory of a child process and its descendants, in bytes."""
    failure_limit: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of failed documents above which a finished run exits with 65."""


def load_settings(**given: object) -> Settings:
    """Settings from the environment, with the values of the command line over them. Raises UsageError."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "BATCHJOB_" + "_".join(str(part) for part in first["loc"]).upper()
        raise UsageError(f"{name}: {first['msg']}; see the settings in docs/settings.md") from None
