"""The paddle engine: PP-OCRv6's packaged small models; runs in the OCR child."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from batchjob.extract.reading_order import Line, as_text, in_order
from batchjob.ocr import models, ppocr
from batchjob.ocr.engine import OcrError, OcrLine, OcrPage
from batchjob.ocr.lookalikes import restore
from batchjob.ocr.networks import open_classifier, open_network
from batchjob.ocr.prepare import even
from batchjob.ocr.vertical import as_line

_LEAST_SCORE = 0.5
"""Readings below it are no text."""
_GOOD_SCORE = 0.85
"""Mean score below which a page may lie on its head: upright ones gave 0.97–0.99."""
_PROBES = 5
_SURE_SCORE = 0.97
"""A column whose glyphs give it when read one by one needs no second reading as a line on its side."""
_CLOSE = 0.02
"""Vertical print lying on its side is read nearly as surely as upright; other lines only when turned: 0.1 more."""
_COLUMN = 2.5
"""Boxes this many times taller than wide hold a column of glyphs, lower ones a tall glyph."""
_WIDE = 3.0
"""Boxes this many times wider than high show how the page is tilted."""


class PaddleEngine:
    name = "paddle"

    def __init__(self, runtime: str | None = None) -> None:
        cv2.setNumThreads(1)
        self._detection = open_network(models.model(models.DETECTION), runtime)
        self._recognition = open_classifier(models.model(models.RECOGNITION), is_in_japanese_print, runtime)

    def recognise(self, image: Path, dpi: int, doc_type: str | None = None) -> OcrPage:
        """Reads the page; one that lies on its side or head is turned first."""
        try:
            with Image.open(image, formats=("PPM",)) as opened:
                gray = np.asarray(even(opened.convert("L")))
            found, readings = self._read(gray, dpi)
        except (OSError, ValueError, RuntimeError, cv2.error) as error:
            raise OcrError(f"the paddle engine failed: {' '.join(str(error).split())[:300]}") from None
        page = page_of(list(zip(found.boxes, readings, strict=True)), tilt(found.boxes))
        return page._replace(left_out=found.left_out)

    def _read(self, page: ppocr.Gray, dpi: int) -> tuple[ppocr.Found, list[ppocr.Reading]]:
        found = ppocr.find_lines(self._detection, page, dpi)
        boxes = found.boxes
        reader = ppocr.Reader(self._recognition)
        longest = sorted(range(len(boxes)), key=lambda index: -max(ppocr.size_of(boxes[index])))[:_PROBES]
        probed = [boxes[index] for index in longest]
        probes = dict(zip(longest, _read_lines(reader, page, probed), strict=True))
        turns = self._quarter_turns(page, probed, list(probes.values()))
        if turns:
            page = np.ascontiguousarray(np.rot90(page, turns))
            found, probes = ppocr.find_lines(self._detection, page, dpi), {}
            reader = ppocr.Reader(self._recognition)
        rest = [index for index in range(len(found.boxes)) if index not in probes]
        readings = _read_lines(reader, page, [found.boxes[index] for index in rest])
        probes.update(zip(rest, readings, strict=True))
        return found, [probes[index] for index in range(len(found.boxes))]

    def _quarter_turns(
        self, page: ppocr.Gray, boxes: list[ppocr.Corners], readings: list[ppocr.Reading]
    ) -> int:
        """Quarter turns (against the clock) after which the page's lines can be read; 0 where none is better.

        `readings` of vertical print are good as the page stands; of lines lying on their side they are not.
        """
        score = _mean_score(readings)
        on_its_side = 2 * sum(ppocr.is_tall(box) for box in boxes) > len(boxes)
        if not boxes or (score >= _GOOD_SCORE and not on_its_side):
            return 0
        reader = ppocr.Reader(self._recognition)
        pictures = [ppocr.cut(page, box) for box in boxes]
        turned = _mean_score(reader.read([np.asarray(np.rot90(picture, 2)) for picture in pictures]))
        if not on_its_side:
            return 2 if turned > score else 0
        lying = _mean_score(reader.read(pictures))
        if max(lying, turned) <= score + _CLOSE:
            return 0
        return 1 if lying >= turned else 3


def _read_lines(
    reader: ppocr.Reader, page: ppocr.Gray, boxes: Sequence[ppocr.Corners]
) -> list[ppocr.Reading]:
    """The lines in `boxes`; upright columns as such, and where they are unsure as lines lying on their side too."""
    pictures = [ppocr.cut(page, box) for box in boxes]
    readings = reader.read([_upright(*line) for line in zip(pictures, boxes, strict=True)])
    unsure = [
        index for index, box in enumerate(boxes) if ppocr.is_tall(box) and readings[index].score < _SURE_SCORE
    ]
    for index, lying in zip(unsure, reader.read([pictures[index] for index in unsure]), strict=True):
        readings[index] = max(readings[index], lying, key=lambda reading: reading.score)
    return readings


def _upright(picture: ppocr.Gray, box: ppocr.Corners) -> ppocr.Gray:
    if not ppocr.is_tall(box):
        return picture
    width, height = ppocr.size_of(box)
    column = np.ascontiguousarray(np.rot90(picture, -1))
    return as_line(column) if height >= _COLUMN * width else column


def _mean_score(readings: list[ppocr.Reading]) -> float:
    return sum(reading.score for reading in readings) / len(readings) if readings else 0.0


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
