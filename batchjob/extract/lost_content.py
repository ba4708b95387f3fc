"""Tells a PDF page that lost its content by damage from one that is blank; asked by pdf.py.

PDFium hands out no content streams, but copies a page into a file of its own, written in one plain way. Only what
is surely damage is told.
"""

import base64
import re
from contextlib import closing
from io import BytesIO
from typing import Any, NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as c

from batchjob.errors import FailureCategory
from batchjob.extract.detect import Loss
from batchjob.extract.flate import inflated
from batchjob.extract.objects import page_objects

_MOST_COPIED = 64 * 1024 * 1024
"""Bytes of a document's blank pages that are looked at: a copy of a page holds all that it shares with others."""
_LARGEST_COPIED_FROM = 256 * 1024 * 1024
"""Bytes of a file; one copy may take as much memory."""
_MOST_CONTENT = 4 * 1024 * 1024

_PAGE, _REFERENCE = re.compile(rb"/Type/Page(?![a-zA-Z])"), re.compile(rb"(\d+) 0 R")
_STREAM, _STREAM_END = b">>stream\r\n", b"\r\nendstream"
_FILTER = re.compile(rb"/Filter(\[[^\]\d]*\]|/\w+)")
_NAMES = re.compile(rb"/([\w.+-]+) (\d+) 0 R", re.ASCII)

_GARBAGE_SHARE = 0.3
_GARBAGE = re.compile(rb"[^\0\t\n\f\r -~]")
_SAYINGS = re.compile(
    rb"""%[^\r\n]*
    | \( (?: \\.? | [^\\()] | \( (?: \\.? | [^\\()] )*+ \) )*+ (?: \) | \Z )
    | <(?!<) [\s\da-fA-F]*+ >""",
    re.DOTALL | re.VERBOSE,
)
"""Comments and strings (ISO 32000-1, 7.2.3, 7.3.4); of brackets in brackets one pair."""
_WORDS = b"(_)"
_DRAWS = re.compile(rb"/([\w.+-]+)\s+Do(?![^\s\0()<>\[\]{}/%])", re.ASCII)
"""Without names that may be written in two ways (ISO 32000-1, 7.3.5)."""
_FONT, _TEXT_END = re.compile(rb"/[\w.+-]+\s+[\d.+-]+\s+Tf\b"), re.compile(rb"\bET\b")
_SHOWN = re.compile(rb"""\(_\)(?:\s*(?:Tj\b|'|")|[\s\d.+-]*\]\s*TJ\b)""")
"""Words that are shown (ISO 32000-1, 9.4.3)."""


class LostContent:
    """Finds pages on which PDFium draws nothing though their content says more."""

    def __init__(self, pdf: pdfium.PdfDocument, size: int) -> None:
        self._pdf = pdf
        self._left = _MOST_COPIED if size <= _LARGEST_COPIED_FROM else 0

    def of(self, page: pdfium.PdfPage, index: int) -> Loss | None:
        """What to say of the page, None where it is only blank, or where its document cost too much already."""
        kinds = {kind for _, kind, _ in page_objects(page)}
        if kinds - {c.FPDF_PAGEOBJ_FORM} or self._left <= 0:
            return None
        copy = _Beginning(self._left)
        with closing(pdfium.PdfDocument.new()) as one:
            one.import_pages(self._pdf, [index])
            one.save(copy)
        self._left -= copy.written
        message = None if self._left < 0 else _lost_in(_objects(copy.getvalue()), all_gone=not kinds)
        return Loss(FailureCategory.CORRUPT, message) if message else None


