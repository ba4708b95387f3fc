"""What children may say that saw untrusted bytes: each line is checked here before anything of it is used."""

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from batchjob.errors import FailureCategory
from batchjob.process.children import NotAnEventError
from batchjob.records import Failure, PageMethod

_MOST_PAGES = 2**31 - 1
"""What a column of the outcomes holds."""
_Seconds = Annotated[float, Field(ge=0, le=10**6, allow_inf_nan=False)]
_Confidence = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
_Words = Annotated[str, Field(max_length=2000)]


def _brief(failure: Failure) -> Failure:
    if len(failure.message) > 2000:
        raise ValueError("more words than anybody reads")
    return failure


_Loss = Annotated[Failure, AfterValidator(_brief)]


class _Said(BaseModel):
    """Checked strictly: no number for a text, no lone surrogate, no other field."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class DocumentSaid(_Said):
    """What a parse child says of the whole document."""

    event: Literal["document"]
    mime_type: _Words
    page_count: int = Field(ge=0, le=_MOST_PAGES)
    title: str | None
    author: str | None


class PageSaid(_Said):
    """One page: its text layer, and whether an image of it was left for OCR, of `dpi`.

    `characters` of text the page has, where more than the child was to send. `refused`: another reader may open it.
    """

    event: Literal["page"] = "page"
    page: int = Field(ge=1, le=_MOST_PAGES)
    method: PageMethod
    text: str
    seconds: _Seconds = 0.0
    characters: int = Field(0, ge=0)
    image: str | None = None
    dpi: int = Field(200, ge=1, le=100_000)
    reader: _Words | None = None
    note: _Words | None = None
    refused: bool = False
    error: _Loss | None = None

    @model_validator(mode="after")
    def _image_is_for_ocr(self) -> Self:
        if (self.image is not None) != (self.method in (PageMethod.OCR, PageMethod.BOTH)):
            raise ValueError("an image without OCR, or OCR without an image")
        return self


class ThumbnailSaid(_Said):
    event: Literal["thumbnail"]
    file: str | None


class FailureSaid(_Said):
    """The document cannot be read at all."""

    event: Literal["failure"]
    mime_type: _Words
    category: FailureCategory
    message: _Words


class DoneSaid(_Said):
    """All that was asked for has been said."""

    event: Literal["done"]


Said = DocumentSaid | PageSaid | ThumbnailSaid | FailureSaid | DoneSaid


class Recognised(_Said):
    """An OCR child's answer about one image: its text and lines with their confidence (0–100), or an error.

    `left_out` lines were not read, since the page has too many.
    """

    event: Literal["page"]
    id: int
    seconds: _Seconds
    error: _Loss | None = None
    text: str = ""
    confidence: _Confidence | None = None
    lines: tuple[tuple[str, _Confidence], ...] = ()
    left_out: int = Field(0, ge=0)


_SAID: TypeAdapter[Said] = TypeAdapter(Annotated[Said, Field(discriminator="event")])


def said(line: bytes) -> Said:
    """An event of a parse child. Raises NotAnEventError."""
    try:
        return _SAID.validate_json(line)
    except ValidationError as error:
        raise NotAnEventError(str(error)) from None


def answer(lines: list[bytes], number: int) -> Recognised | None:
    """The OCR child's answer to the request of that number; None where the lines are not that and nothing else."""
    try:
        [line] = lines
        found = Recognised.model_validate_json(line)
    except ValueError:
        return None
    complete = found.error is not None or found.confidence is not None
    return found if found.id == number and complete else None
