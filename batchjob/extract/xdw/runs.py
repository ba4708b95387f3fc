"""Puts the runs of text that a drawing draws into lines in reading order; asked by the readers of EMF and WMF."""

import math
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from batchjob.extract.reading_order import Line, as_text, in_order, in_rows

MAX_CHARACTERS = 2_000_000
"""Of one drawing; a page in small print has 10,000."""
_MOST_ORDERED = 3000
"""Pieces of text among which columns are looked for, which takes up to 3 s."""
_FARTHEST = 1e9
"""Device units; a page at 1,200 dpi has 14,000."""
_USUAL_SIZE = 12.0
_SAME_LINE, _SAME_PIECE, _BACK = 0.5, 1.0, -0.5
"""Sizes of the font that two runs drawn one after the other may lie above, behind and before each other in a line."""
_SPACE, _WIDE_SPACE = 0.2, 0.5
"""Gaps between two runs from which there is a space, the second beside ideographs and kana."""
_PITCH = (0.7, 1.2)
"""Sizes from one character to the next one below it where text is written vertically."""
_RIGHT, _CENTRE, _BASELINE, _BOTTOM = 0x2, 0x6, 0x18, 0x8
_MIDDLE = {0: 0.5, _BOTTOM: -0.5, _BASELINE: -0.36}
"""Sizes from what the alignment calls a run's place down to the middle of its line."""
_NARROWEST = 0.7
"""Sizes that text across reaches at the least, lest a digit alone count as a column."""
_TURNS = 4
_DOWN = 1


class Spot(NamedTuple):
    """Where a run is drawn, in device units: `angle` in degrees clockwise, `align` as in MS-WMF 2.1.2.3."""

    x: float
    y: float
    size: float
    width: float | None = None
    angle: float = 0.0
    align: int = 0


@dataclass(slots=True)
class _Piece:
    """Text along one line. The box is that of a drawing turned so that the text goes from left to right.

    `turn`: quarter turns clockwise of the text.
    """

    text: str
    turn: int
    left: float
    right: float
    middle: float
    size: float
    parts: list[str] = field(default_factory=list)

    def line(self, turn: int) -> Line:
        top, bottom = self.middle - self.size / 2, self.middle + self.size / 2
        box = (self.left, top, max(self.right, self.left + _NARROWEST * self.size), bottom)
        if turn != self.turn:
            corners = [_turned(*_turned(x, y, -self.turn), turn) for x, y in (box[:2], box[2:])]
            (x0, y0), (x1, y1) = corners
            box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        return Line("".join(self.parts), 1.0, *box)


def _turned(x: float, y: float, turns: int) -> tuple[float, float]:
    """A point in a drawing that is turned back by quarter turns, clockwise ones."""
    for _ in range(turns % _TURNS):
        x, y = y, -x
    return x, y


def width_of(text: str, size: float) -> float:
    """About how far a run reaches where the record does not tell."""
    wide = sum(map(_is_wide, text))
    return (wide + (len(text) - wide) / 2) * size


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WFA"


class Lines:
    """Collects runs, and gives their text in reading order."""

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []
        self._last: tuple[str, float, float] = ("", 0.0, 0.0)
        self._room = MAX_CHARACTERS
        self._text: str | None = None
        self.runs = 0

    def add(self, text: str, spot: Spot) -> None:
        """Takes a run; one that is drawn twice at a place, to look bold, counts once."""
        if not text or self.is_cut_off:
            return
        self._room -= len(text)
        self._text = None
        piece = _piece(text, spot, self._pieces[-1].size if self._pieces else _USUAL_SIZE)
        before, start, line = self._last
        apart = max(abs(piece.left - start), abs(piece.middle - line))
        if self.runs and text == before and apart < piece.size / 4:
            return
        self._last = (text, piece.left, piece.middle)
        self.runs += 1
        if not (self._pieces and _go_on(self._pieces[-1], piece)):
            self._pieces.append(piece)

    @property
    def is_cut_off(self) -> bool:
        """Whether text came after the limit was passed."""
        return self._room <= 0

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = _in_reading_order(_columns(self._pieces))
        return self._text


