"""Finds lines on a page image and reads them with the PP-OCRv6 networks; numbers in, numbers and text out.

The steps are those of PP-OCR (Du et al. 2020; DB: Liao et al. 2020) with the values that its models were
exported with. They are done here, not by the package that brings the models: importing that costs 0.5 CPU
seconds a process, and it cuts lines from the small picture on which they were found.
"""

from collections import deque
from collections.abc import Sequence
from math import sqrt
from statistics import median
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchjob.ocr.networks import Classifier, Network, Tensor

Gray = NDArray[np.uint8]
Corners = NDArray[np.float32]
"""Four points (x, y), clockwise from the top left."""

DETECTION_DPI = 90
"""Lines are found at this resolution; 88 to 110 gave the same errors on pages of 200 dpi."""
_LONGEST, _MOST_PIXELS = 2048, 1536 * 2048
"""Larger ones take too much memory; A2 just fits."""
_SIDES = (384, 576, 768, 928, 1056, 1312, 1536, 1792, 2048)
"""Sides are padded to one of these, since each new size costs time and memory; A4 is 745 × 1053 pixels.
The network needs multiples of 32."""
_INK, _SURE = 0.3, 0.5
"""Probability from which a pixel is text, and mean probability from which a box is a line."""
_UNCLIP = 1.6
_SMALLEST = 3.0
MOST_LINES = 1000
_TALL = 1.5

_HEIGHT = 48
_WIDTH_STEPS = ((32, 384), (64, 960), (96, 10**9))
"""Widths are multiples of (step, up to which width): each new width costs memory, each column time."""
_SLACK = 0.94
"""Share of the wanted width that is enough: lines are stretched or squeezed to the next multiple from there."""
_MARGIN = 8
_WIDEST = 3072
_COLUMNS_PER_STEP = 8
_STEPS, _LEAST_STEPS = 1.6, 1.3
"""Steps of the network a character that are aimed at, and that a reading needs at least.

On 57 pages, with unsure lines read twice, 1.6 steps gave the errors of 1.9 steps without (CER 0.08 and 0.10 % of
office scans, 0.17 and 0.20 % of poor ones, 0.28 and 0.22 % of faxes) for 7 % fewer columns; 1.5 gave 0.13, 0.32
and 0.4 %. A single line of Latin print lost letters where 1.2 steps were enough.
"""
_FIRST_SQUEEZE, _MOST_SQUEEZE = 0.75, 0.5
_REMEMBERED, _TELLING = 5, 4
"""Lines that the next one's width follows, and characters from which a line says something of its print."""
_UNSURE = 0.96
"""Below it a line is read once more at full width."""


class Found(NamedTuple):
    """Boxes around lines of text, in pixels of the page, and how many smaller ones there were too many."""

    boxes: list[Corners]
    left_out: int = 0


class Reading(NamedTuple):
    text: str
    score: float


