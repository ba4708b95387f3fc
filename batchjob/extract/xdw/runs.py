"""Puts the runs of text that a drawing draws into lines; asked by the readers of EMF and WMF."""

import unicodedata

_CODECS = {
    77: "mac_roman",
    128: "cp932",
    129: "cp949",
    130: "johab",
    134: "gbk",
    136: "big5",
    161: "cp1253",
    162: "cp1254",
    163: "cp1258",
    177: "cp1255",
    178: "cp1256",
    186: "cp1257",
    204: "cp1251",
    222: "cp874",
    238: "cp1250",
}
"""Windows' character sets (MS-WMF 2.1.1.5)."""
SYMBOL = 2
MAX_CHARACTERS = 2_000_000
"""Of one drawing; a page in small print has 10,000."""
_USUAL_SIZE = 12
_CELLS_APART = 2.0
"""Sizes of the font between two runs that are cells of a table."""


def decode(data: bytes, charset: int | None) -> str:
    """8-bit text of a character set; where the set leaves it open, Japanese if it can be, else Western."""
    codec = _CODECS.get(charset if charset is not None else -1)
    if codec:
        return data.decode(codec, errors="replace")
    try:
        return data.decode("cp932")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def decode_stored(data: bytes, *, wide: bool) -> str:
    """Text of an attribute, up to its NUL: UTF-16LE, else CP932."""
    if wide:
        return data[: len(data) // 2 * 2].decode("utf-16-le", errors="replace").split("\0")[0]
    return data.split(b"\0")[0].decode("cp932", errors="replace")


def width_of(text: str, size: float) -> float:
    """About how far a run reaches where the record does not tell."""
    wide = sum(unicodedata.east_asian_width(character) in "WFA" for character in text)
    return (wide + (len(text) - wide) / 2) * size


class Lines:
    """Collects runs in the order in which they are drawn."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._last: tuple[str, float, float] = ("", 0.0, 0.0)
        self._end = 0.0
        self._size = float(_USUAL_SIZE)
        self._room = MAX_CHARACTERS
        self.runs = 0

    def add(self, text: str, x: float, y: float, size: float, width: float | None) -> None:
        """A run that begins at `x` on the line at `y`; `size` of its font, `width` of the run, all in one unit."""
        if not text or self.is_cut_off:
            return
        self._room -= len(text)
        size = abs(size) or self._size
        before, start, line = self._last
        if self.runs:
            if text == before and abs(x - start) < size / 4 and abs(y - line) < size / 4:
                return  # drawn twice to look bold
            self._part(abs(y - line) > max(size, self._size) / 2, x - self._end, size, text)
        self._parts.append(text)
        self.runs += 1
        self._last = (text, x, y)
        self._end = x + (width if width is not None else width_of(text, size))
        self._size = size

    def _part(self, new_line: bool, gap: float, size: float, text: str) -> None:
        if new_line:
            self._parts.append("\n")
        elif gap > size * _CELLS_APART or gap < -size * _CELLS_APART:
            self._parts.append("  ")
        elif gap > size / 2 and not (self._parts[-1].endswith(" ") or text.startswith(" ")):
            self._parts.append(" ")

    @property
    def is_cut_off(self) -> bool:
        """Whether text came after the limit was passed."""
        return self._room <= 0

    @property
    def text(self) -> str:
        return "".join(self._parts)