def _piece(text: str, spot: Spot, usual: float) -> _Piece:
    size = _within(abs(spot.size)) or usual
    width = _within(abs(width_of(text, size) if spot.width is None else spot.width))
    turn = round(_within(spot.angle) / 90) % _TURNS
    left, middle = _turned(_within(spot.x), _within(spot.y), turn)
    across = spot.align & _CENTRE
    left -= width if across == _RIGHT else width / 2 if across == _CENTRE else 0
    middle += size * _MIDDLE.get(spot.align & _BASELINE, 0.5)
    return _Piece(text, turn, left, left + width, middle, size, [text])


def _within(value: float) -> float:
    """What a damaged drawing may say is kept within what can be computed with."""
    return min(max(value, -_FARTHEST), _FARTHEST) if math.isfinite(value) else 0.0


def _go_on(piece: _Piece, following: _Piece) -> bool:
    """Appends a run that goes on where the one before it ends, and says whether it does."""
    size = max(piece.size, following.size)
    gap = (following.left - piece.right) / size
    same_line = abs(following.middle - piece.middle) <= _SAME_LINE * size
    if piece.turn != following.turn or not same_line or not _BACK <= gap <= _SAME_PIECE:
        return False
    before, after = piece.text[-1], following.text[0]
    wide = _is_wide(before) or _is_wide(after)
    if gap > (_WIDE_SPACE if wide else _SPACE) and not (before.isspace() or after.isspace()):
        piece.parts.append(" ")
    piece.parts.append(following.text)
    piece.text = following.text
    piece.right = max(piece.right, following.right)
    piece.size = size
    return True


def _columns(pieces: list[_Piece]) -> list[_Piece]:
    """The pieces, in which characters that stand below each other are one piece that goes down."""
    single = [piece for piece in pieces if piece.turn == 0 and _may_stand_in_column(piece)]
    chains = [chain for chain in _chains(single) if len(chain) > 1]
    if not chains:
        return pieces
    taken = {id(piece) for chain in chains for piece in chain}
    return [*map(_downwards, chains), *(piece for piece in pieces if id(piece) not in taken)]


def _chains(single: list[_Piece]) -> Iterator[list[_Piece]]:
    """Characters of which each stands below the one before it."""
    beside: list[list[_Piece]] = []
    for piece in sorted(single, key=lambda piece: piece.left):
        if beside and piece.left - beside[-1][0].left <= piece.size / 2:
            beside[-1].append(piece)
        else:
            beside.append([piece])
    for pieces in beside:
        chain: list[_Piece] = []
        for piece in sorted(pieces, key=lambda piece: piece.middle):
            if chain and not _is_below(chain[-1], piece):
                yield chain
                chain = []
            chain.append(piece)
        yield chain


def _may_stand_in_column(piece: _Piece) -> bool:
    """Digits and signs that stand below each other are cells of a table."""
    text = "".join(piece.parts).strip()
    return len(text) == 1 and _is_wide(text) and unicodedata.category(text)[0] in "LP"


def _is_below(above: _Piece, piece: _Piece) -> bool:
    least, most = _PITCH
    return least <= (piece.middle - above.middle) / max(above.size, piece.size) <= most


def _downwards(chain: list[_Piece]) -> _Piece:
    first, last = chain[0], chain[-1]
    start, end = first.middle - first.size / 2, last.middle + last.size / 2
    middle = -(first.left + first.right) / 2
    return _Piece(
        "", _DOWN, start, end, middle, first.size, [part for piece in chain for part in piece.parts]
    )


def _in_reading_order(pieces: list[_Piece]) -> str:
    """What goes the way that most text goes, then what is turned another way.

    Text that goes down holds numbers and words that lie across it.
    """
    characters: Counter[int] = Counter()
    for piece in pieces:
        characters[piece.turn] += sum(map(len, piece.parts))
    ways: dict[int, list[Line]] = {turn: [] for turn, _ in characters.most_common()}
    usual = next(iter(ways), 0)
    for piece in pieces:
        way = usual if usual == _DOWN and not piece.turn else piece.turn
        ways[way].append(piece.line(way))
    order = in_order if len(pieces) <= _MOST_ORDERED else in_rows
    return "\n\n".join(as_text(order(lines)) for lines in ways.values() if lines)
