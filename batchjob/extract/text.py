"""Cleans a page's text before it is stored, the same way for text layers and OCR."""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import pairwise

# PDFium's marks for a hyphen at the end of a line: the word goes on.
_HYPHEN = re.compile("[\x02\ufffe](?:\r\n|[\r\n])?")
_LINE_BREAK = re.compile("\r\n|[\r\f\v\x1c-\x1e\x85\u2028\u2029]")
_UNWANTED = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\uffff]")
_BLANKS = re.compile("[\t \u00a0]+")
_EMPTY_LINES = re.compile("\n{3,}")


def clean(text: str, *, ocr: bool = False) -> str:
    """The text in NFC, without controls and lone surrogates, with the lines of Japanese paragraphs joined.

    Two spaces stand for any wider gap, as between cells; from OCR, single spaces between Japanese characters
    are noise and go. Nothing else but spaces and line breaks is lost, and cleaning again changes nothing.
    """
    text = _LINE_BREAK.sub("\n", _HYPHEN.sub("", text))
    text = _UNWANTED.sub("", text)
    while (cleaned := _clean_once(text, ocr)) != text:
        text = cleaned
    return text


def clean_line(text: str) -> str | None:
    """A title or a name: one line, None where nothing is left."""
    return " ".join(clean(text).split()) or None


def merge_ocr(layer: str, lines: Iterable[tuple[str, float]]) -> str:
    """The text layer, then those recognised lines (text, confidence) that it does not hold already."""
    known = _compact(layer)
    added = [text for text, confidence in lines if confidence >= _SURE and _is_new(_compact(text), known)]
    return clean("\n".join([layer, "", *added])) if added else layer


_SURE = 60.0
"""Confidence below which a line read in a picture is taken to be no text."""
_SHORTEST_ADDED = 2


def _is_new(line: str, known: str) -> bool:
    return len(line) >= _SHORTEST_ADDED and line not in known


def _compact(text: str) -> str:
    """Letters and digits only, in one form, for comparison."""
    return "".join(character for character in unicodedata.normalize("NFKC", text) if character.isalnum())


def _clean_once(text: str, ocr: bool) -> str:
    lines = [_clean_blanks(line, ocr) for line in unicodedata.normalize("NFC", text).split("\n")]
    return _EMPTY_LINES.sub("\n\n", "\n".join(_join_paragraphs(lines))).strip("\n")


def _clean_blanks(line: str, ocr: bool) -> str:
    line = _BLANKS.sub(lambda run: " " if len(run[0]) == 1 else "  ", line).strip(" ").rstrip()
    return _ocr_space().sub("", line) if ocr else line


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
_WIDE = re.compile("[^\x00-\u2e7f]")
_GAP = re.compile("  |\u3000")
_ITEM = re.compile(
    "[・●○■□◆◇▪▶►※•‣①-⑳㈠-㉟]"
    "|[(（]?[0-9０-９一二三四五六七八九十ァ-ヺa-zA-Z]{1,3}[)）.．、:：\u3000 ]"
    "|第[0-9０-９一二三四五六七八九十百]{1,5}[条章節項号回]"
)


def _join_paragraphs(lines: list[str]) -> list[str]:
    """The lines, with joined paragraphs set apart by empty lines so that they are not joined any further."""
    joined: list[str] = []
    index = 0
    filled = _filled(lines)
    while index < len(lines):
        paragraph = lines[index]
        start = index
        while index + 1 < len(lines) and filled[index] and _runs_on(lines[index], lines[index + 1]):
            index += 1
            paragraph += lines[index]
        joined += [paragraph] if start == index else ["", paragraph, ""]
        index += 1
    return joined


def _filled(lines: list[str]) -> list[bool]:
    widths = [len(line) + len(_WIDE.findall(line)) for line in lines]
    block = [0]
    for above, below in pairwise(lines):
        block.append(block[-1] + (not above or not below))
    filled = []
    for index, width in enumerate(widths):
        nearby = range(max(index - _NEARBY, 0), min(index + _NEARBY + 1, len(lines)))
        widest = max(widths[other] for other in nearby if block[other] == block[index])
        filled.append(width >= _NARROWEST and width >= _FULL * widest)
    return filled


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


def _is_letter(character: str) -> bool:
    return any(low <= ord(character) <= high for low, high in _LETTERS)


def _cells(line: str) -> int:
    return line.count(" ") + 1