def find_lines(network: Network, page: Gray, dpi: int) -> Found:
    """The lines of a page; of more than MOST_LINES the largest."""
    height, width = page.shape
    fitting = min(_LONGEST / max(height, width), sqrt(_MOST_PIXELS / (height * width)))
    scale = min(DETECTION_DPI / dpi, fitting, 1.0)
    small = cv2.resize(
        page, (max(round(width * scale), 1), max(round(height * scale), 1)), interpolation=cv2.INTER_LINEAR
    )
    rows, columns = small.shape
    canvas = np.zeros((_side(rows), _side(columns)), np.float32)
    canvas[:rows, :columns] = small * np.float32(2 / 255) - 1
    probability = network(np.stack([canvas] * 3)[None])[0, 0, :rows, :columns]
    mask = cv2.dilate((probability > _INK).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    boxes = [box for contour in contours if (box := _box(contour, probability)) is not None]
    kept = _largest(boxes)
    ordered = [_ordered(box * [width / columns, height / rows]) for box in kept]
    return Found(ordered, len(boxes) - len(kept))


def _largest(boxes: list[Corners]) -> list[Corners]:
    if len(boxes) <= MOST_LINES:
        return boxes
    areas = np.asarray([cv2.contourArea(box) for box in boxes])
    return [boxes[index] for index in np.sort(np.argsort(-areas, kind="stable")[:MOST_LINES])]


def _box(contour: Any, probability: Tensor) -> Corners | None:
    """The line's box, widened by what training shrank it by (DB's unclip, which for a box has this form)."""
    centre, (across, down), angle = cv2.minAreaRect(contour)
    if min(across, down) < _SMALLEST:
        return None
    inner = cv2.boxPoints((centre, (across, down), angle))
    left, top = np.floor(inner.min(axis=0)).astype(int).clip(0)
    right, bottom = np.ceil(inner.max(axis=0)).astype(int) + 1
    inside = probability[top:bottom, left:right]
    mask = np.zeros(inside.shape, np.uint8)
    cv2.fillPoly(mask, [(inner - [left, top]).astype(np.int32)], (1,))
    if cv2.mean(inside, mask)[0] < _SURE:
        return None
    wider = across * down * _UNCLIP / (across + down)
    return np.asarray(cv2.boxPoints((centre, (across + wider, down + wider), angle)), np.float32)


def _ordered(box: Any) -> Corners:
    by_x = box[np.argsort(box[:, 0], kind="stable")]
    top_left, bottom_left = sorted(by_x[:2], key=lambda point: point[1])
    top_right, bottom_right = sorted(by_x[2:], key=lambda point: point[1])
    return np.asarray([top_left, top_right, bottom_right, bottom_left], np.float32)


def size_of(box: Corners) -> tuple[float, float]:
    """Width and height."""
    sides = np.linalg.norm(box - np.roll(box, -1, axis=0), axis=1)
    return float(max(sides[0], sides[2])), float(max(sides[1], sides[3]))


def is_tall(box: Corners) -> bool:
    """Whether it stands upright: a column, a tall glyph, or a line lying on its side."""
    width, height = size_of(box)
    return height >= _TALL * width


def cut(page: Gray, box: Corners) -> Gray:
    """The level picture of a line; a tall one is laid on its side, as in training."""
    width, height = (max(int(side), 1) for side in size_of(box))
    target = np.asarray([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(box, target)
    line = cv2.warpPerspective(
        page, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(np.rot90(line) if is_tall(box) else line, np.uint8)


class Reader:
    """Reads the lines of one page, each at the width that the last ones' print needed.

    Narrow print (Latin) needs more columns for a line's height than Japanese; a line that turns out denser than
    expected, or unsure, is read once more at full width. The work grows with the width alone.
    """

    def __init__(self, network: Classifier) -> None:
        self._network = network
        self._alphabet = ["", *network.characters]
        self._full_steps: deque[float] = deque(maxlen=_REMEMBERED)

    def read(self, lines: Sequence[Gray]) -> list[Reading]:
        """Reads the widest first: lines of one width follow each other, since a change of it costs 1.5 ms."""
        readings = [Reading("", 0.0)] * len(lines)
        again = []
        for index in sorted(range(len(lines)), key=lambda index: -_full_columns(lines[index])):
            squeeze = self._squeeze()
            reading, steps = self._read(lines[index], squeeze)
            if len(reading.text) >= _TELLING:
                self._full_steps.append(_full_columns(lines[index]) / _COLUMNS_PER_STEP / len(reading.text))
                if steps < _LEAST_STEPS and squeeze < 1.0:
                    reading = Reading("", 0.0)
            readings[index] = reading
            if reading.score < _UNSURE and squeeze < 1.0:
                again.append(index)
        for index in again:
            full, _ = self._read(lines[index], 1.0)
            readings[index] = max(readings[index], full, key=lambda reading: reading.score)
        return readings

    def _squeeze(self) -> float:
        if not self._full_steps:
            return _FIRST_SQUEEZE
        return min(max(round(_STEPS / median(self._full_steps), 2), _MOST_SQUEEZE), 1.0)

    def _read(self, line: Gray, squeeze: float) -> tuple[Reading, float]:
        """The reading, and the network's steps a character."""
        wanted = min(_full_columns(line) * squeeze + _MARGIN, _WIDEST)
        padded = _padded(max(int(wanted * _SLACK), 1))
        columns = padded - _MARGIN
        picture = cv2.resize(line, (columns, _HEIGHT), interpolation=cv2.INTER_LINEAR)
        values = np.zeros((1, 3, _HEIGHT, padded), np.float32)
        values[..., :columns] = picture * np.float32(2 / 255) - 1
        reading = decode(self._network(values)[0], self._alphabet)
        return reading, columns / _COLUMNS_PER_STEP / max(len(reading.text), 1)


def _full_columns(line: Gray) -> float:
    """Columns of a line that is shrunk or stretched evenly to the network's height."""
    height, width = line.shape
    return float(_HEIGHT * width / height)


def _padded(columns: int) -> int:
    return _up(columns, next(step for step, most in _WIDTH_STEPS if columns <= most))


def decode(logarithms: Tensor, alphabet: list[str]) -> Reading:
    """Greedy CTC decoding (Graves 2006): the best class of each step, repeats and blanks (class 0) left out.

    `logarithms` of the classes' probabilities, up to a constant for each step.
    """
    best = logarithms.argmax(axis=1)
    kept = best != 0
    kept[1:] &= best[1:] != best[:-1]
    if not kept.any():
        return Reading("", 0.0)
    chosen, characters = logarithms[kept], best[kept]
    likelihood = np.exp(chosen - chosen.max(axis=1, keepdims=True)).sum(axis=1)
    return Reading("".join(alphabet[index] for index in characters), float((1 / likelihood).mean()))


def _side(pixels: int) -> int:
    return next(side for side in _SIDES if pixels <= side)


def _up(value: int, step: int) -> int:
    return -(-value // step) * step
