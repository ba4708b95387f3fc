"""Lays a column of vertical Japanese print out as a line, glyph by glyph, so that the recogniser can read it."""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.uint8]
_INK = 0.35
"""Share of the way from paper to the darkest ink from which a pixel counts as ink."""
_LEAST_INK = 0.04
"""Share of the column's width that a row's ink must have; less is dirt."""
_CELL = 1.1
"""Height of a glyph's cell at the most, in widths of the widest glyph: print is set in squares."""
_SMALL, _THIN, _LONG = 0.5, 0.3, 0.6
"""Sizes, in widths of a cell, of punctuation, and of the long vowel's bar, which stands in vertical print."""


def as_line(column: Gray) -> Gray:
    """The glyphs of an upright column side by side; the column as it is where it has no ink."""
    ink = _ink(column)
    across = np.flatnonzero(ink.any(axis=0))
    cells = _cells(ink)
    if not across.size or not cells:
        return column
    side = int(across[-1] - across[0]) + 1
    paper = int(np.median(column))
    size = round(side * _CELL)
    return np.hstack([_square(column[top:bottom], ink[top:bottom], size, paper) for top, bottom in cells])


def _ink(column: Gray) -> NDArray[np.bool_]:
    paper, darkest = float(np.percentile(column, 90)), float(column.min())
    return column < paper - _INK * max(paper - darkest, 32)


def _cells(ink: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last row (exclusive) of each glyph; parts of one glyph, as of 二, are put together."""
    width = max(int(np.ptp(np.flatnonzero(ink.any(axis=0)))) + 1, 1) if ink.any() else 1
    rows = np.concatenate([[False], ink.sum(axis=1) > _LEAST_INK * width, [False]])
    edges = np.flatnonzero(rows[1:] != rows[:-1])
    cells: list[tuple[int, int]] = []
    for top, bottom in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if cells and bottom - cells[-1][0] <= _CELL * width:
            cells[-1] = (cells[-1][0], bottom)
        else:
            cells.append((top, bottom))
    return [part for cell in cells for part in _parted(*cell, width)]


def _parted(top: int, bottom: int, width: int) -> list[tuple[int, int]]:
    """Glyphs that touch, parted at equal heights."""
    count = max(round((bottom - top) / (width * _CELL)), 1)
    borders = np.linspace(top, bottom, count + 1).round().astype(int).tolist()
    return list(pairwise(borders))


def _square(glyph: Gray, ink: NDArray[np.bool_], size: int, paper: int) -> Gray:
    """The glyph in a square of paper: as it stands in horizontal print where it has a form of its own there."""
    columns = np.flatnonzero(ink.any(axis=0))
    if not columns.size:
        return np.full((size, size), paper, np.uint8)
    glyph = glyph[:, columns[0] : columns[-1] + 1]
    height, width = glyph.shape
    bar = width < _THIN * size and height > _LONG * size
    mark = max(height, width) < _SMALL * size and columns[0] > ink.shape[1] / 2
    if bar:
        glyph = np.rot90(glyph)
    if max(glyph.shape) > size:
        scale = size / max(glyph.shape)
        glyph = cv2.resize(
            glyph, (max(int(glyph.shape[1] * scale), 1), max(int(glyph.shape[0] * scale), 1))
        ).astype(np.uint8)
    height, width = glyph.shape
    square = np.full((size, size), paper, np.uint8)
    top, left = (size - height, 0) if mark else ((size - height) // 2, (size - width) // 2)
    square[top : top + height, left : left + width] = glyph
    return square
