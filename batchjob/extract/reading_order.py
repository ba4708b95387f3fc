"""Puts lines into reading order: columns apart, rows of tables across, vertical text right to left."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple


class Line(NamedTuple):
    """A recognised line and the box around it, in pixels; `score` is 0–1."""

    text: str
    score: float
    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top


Row = list[Line]

_TALL = 1.5
"""A box this many times taller than wide is a line of vertical text."""
_SAME_ROW = 0.5
"""Share of the lower box's height that two boxes of a row have in common."""
_CELL_GAP, _WORD_GAP = 1.0, 0.25
"""Gaps between boxes of a row, in heights of a line, that count as between cells and between words."""
_NEW_BLOCK = 1.6
"""Distance of two rows, in usual distances, from which another block begins."""
_LEAST_ROWS = 3
_LEAST_WIDTH = 10.0
"""A column of running text is at least this many line heights wide; narrower ones are cells."""
_FILLED, _FILLED_ROWS = 0.8, 0.6
"""Lines that reach this share of the column count as filled, and this share of lines must be."""


def in_order(lines: Iterable[Line]) -> list[Row]:
    """Rows in reading order, each from left to right; an empty row stands between blocks.

    Every line comes exactly once, whatever the order they are given in.
    """
    given = sorted(lines, key=lambda line: (line.top, line.left, line.bottom, line.right, line.text))
    if is_vertical(given):
        turned = [
            line._replace(left=line.top, right=line.bottom, top=-line.right, bottom=-line.left)
            for line in given
        ]
        back: dict[tuple[float, ...], Row] = {_box(now): [] for now in turned}
        for now, line in zip(turned, given, strict=True):
            back[_box(now)].append(line)
        return [[back[_box(line)].pop(0) for line in row] for row in _order(turned)]
    return _order(given)


def in_rows(lines: Iterable[Line]) -> list[Row]:
    """Rows from top to bottom, without a look for columns, whose time grows with the square of the lines."""
    return _rows([*lines])


def as_text(rows: Sequence[Row]) -> str:
    """One line of text a row; two spaces stand between cells."""
    return "\n".join(_row_text(row) for row in rows)


def is_vertical(lines: Sequence[Line]) -> bool:
    """Whether most characters stand in tall boxes."""
    tall = sum(len(line.text) for line in lines if line.height > _TALL * line.width)
    return tall * 2 > sum(len(line.text) for line in lines)


def _box(line: Line) -> tuple[float, ...]:
    return (line.left, line.top, line.right, line.bottom)


def _order(lines: Sequence[Line]) -> list[Row]:
    if not lines:
        return []
    return _arrange(_rows(lines), median(line.height for line in lines))


def _rows(lines: Sequence[Line]) -> list[Row]:
    """Lines that stand beside each other, from top to bottom, each row from left to right."""
    rows: list[Row] = []
    for line in sorted(lines, key=lambda line: (line.top + line.bottom, line.left)):
        if rows and _beside(rows[-1][0], line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: (line.left, line.top)) for row in rows]


def _beside(first: Line, line: Line) -> bool:
    common = min(first.bottom, line.bottom) - max(first.top, line.top)
    return common > _SAME_ROW * min(first.height, line.height)


def _arrange(rows: list[Row], height: float) -> list[Row]:
    """Splits off the longest stretch of rows that stands in two columns of running text, then goes on in each part."""
    columns = _longest_columns(rows, height)
    if columns is None:
        return _with_blocks(rows)
    first, last, gutter = columns
    lines = [line for row in rows[first:last] for line in row]
    parts = [
        rows[:first],
        _rows([line for line in lines if line.right <= gutter]),
        _rows([line for line in lines if line.right > gutter]),
        rows[last:],
    ]
    arranged: list[Row] = []
    for part in parts:
        if part:
            arranged += [[], *_arrange(part, height)] if arranged else _arrange(part, height)
    return arranged


def _longest_columns(rows: list[Row], height: float) -> tuple[int, int, float] | None:
    best: tuple[int, int, float] | None = None
    for gutter in _gutters(rows, height):
        first = 0
        for index in range(len(rows) + 1):
            if index < len(rows) and not any(line.left < gutter < line.right for line in rows[index]):
                continue
            longer = best is None or index - first > best[1] - best[0]
            if longer and _are_columns(rows[first:index], gutter, height):
                best = (first, index, gutter)
            first = index + 1
    return best


def _gutters(rows: list[Row], height: float) -> list[float]:
    """Where columns may part: middles of gaps between neighbours; lines of two columns need not stand level."""
    found = set()
    for row, following in zip(rows, [*rows[1:], []], strict=True):
        for left, right in pairwise(sorted([*row, *following], key=lambda line: line.left)):
            if right.left - left.right > 0.5 * height:
                found.add(round((left.right + right.left) / 2 / height))
    return [step * height for step in sorted(found)]


def _are_columns(rows: list[Row], gutter: float, height: float) -> bool:
    lines = [line for row in rows for line in row]
    sides = ([x for x in lines if x.right <= gutter], [x for x in lines if x.left >= gutter])
    return all(_is_running_text(side, height) for side in sides)


def _is_running_text(lines: list[Line], height: float) -> bool:
    if len(lines) < _LEAST_ROWS:
        return False
    width = max(line.right for line in lines) - min(line.left for line in lines)
    filled = sum(line.width >= _FILLED * width for line in lines)
    return width >= _LEAST_WIDTH * height and filled >= _FILLED_ROWS * len(lines)


def _with_blocks(rows: list[Row]) -> list[Row]:
    middles = [(row[0].top + row[0].bottom) / 2 for row in rows]
    distances = [below - above for above, below in pairwise(middles)]
    usual = median(distances) if distances else math.inf
    result = rows[:1]
    for row, distance in zip(rows[1:], distances, strict=True):
        result += [[], row] if distance > _NEW_BLOCK * usual else [row]
    return result


def _row_text(row: Row) -> str:
    text = ""
    for index, line in enumerate(row):
        if index:
            gap = line.left - row[index - 1].right
            height = min(line.height, row[index - 1].height)
            text += "  " if gap > _CELL_GAP * height else " " if gap > _WORD_GAP * height else ""
        text += line.text
    return text
