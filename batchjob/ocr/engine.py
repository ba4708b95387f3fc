"""What an OCR engine is; the OCR child drives one through this, whichever it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol


class OcrLine(NamedTuple):
    """A recognised line; `confidence` is 0–100."""

    text: str
    confidence: float


class OcrPage(NamedTuple):
    """A recognised page; `text` has empty lines between blocks, `confidence` is 0–100.

    `left_out`: how many lines were not read since the page has too many.
    """

    text: str
    confidence: float
    lines: tuple[OcrLine, ...] = ()
    left_out: int = 0


class OcrError(Exception):
    """The engine could not work on a page, with the reason in words."""


class OcrEngine(Protocol):
    name: str

    def recognise(self, image: Path, dpi: int, doc_type: str | None = None) -> OcrPage:
        """Reads a gray image of one page of a document of that type. Raises OcrError."""
        ...


def open_engine(
    name: str, languages: str, vertical: str, page_modes: Mapping[str, int] | None = None
) -> OcrEngine:
    """The engine of that name; engines are imported only when asked for, since each has a heavy library."""
    if name == "paddle":
        from batchjob.ocr.paddle import PaddleEngine

        return PaddleEngine()
    if name == "tesseract":
        from batchjob.ocr.tesseract import TesseractEngine

        return TesseractEngine(languages, vertical, page_modes or {})
    raise ValueError(f"no OCR engine {name!r}")
