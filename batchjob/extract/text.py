"""Cleans a page's text before it is stored, the same way for text layers and OCR."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache, lru_cache
from itertools import pairwise, takewhile
from operator import not_

# PDFium's marks for a hyphen at the end of a line: the word goes on.
_HYPHEN = re.compile("[\x02\ufffe](?:\r\n|[\r\n])?")
_LINE_BREAK = re.compile("\r\n|[\r\f\v\x1c-\x1e\x85\u2028\u2029]")
_UNWANTED = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\uffff]")
_WIDE_GAP = re.compile("   +")
_EMPTY_LINES = re.compile("\n{3,}")


def clean(text: str, *, ocr: bool = False) -> str:
    """The text in NFC, without controls and lone surrogates, with the lines of Japanese paragraphs joined.

    Two spaces stand for any wider gap, as between cells; from OCR, single spaces between Japanese characters
    are noise and go. Nothing else but spaces and line breaks is lost, and cleaning again changes nothing.
    """
    text = _LINE_BREAK.sub("\n", _HYPHEN.sub("", text).replace("\r\n", "\n"))
    text = _UNWANTED.sub("", text)
    while True:
        before, (text, was_joined) = text, _clean_once(text, ocr)
        if text == before or not (was_joined or ocr):  # only these leave anything to a second pass
            return text


def clean_line(text: str) -> str | None:
    """A title or a name: one line, None where nothing is left."""
    return " ".join(clean(text).split()) or None


def says_the_same(one: str, other: str) -> bool:
    """Whether two texts are those of one page, whatever read them: of the same letters and digits, nearly all."""
    a, b = Counter(_compact(one)), Counter(_compact(other))
    return bool(a) and (a & b).total() >= _SAME * max(a.total(), b.total())


def merge_ocr(layer: str, lines: Iterable[tuple[str, float]]) -> str:
    """The text layer, then those recognised lines (text, confidence) that it does not hold already."""
    known = _compact(layer)
    added = [text for text, confidence in lines if confidence >= _SURE and _is_new(_compact(text), known)]
    return clean("\n".join([layer, "", *added])) if added else layer


_SAME = 0.998
_SURE = 60.0
"""Confidence below which a line read in a picture is taken to be no text."""
_SHORTEST_ADDED = 2


def _is_new(line: str, known: str) -> bool:
    return len(line) >= _SHORTEST_ADDED and line not in known


def _compact(text: str) -> str:
    """Letters and digits only, in one form, for comparison."""
    return "".join(character for character in unicodedata.normalize("NFKC", text) if character.isalnum())


def _clean_once(text: str, ocr: bool) -> tuple[str, bool]:
    """The text, and whether lines were joined."""
    text = unicodedata.normalize("NFC", text).replace("\t", " ").replace("\u00a0", " ")
    text = _WIDE_GAP.sub("  ", text)
    if ocr:
        text = _ocr_space().sub("", text)
    lines = [line.strip(" ").rstrip() for line in text.split("\n")]
    joined = _join_paragraphs(lines)
    return _EMPTY_LINES.sub("\n\n", "\n".join(joined)).strip("\n"), joined is not lines


@cache
def _ocr_space() -> re.Pattern[str]:
    """Compiled when first used: large classes of characters take milliseconds, which each parse child would pay."""
    japanese = "".join(f"{chr(low)}-{chr(high)}" for low, high in (*_LETTERS, *_MARKS))
    return re.compile(f"(?<=[{japanese}]) (?=[{japanese}])")


# Joining. A line goes on in the next one when it ends inside a sentence and fills its column.
_FULL = 0.88
"""Share of the longest line nearby from which a line counts as filled; justified lines end unevenly."""
_NEARBY = 4
"""Lines above and below that show how wide the column is."""
_NARROWEST = 24
"""Columns (a Japanese character takes two) of the narrowest line that is joined; below are names and cells."""
_TABLE_CELLS = 3

_LETTERS = (
    (0x3005, 0x3007),
    (0x3041, 0x3096),
    (0x3099, 0x309F),
    (0x30A0, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
)
"""Kana, ideographs and the marks inside words."""
_MARKS = (
    (0x3001, 0x3003),
    (0x3008, 0x301F),
    (0xFF01, 0xFF0F),
    (0xFF1A, 0xFF20),
    (0xFF3B, 0xFF40),
    (0xFF5B, 0xFF65),
)
_COMMAS = "、，"
_OPENING = "「『（〈《【"
_GOES_ON_IN_LATIN = re.compile("[A-Za-z0-9]")
_ENDS_ADDRESS = re.compile("(?:御中|様|殿|各位)\\Z")
_ENDS_ON_PARTICLE = re.compile("[ぁ-ゖ、，]\\Z")
_WIDE = re.compile("[^\x00-\u2e7f]+")
_GAP = re.compile("  |\u3000")
_ITEM = re.compile(
    "[・●○■□◆◇▪▶►※•‣①-⑳㈠-㉟]"
    "|[(（]?[0-9０-９一二三四五六七八九十ァ-ヺa-zA-Z]{1,3}[)）.．、:：\u3000 ]"
    "|第[0-9０-９一二三四五六七八九十百]{1,5}[条章節項号回]"
)


def _join_paragraphs(lines: list[str]) -> list[str]:
    """The lines, with joined paragraphs set apart by empty lines so that they are not joined any further."""
    goes_on = [
        _runs_on(line, following) and _is_filled(lines, index)
        for index, (line, following) in enumerate(pairwise(lines))
    ]
    if not any(goes_on):
        return lines
    joined: list[str] = []
    start = 0
    for end, ends_here in enumerate([*map(not_, goes_on), True], 1):
        if ends_here:
            paragraph = "".join(lines[start:end])
            joined += [paragraph] if end - start == 1 else ["", paragraph, ""]
            start = end
    return joined


def _is_filled(lines: list[str], index: int) -> bool:
    """Whether a line is nearly as wide as the widest one nearby that no empty line parts it from."""
    width = widest = _width(lines[index])
    if width < _NARROWEST:
        return False
    for nearby in (lines[max(index - _NEARBY, 0) : index][::-1], lines[index + 1 : index + _NEARBY + 1]):
        for line in takewhile(bool, nearby):
            widest = max(widest, _width(line))
    return width >= _FULL * widest


def _width(line: str) -> int:
    return len(line) if line.isascii() else len(line) + sum(map(len, _WIDE.findall(line)))


def _runs_on(line: str, following: str) -> bool:
    """Whether a filled line's sentence goes on in the following one."""
    if not line or not following or not (_is_letter(line[-1]) or line[-1] in _COMMAS):
        return False
    if _ENDS_ADDRESS.search(line):
        return False
    if _ITEM.match(following) or _GAP.search(line) or _GAP.search(following):
        return False
    if _cells(line) >= _TABLE_CELLS and _cells(line) == _cells(following):
        return False
    if _GOES_ON_IN_LATIN.match(following):
        return _ENDS_ON_PARTICLE.search(line) is not None
    return _is_letter(following[0]) or following[0] in _OPENING


@lru_cache(maxsize=8192)
def _is_letter(character: str) -> bool:
    return any(low <= ord(character) <= high for low, high in _LETTERS)


def _cells(line: str) -> int:
    return line.count(" ") + 1
