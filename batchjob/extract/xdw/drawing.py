"""What a drawing shows: text, pictures and where they lie, and how much else; made by the readers of EMF and WMF."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from batchjob.extract.xdw.charsets import SYMBOL, decode, decode_wide, signs_of
from batchjob.extract.xdw.context import Font
from batchjob.extract.xdw.runs import Lines

MAX_RECORDS = 2_000_000
MAX_PICTURES = 5_000
_FARTHEST = 1e9
"""Device units; a page at 1,200 dpi has 14,000."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in the drawing's device units; right and bottom are less where it is mirrored."""


class Dib(NamedTuple):
    """A bitmap: its header with its colours, and its pixels."""

    header: bytes
    bits: bytes


class Stored(NamedTuple):
    """The picture that the page lists under this number, from 0."""

    number: int


def from_top(header: bytes, top: int, height: int) -> int:
    """The row, counted from the top, at which a part begins that is counted from the origin, mostly at the bottom."""
    rows = int.from_bytes(header[8:12], "little", signed=True)
    return rows - top - abs(height) if rows > 0 else top


class Placed(NamedTuple):
    """A picture on a drawing. `part`: left, top, width, height of what shows of it, in its own pixels."""

    source: Dib | Stored
    box: Box
    part: tuple[int, int, int, int]
    operation: int


@dataclass(slots=True)
class Drawing:
    """`frame` in device units, `per_inch` of them (0 where unknown).

    `glyphs` counts runs that cannot be read, `symbols` those by the symbol fonts whose signs are not known.
    """

    frame: Box = (0.0, 0.0, 0.0, 0.0)
    per_inch: float = 0.0
    lines: Lines = field(default_factory=Lines)
    pictures: list[Placed] = field(default_factory=list)
    paths: int = 0
    glyphs: int = 0
    symbols: Counter[str] = field(default_factory=Counter)
    damaged: bool = False
    unread: set[str] = field(default_factory=set)

    def text_of(self, data: bytes, font: Font, *, glyphs: bool, wide: bool) -> str:
        """A run of text as it was stored: `wide` as UTF-16. Empty where it cannot be read, which is counted."""
        if glyphs:
            self.glyphs += 1
            return ""
        if font.charset == SYMBOL:
            signs = signs_of(data, font.face, wide=wide)
            if signs is None:
                self.symbols[font.face] += 1
            return signs or ""
        return decode_wide(data) if wide else decode(data, font.charset)

    def place(self, source: Dib | Stored, box: Box, part: Sequence[int], operation: int) -> None:
        if len(self.pictures) >= MAX_PICTURES:
            self.unread.add(f"pictures beyond {MAX_PICTURES:,}")
            return
        if not all(abs(value) <= _FARTHEST for value in box):
            self.damaged = True
            return
        left, top, width, height = part
        self.pictures.append(Placed(source, box, (left, top, width, height), operation))
