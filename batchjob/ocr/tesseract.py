"""The Tesseract engine, through pytesseract; runs in the OCR child."""

import re
import shlex
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import pytesseract
from PIL import Image
from pytesseract.pytesseract import run_tesseract

from batchjob.ocr.engine import OcrError, OcrLine, OcrPage
from batchjob.ocr.prepare import prepare

GOOD_CONFIDENCE = 60.0
"""Below it a page is perhaps turned or written vertically: upright pages gave 72–92, others 12–33."""
_WORTH_COMPARING = 0.4
"""A reading with less than this share of the longest reading's characters has missed most of the page."""
_LEAST_DPI = 150
"""Pictures of fewer are enlarged: office pages of 100 dpi gave 12 % errors as they are, 2 % enlarged to 150 or 200."""
_AUTOMATIC, _VERTICAL = 3, 5  # page segmentation modes: automatic; one block of vertical text


class TesseractEngine:
    """`languages` and `vertical` are names of Tesseract's data joined by `+`; `vertical` may be empty.

    `page_modes`: page segmentation modes for types of documents, the automatic one for others.
    """

    name = "tesseract"

    def __init__(self, languages: str, vertical: str, page_modes: Mapping[str, int]) -> None:
        self._languages = languages
        self._vertical = vertical
        self._page_modes = page_modes
        cv2.setNumThreads(1)

    def recognise(self, image: Path, dpi: int, doc_type: str | None = None) -> OcrPage:
        """Reads the page upright; where that gives little confidence, turned and vertically as well."""
        with Image.open(image, formats=("PPM",)) as opened:
            gray = opened.convert("L")
        if dpi < _LEAST_DPI:
            gray = gray.resize((gray.width * _LEAST_DPI // dpi, gray.height * _LEAST_DPI // dpi))
            dpi = _LEAST_DPI
        page = prepare(gray)
        page.save(image)
        mode = self._page_modes.get(doc_type or "", _AUTOMATIC)
        best = self._read(image, dpi, self._languages, mode)
        if best.confidence >= GOOD_CONFIDENCE:
            return best
        readings = [best]
        angle = _turned_by(image, dpi)
        if angle:
            page.rotate(-angle, expand=True).save(image)
            readings.append(self._read(image, dpi, self._languages, mode))
        if self._vertical and _best(readings).confidence < GOOD_CONFIDENCE:
            readings.append(self._read(image, dpi, self._vertical, _VERTICAL))
        return _best(readings)

    def _read(self, image: Path, dpi: int, languages: str, mode: int) -> OcrPage:
        """One run gives the text (whose spaces are right) and the words' confidence."""
        base = image.with_suffix("")
        # Without preserve_interword_spaces Tesseract sets a space between any two Japanese words.
        options = f"--dpi {dpi} --psm {mode} -c preserve_interword_spaces=1 -c tessedit_create_tsv=1"
        try:
            run_tesseract(str(image), str(base), "txt", languages, options)
            text = base.with_suffix(".txt").read_text(encoding="utf-8", errors="replace")
            table = base.with_suffix(".tsv").read_text(encoding="utf-8", errors="replace")
        except (pytesseract.TesseractError, pytesseract.TesseractNotFoundError, OSError) as error:
            raise OcrError(f"Tesseract failed: {' '.join(str(error).split())[:300]}") from None
        finally:
            for suffix in (".txt", ".tsv"):
                base.with_suffix(suffix).unlink(missing_ok=True)
        return page_of(text, table)


def _best(readings: list[OcrPage]) -> OcrPage:
    longest = max(len(reading.text) for reading in readings)
    enough = [reading for reading in readings if len(reading.text) >= _WORTH_COMPARING * longest]
    return max(enough, key=lambda reading: reading.confidence)


def _turned_by(image: Path, dpi: int) -> int:
    """Degrees clockwise by which the page must be turned to stand upright, 0 where that cannot be told."""
    try:
        found = pytesseract.image_to_osd(
            str(image),
            lang="osd",
            config=shlex.join(["--dpi", str(dpi)]),
            output_type=pytesseract.Output.DICT,
        )
    except (pytesseract.TesseractError, OSError, ValueError):
        return 0  # too few characters
    return int(found["rotate"])


class _Word(NamedTuple):
    line: tuple[str, ...]
    confidence: float
    text: str


_RULES = re.compile(r"(?<!\S)\|+(?!\S)")
"""Words of strokes alone, as which the rules of a table are read."""


def page_of(text: str, table: str) -> OcrPage:
    """Puts together Tesseract's plain text and its table of words (TSV, the format of tesseract(1))."""
    text = _RULES.sub("", text)
    words = list(_words(table))
    by_line: dict[tuple[str, ...], list[_Word]] = defaultdict(list)
    for word in words:
        by_line[word.line].append(word)
    printed = [line.strip() for line in text.replace("\f", "").splitlines() if line.strip()]
    if len(printed) != len(by_line):
        printed = [" ".join(word.text for word in line) for line in by_line.values()]
    lines = tuple(
        OcrLine(line, _confidence(found)) for line, found in zip(printed, by_line.values(), strict=True)
    )
    return OcrPage(text.replace("\f", "").strip(), _confidence(words), lines)


def _words(table: str) -> list[_Word]:
    words = []
    for row in table.splitlines()[1:]:
        cells = row.split("\t")
        if len(cells) == 12 and cells[0] == "5" and cells[11].strip().strip("|"):
            words.append(_Word(tuple(cells[1:5]), max(float(cells[10]), 0.0), cells[11].strip()))
    return words


def _confidence(words: list[_Word]) -> float:
    length = sum(len(word.text) for word in words)
    return round(sum(word.confidence * len(word.text) for word in words) / length, 1) if length else 0.0
