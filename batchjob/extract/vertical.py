"""Puts the columns of vertical writing in order, which PDFium gives from left to right; asked by pdf.py."""

import ctypes
import re
from typing import NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as c

_JAPANESE = re.compile("[\u3041-\u30ff\u4e00-\u9fff]")
_TALL = 2.5
"""Times its width that a piece of text must be high to be a column of three characters or more."""
_VERTICAL_SHARE = 0.5
_MOST_PIECES = 5000
_SAMPLES = 32
"""Pairs of neighbouring characters that are looked at first, which is a quarter of the work."""
_FEW_GO_DOWN = 1 / 8
"""Share of them below which a page is not looked at any closer: columns over half of it yield far more."""


class _Piece(NamedTuple):
    left: float
    bottom: float
    right: float
    top: float

    @property
    def is_column(self) -> bool:
        return self.top - self.bottom > _TALL * (self.right - self.left)

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.top - self.bottom)


def in_reading_order(textpage: pdfium.PdfTextPage, layer: str) -> str:
    """The text layer, its columns from right to left where most of the page is written vertically.

    Columns that stand one above the other form tiers, which are read from the top.
    """
    if not _JAPANESE.search(layer) or not _may_be_vertical(textpage):
        return layer
    pieces = _pieces(textpage)
    columns = sum(piece.area for piece in pieces if piece.is_column)
    if columns <= _VERTICAL_SHARE * sum(piece.area for piece in pieces):
        return layer
    ordered = [piece for tier in _tiers(pieces) for piece in sorted(tier, key=lambda one: -one.right)]
    text = "\n".join(
        textpage.get_text_bounded(piece.left, piece.bottom, piece.right, piece.top) for piece in ordered
    )
    return text if _characters(text) == _characters(layer) else layer


def _may_be_vertical(textpage: pdfium.PdfTextPage) -> bool:
    """Whether in many places a character stands below the one before it."""
    x0, y0, x1, y1 = (ctypes.c_double() for _ in range(4))
    handle = textpage.raw
    last = c.FPDFText_CountChars(handle) - 1
    places = range(0, last, max(last // _SAMPLES, 1))
    go_down = 0
    for index in places:
        c.FPDFText_GetCharOrigin(handle, index, x0, y0)
        c.FPDFText_GetCharOrigin(handle, index + 1, x1, y1)
        go_down += abs(y1.value - y0.value) > abs(x1.value - x0.value)
    return go_down >= _FEW_GO_DOWN * len(places)


def _pieces(textpage: pdfium.PdfTextPage) -> list[_Piece]:
    count = c.FPDFText_CountRects(textpage, 0, -1)
    left, top, right, bottom = (ctypes.c_double() for _ in range(4))
    pieces = []
    for index in range(min(count, _MOST_PIECES)):
        if c.FPDFText_GetRect(textpage, index, left, top, right, bottom):
            pieces.append(_Piece(left.value, bottom.value, right.value, top.value))
    return pieces


def _tiers(pieces: list[_Piece]) -> list[list[_Piece]]:
    """From the top, apart where no piece crosses a height."""
    tiers: list[list[_Piece]] = []
    floor = float("-inf")
    for piece in sorted(pieces, key=lambda one: -one.top):
        if tiers and piece.top > floor:
            tiers[-1].append(piece)
            floor = min(floor, piece.bottom)
        else:
            tiers.append([piece])
            floor = piece.bottom
    return tiers


def _characters(text: str) -> list[str]:
    return sorted("".join(text.split()))
