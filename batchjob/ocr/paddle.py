"""The paddle engine: PP-OCRv6's packaged small models; runs in the OCR child."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from batchjob.ocr import models, ppocr
from batchjob.ocr.engine import OcrError, OcrLine, OcrPage
from batchjob.ocr.lookalikes import restore
from batchjob.ocr.networks import open_network
from batchjob.ocr.prepare import even
from batchjob.ocr.reading_order import Line, as_text, in_order

_LEAST_SCORE = 0.5
"""Readings below it are no text."""
_GOOD_SCORE = 0.85
"""Mean score below which a page may lie on its head: upright ones gave 0.97–0.99."""
_PROBES = 5
_WIDE = 3.0
"""Boxes this many times wider than high show how the page is tilted."""


class _Found(NamedTuple):
    page: ppocr.Gray
    boxes: list[ppocr.Corners]


class PaddleEngine:
    name = "paddle"

    def __init__(self, runtime: str | None = None) -> None:
        cv2.setNumThreads(1)
        self._detection = open_network(models.model(models.DETECTION), runtime, large_inputs=True)
        self._recognition = open_network(
            models.model(models.RECOGNITION), runtime, wanted=is_in_japanese_print
        )

    def recognise(self, image: Path, dpi: int) -> OcrPage:
        """Reads the page; one that lies on its side or head is turned first."""
        try:
            with Image.open(image) as opened:
                gray = np.asarray(even(opened.convert("L")))
            page, boxes = self._upright(self._find(gray, dpi), dpi)
            reader = ppocr.Reader(self._recognition)
            lines = [(box, reader.read(ppocr.cut(page, box))) for box in boxes]
        except (OSError, ValueError, RuntimeError, cv2.error) as error:
            raise OcrError(f"the paddle engine failed: {' '.join(str(error).split())[:300]}") from None
        return page_of(lines, tilt(boxes))

    def _find(self, page: ppocr.Gray, dpi: int) -> _Found:
        return _Found(page, ppocr.find_lines(self._detection, page, dpi))

    def _upright(self, found: _Found, dpi: int) -> _Found:
        """The page turned by quarters so that its lines can be read; as it is where none is better."""
        page, boxes = found
        longest = sorted(boxes, key=lambda box: -max(ppocr.size_of(box)))[:_PROBES]
        pictures = [ppocr.cut(page, box) for box in longest]
        tall = sum(height > 1.5 * width for width, height in map(ppocr.size_of, longest))
        score = self._mean_score(pictures)
        if not pictures or (score >= _GOOD_SCORE and tall * 2 <= len(longest)):
            return found
        turned_score = self._mean_score([np.asarray(np.rot90(picture, 2)) for picture in pictures])
        if tall * 2 > len(longest):
            # Tall lines were cut lying on their left side. Vertical text gives little either way.
            if max(score, turned_score) < _GOOD_SCORE:
                return found
            turns = 1 if score >= turned_score else 3
        elif turned_score > score:
            turns = 2
        else:
            return found
        return self._find(np.ascontiguousarray(np.rot90(page, turns)), dpi)

    def _mean_score(self, pictures: list[ppocr.Gray]) -> float:
        reader = ppocr.Reader(self._recognition)
        scores = [reader.read(picture).score for picture in pictures]
        return sum(scores) / len(scores) if scores else 0.0


def is_in_japanese_print(character: str) -> bool:
    """Whether Windows' Japanese or Western code page has it (JIS X 0208, names' variants, Latin letters, signs).

    The models know 18,709 characters; most of the others are Chinese forms, for which Japanese ones are misread.
    """
    return any(_can_encode(character, encoding) for encoding in ("cp932", "cp1252"))


def _can_encode(character: str, encoding: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def tilt(boxes: list[ppocr.Corners]) -> float:
    """Angle of the page's lines in radians, from its wide boxes; 0 where there are none."""
    angles = []
    for box in boxes:
        width, height = ppocr.size_of(box)
        if width > _WIDE * height:
            across, down = box[1] - box[0]
            angles.append(float(np.arctan2(down, across)))
    return float(np.median(angles)) if angles else 0.0


def page_of(read: list[tuple[ppocr.Corners, ppocr.Reading]], angle: float) -> OcrPage:
    """Text in reading order; lines are set level by `angle` (radians) first, so that rows of a tilted page meet."""
    turn = np.asarray([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    lines = []
    for box, reading in read:
        if reading.score < _LEAST_SCORE or not reading.text.strip():
            continue
        level = box @ turn
        left, top = (float(value) for value in (level[[0, 3], 0].mean(), level[[0, 1], 1].mean()))
        right, bottom = (float(value) for value in (level[[1, 2], 0].mean(), level[[2, 3], 1].mean()))
        lines.append(Line(reading.text.strip(), reading.score, left, top, right, bottom))
    rows = in_order(lines)
    length = sum(len(line.text) for line in lines)
    confidence = sum(100 * line.score * len(line.text) for line in lines) / length if length else 0.0
    return OcrPage(
        restore(as_text(rows)),
        round(confidence, 1),
        tuple(OcrLine(restore(line.text), round(100 * line.score, 1)) for row in rows for line in row),
    )
