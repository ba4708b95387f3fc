"""Decides for each PDF page whether its text layer is enough or OCR is needed; asked by the parse child."""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

FEW_CHARACTERS = 16
"""Fewer say nothing about the quality of a text layer."""
STAMP_CHARACTERS = 200
"""A page that is mostly picture has its text in the picture when the layer holds fewer."""
CONTROL_SHARE = 0.01
"""Controls come from fonts whose codes were taken for characters; digits and signs land there first."""
ODD_SHARE = 0.05
READABLE_SHARE = 0.85
PICTURE_PAGE_SHARE = 0.5
PICTURE_SHARE = 0.05
OUTLINE_PATHS = 50
"""More paths than this on a page without text may be letters drawn as outlines."""


class PageMeasure(NamedTuple):
    """What is counted on a page. `characters` leaves out spaces; shares are 0–1.

    `odd`: what no text has (U+FFFD, private use, unassigned); `readable`: of the scripts that are expected,
    without ideographs that hardly any text has; `invisible`: text objects in render mode 3; `pictures`: share
    of the page under images.
    """

    characters: int
    controls: int
    odd: int
    readable: int
    text_objects: int
    invisible: int
    pictures: float
    paths: int


class Reading(NamedTuple):
    """What to take from a page."""

    layer: bool
    ocr: bool


LAYER = Reading(layer=True, ocr=False)
OCR = Reading(layer=False, ocr=True)
BOTH = Reading(layer=True, ocr=True)
BLANK = Reading(layer=False, ocr=False)


def decide(page: PageMeasure) -> Reading:
    """The first rule that fits; the thresholds were found on born-digital, scanned and damaged pages."""
    few = page.characters < FEW_CHARACTERS
    reading = LAYER
    if not few and _is_broken(page):
        reading = OCR
    elif page.invisible * 2 > page.text_objects and page.characters:
        reading = LAYER  # an earlier OCR's layer
    elif few and (page.pictures > 0 or page.paths > OUTLINE_PATHS):
        reading = OCR
    elif not page.characters:
        reading = BLANK
    elif page.pictures > PICTURE_PAGE_SHARE and page.characters < STAMP_CHARACTERS:
        reading = OCR  # a stamp on a scan
    elif not few and page.pictures > PICTURE_SHARE:
        reading = BOTH
    return reading


def _is_broken(page: PageMeasure) -> bool:
    if page.controls > CONTROL_SHARE * page.characters:
        return True
    return page.odd > ODD_SHARE * page.characters or page.readable < READABLE_SHARE * page.characters


def count_characters(text: str) -> tuple[int, int, int, int]:
    """Characters without spaces, and how many of them are controls, odd, readable, as in PageMeasure."""
    characters = _SPACE.sub("", text)
    rest = _READABLE.sub("", characters)
    controls = odd = 0
    for character in rest:
        category = unicodedata.category(character)
        if category == "Cc":
            controls += 1
        elif category in _ODD_CATEGORIES or character == "\ufffd":
            odd += 1
    return len(characters), controls, odd, len(characters) - len(rest) - _count_rare(characters)


def _count_rare(characters: str) -> int:
    """Ideographs that no old national standard has; most of what a wrong font map yields is rare."""
    ideographs = "".join(_HAN.findall(characters))
    if _has_all(_COMMON_HAN[0], ideographs):
        return 0
    return sum(not _is_common(character) for character in ideographs)


_ODD_CATEGORIES = frozenset({"Cn", "Co", "Cs"})
# U+0002 and U+FFFE: PDFium's marks for a hyphen at the end of a line.
_SPACE = re.compile("[ \t\r\n\f\x02\ufffe\u00a0\u2000-\u200b\u3000]+")
_HAN = re.compile("[\u4e00-\u9fff]+")
_READABLE = re.compile(
    "["
    "\x21-\x7e\xa1-\u024f\u1e00-\u1eff"  # ASCII, Latin
    "\u2010-\u2027\u2030-\u205e\u20a0-\u20bf"  # punctuation, currencies
    "\u0391-\u03c9\u0410-\u044f"  # Greek and Cyrillic as in JIS X 0208
    "\u2100-\u22ff\u2460-\u27bf"  # letter-like signs, arrows, operators, enclosed numbers, boxes, shapes
    "\u3000-\u30ff\u31f0-\u33ff"  # CJK punctuation, kana, enclosed and square CJK
    "\u4e00-\u9fff\uf900-\ufaff\uff01-\uffef"  # CJK, full-width and half-width forms
    "]+"
)
_COMMON_HAN = ("cp932", "gb2312", "euc_kr")


@lru_cache(maxsize=4096)
def _is_common(character: str) -> bool:
    return any(_has_all(encoding, character) for encoding in _COMMON_HAN)


def _has_all(encoding: str, characters: str) -> bool:
    try:
        characters.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
