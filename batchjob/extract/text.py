"""Cleans a page's text before it is stored, the same way for text layers and OCR."""

import re
import unicodedata

JAPANESE = (
    "\u3005-\u3007\u3041-\u309f\u30a0-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
)
# Marks of PDFium for a hyphen at the end of a line: the word goes on.
_HYPHEN = re.compile("[\x02\ufffe]\r?\n?")
_LINE_BREAK = re.compile("\r\n|[\r\n\f\v\x85\u2028\u2029]")
_UNWANTED = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U0001fffe\U0001ffff]"
)


def clean(text: str, *, ocr: bool = False) -> str:
    text = _HYPHEN.sub("", text)
    text = _LINE_BREAK.sub("\n", text).replace("\t", " ")
    text = _UNWANTED.sub("", text)
    return unicodedata.normalize("NFC", text).strip()


def clean_line(text: str) -> str | None:
    """A title or a name: one line, None where nothing is left."""
    return " ".join(clean(text).split()) or None


def merge_ocr(layer: str, lines: list[tuple[str, float]]) -> str:
    """The text layer, then those recognised lines (text, confidence) that it does not hold already."""
    known = _compact(layer)
    added = [
        text
        for text, confidence in lines
        if confidence >= _SURE and len(_compact(text)) >= _SHORTEST_LINE and _compact(text) not in known
    ]
    return "\n".join([layer, "", *added]).strip() if added else layer


_SURE = 60.0
_SHORTEST_LINE = 2


def _compact(text: str) -> str:
    """Letters and digits only, in one form, for comparison."""
    return "".join(character for character in unicodedata.normalize("NFKC", text) if character.isalnum())