class _Beginning(BytesIO):
    """Keeps so many bytes of what is written, and counts all."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most, self.written = most, 0

    def write(self, data: Any) -> int:
        self.written += len(data)
        return super().write(data) if self.written <= self._most else len(data)


class _DamagedError(Exception):
    pass


class _Object(NamedTuple):
    dictionary: bytes
    data: memoryview | None
    """Of a stream, packed."""


_Objects = dict[int, _Object]


def _objects(file: bytes) -> _Objects:
    """The objects of a PDF that PDFium wrote, by their numbers."""
    table = int(file[file.rindex(b"startxref") + len("startxref") :].split(maxsplit=1)[0])
    starts = sorted(int(place) for place in re.findall(rb"(\d{10}) \d{5} n", file[table:]))
    objects, view = {}, memoryview(file)
    for start, end in zip(starts, [*starts[1:], table], strict=True):
        stream = file.find(_STREAM, start, end)
        number, _, dictionary = file[start : end if stream < 0 else stream].partition(b" 0 obj")
        data = view[stream + len(_STREAM) : file.rfind(_STREAM_END, stream, end)] if stream >= 0 else None
        objects[int(number)] = _Object(dictionary, data)
    return objects


def _lost_in(objects: _Objects, *, all_gone: bool) -> str | None:
    """What to say of the only page there; `all_gone`: not so much as an empty form is drawn."""
    pages = [found.dictionary for found in objects.values() if _PAGE.search(found.dictionary)]
    if len(pages) != 1:
        return None
    try:
        content = b"\n".join(_content(objects[number]) for number in _contents(pages[0], objects))
        drawn = set(_DRAWS.findall(content))
        named = _streams_named(drawn, objects)
        forms = [
            _content(objects[min(one)])
            for one in named.values()
            if len(one) == 1 and b"/Subtype/Form" in objects[min(one)].dictionary
        ]
    except _DamagedError:
        return "the content of the page is damaged, and nothing of it can be drawn"
    if any(map(_says, [content, *forms])):
        return "the page says words, but its content is damaged, and none of them can be drawn"
    return "the page names what to draw, but it cannot be found" if all_gone and drawn - set(named) else None


def _says(content: bytes) -> bool:
    """Whether words are shown in a font. PDFium has one for all that cannot be found, but without shows nothing."""
    fonts = ((text, _FONT.search(text)) for text in _TEXT_END.split(content))
    return any(font and _SHOWN.search(text, font.end()) for text, font in fonts)


def _contents(page: bytes, objects: _Objects) -> list[int]:
    """The numbers of the page's content streams, which are named there or in an array named there."""
    [*named] = re.findall(rb"/Contents(\[[^\]]*\]| \d+ 0 R)", page)[:1]
    numbers = []
    for number in _REFERENCE.findall(b"".join(named)):
        array = objects[int(number)].dictionary.lstrip() if int(number) in objects else b""
        numbers += _REFERENCE.findall(array) if array.startswith(b"[") else [number]
    return [int(number) for number in numbers if int(number) in objects]


def _streams_named(names: set[bytes], objects: _Objects) -> dict[bytes, set[int]]:
    """The numbers of the streams to which any dictionary gives one of these names."""
    found: dict[bytes, set[int]] = {}
    for one in objects.values():
        for name, number in _NAMES.findall(one.dictionary):
            if name in names and (to := objects.get(int(number))) is not None and to.data is not None:
                found.setdefault(name, set()).add(int(number))
    return found


def _content(stream: _Object) -> bytes:
    """Its first _MOST_CONTENT bytes without comments, and _WORDS for every string that is not empty.

    Nothing where its packing is not known here. Raises _DamagedError.
    """
    said = _SAYINGS.sub(_without_words, _unpacked(stream)[:_MOST_CONTENT])
    if len(_GARBAGE.findall(said)) > _GARBAGE_SHARE * len(said):
        raise _DamagedError
    return said


def _without_words(saying: re.Match[bytes]) -> bytes:
    is_string = not saying[0].startswith(b"%")
    return _WORDS if is_string and saying[0][1:-1].strip() else b" "


def _unpacked(stream: _Object) -> bytes:
    data, filter_ = bytes(stream.data or b""), _FILTER.search(stream.dictionary)
    is_unknown = b"/DecodeParms" in stream.dictionary or (b"/Filter" in stream.dictionary and not filter_)
    if is_unknown or not data.strip():
        return b""
    for name in re.findall(rb"/(\w+)", filter_[1]) if filter_ else []:
        if name == b"ASCII85Decode":
            data = _from_ascii(data)
        elif name == b"FlateDecode":
            data = _inflated(data)
        else:
            return b""
    return data


def _from_ascii(data: bytes) -> bytes:
    try:
        return base64.a85decode(data.strip().removeprefix(b"<~").removesuffix(b"~>"))
    except ValueError:
        raise _DamagedError from None


def _inflated(data: bytes) -> bytes:
    found = inflated(data, keep=_MOST_CONTENT)
    if found is None:
        raise _DamagedError
    return found
