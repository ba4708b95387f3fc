"""Tells a PDF page that lost something by damage from one that is blank; asked by pdf.py.

PDFium draws what it can and says nothing of the rest. Only what is surely damage is told.
"""

import base64
import math
import re
import zlib
from contextlib import closing
from io import BytesIO
from typing import Any, NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as c

from batchjob.extract.objects import page_objects
from batchjob.extract.scan import (
    PLAIN_COLOURS,
    ImageKeys,
    about_image,
    bytes_of,
    filters,
    pixel_size,
    raw_data,
)

_MOST_PIXELS = 100_000_000
"""Of a page's pictures together; those that would pass this are not looked at."""
_MOST_PICTURES = 1000
_BYTES_A_PIXEL = {
    c.FPDFBitmap_Gray: 1,
    c.FPDFBitmap_BGR: 3,
    c.FPDFBitmap_BGRx: 4,
    c.FPDFBitmap_BGRA: 4,
}
_FAXES = (b"CCITTFaxDecode", b"JBIG2Decode")
_SAYS_SOMETHING = 1024
"""Bytes that the data of one shade does not fill when it is packed again, in whatever way it was packed."""
_PACKED_SHADE = 200
"""Times that a row of equal bytes shrinks, at the least."""
_JPEG_START, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_TAIL = 1024
_NOISE = b"\x55" * 4096

_MOST_COPIED = 64 * 1024 * 1024
"""Bytes of a document's blank pages that are looked at: a copy of a page holds all that it shares with others."""
_LARGEST_COPIED_FROM = 256 * 1024 * 1024
"""Bytes of a file; one copy may take as much memory."""
_PAGE, _STREAM = re.compile(rb"/Type/Page(?![a-zA-Z])"), b">>stream\r\n"
_LENGTH, _REFERENCE = re.compile(rb"/Length (\d+)(?! 0 R)(?!\d)"), re.compile(rb"(\d+) 0 R")
_FILTER = re.compile(rb"/Filter(\[[^\]]*\]|/\w+)")
_MOST_CONTENT = 4 * 1024 * 1024
_GARBAGE_SHARE = 0.3
_GARBAGE = re.compile(rb"[^\0\t\n\f\r -~]")
_SAYINGS = re.compile(rb"\((?:\\.|[^\\()])*+\)|%[^\r\n]*", re.DOTALL)
"""Strings and comments (ISO 32000-1, 7.3.4.2, 7.2.3)."""
_DRAWS = re.compile(rb"/([\w.+-]+)\s+Do(?![^\s\0()<>\[\]{}/%])", re.ASCII)
"""Without names that may be written in two ways (ISO 32000-1, 7.3.5)."""
_NAMES = re.compile(rb"/([\w.+-]+) (\d+) 0 R", re.ASCII)


def lost_picture(page: pdfium.PdfPage, keys: ImageKeys, *, rendered: bool) -> str | None:
    """What to say of a picture on the page that is damaged, None where none surely is.

    `rendered`: PDFium drew the page, so that whether it draws the picture is worth a look.
    """
    pixels = pictures = 0
    for raw, kind, _ in page_objects(page):
        if kind != c.FPDF_PAGEOBJ_IMAGE:
            continue
        size, pictures = math.prod(pixel_size(raw)), pictures + 1
        if pictures > _MOST_PICTURES:
            return None
        if pixels + size > _MOST_PIXELS:
            continue
        pixels += size
        if filters(raw) == [b"DCTDecode"] and _is_cut_off(raw_data(raw)):
            return "a picture on the page is cut off; what is left of it was read"
        if rendered and (lost := _undrawn(raw, page, keys)):
            return lost
    return None


def _is_cut_off(jpeg: bytes) -> bool:
    """Whether pixels are missing at the end: then what is put there shows. Many whole files lack the end mark."""
    if not jpeg.startswith(_JPEG_START) or _JPEG_END in jpeg[-_TAIL:]:
        return False
    if _JPEG_SCAN not in jpeg:
        return True
    from batchjob.extract.image import DAMAGE

    try:
        return _eighth(jpeg + _JPEG_END) != _eighth(jpeg + _NOISE + _JPEG_END)
    except DAMAGE:
        return False


def _eighth(jpeg: bytes) -> bytes:
    from PIL import Image

    with Image.open(BytesIO(jpeg), formats=("JPEG",)) as image:
        image.draft(image.mode, (1, 1))
        return image.tobytes()


def _undrawn(raw: Any, page: pdfium.PdfPage, keys: ImageKeys) -> str | None:
    bitmap = c.FPDFImageObj_GetBitmap(raw)
    if not bitmap:
        return "a picture on the page is damaged and cannot be drawn"
    try:
        is_lost = _is_one_shade(bitmap) and _says_more(raw, page, keys)
    finally:
        c.FPDFBitmap_Destroy(bitmap)
    return "a picture on the page is damaged, and nothing of it shows" if is_lost else None


def _is_one_shade(bitmap: Any) -> bool:
    width, stride = c.FPDFBitmap_GetWidth(bitmap), c.FPDFBitmap_GetStride(bitmap)
    wide = _BYTES_A_PIXEL.get(c.FPDFBitmap_GetFormat(bitmap), 0)
    rows = bytes_of(bitmap)
    shade = bytes(rows[:wide]) * width
    return bool(shade) and all(
        bytes(rows[start : start + len(shade)]) == shade for start in range(0, len(rows), stride)
    )


def _says_more(raw: Any, page: pdfium.PdfPage, keys: ImageKeys) -> bool:
    """Whether the data of a picture of one shade cannot be unpacked, or of a fax holds more than one shade needs."""
    [packing, *more] = filters(raw) or [b""]
    data = raw_data(raw)
    if packing == b"FlateDecode" and not more:
        return _inflated(data, keep=0) is None
    about = about_image(raw, page)
    if packing not in _FAXES or more or about is None or about.colorspace not in PLAIN_COLOURS:
        return False  # a palette may have one shade
    nothing = not data.strip(b"\0")  # as lost blocks of a disk are, and no fax
    return nothing or (
        not keys.flattens and len(zlib.compress(data)) > _SAYS_SOMETHING + len(data) // _PACKED_SHADE
    )


class LostContent:
    """Finds pages on which PDFium draws nothing though their content says more."""

    def __init__(self, pdf: pdfium.PdfDocument, size: int) -> None:
        self._pdf = pdf
        self._left = _MOST_COPIED if size <= _LARGEST_COPIED_FROM else 0

    def of(self, page: pdfium.PdfPage, index: int) -> str | None:
        """What to say of the page, None where it is only blank, or where its document cost too much already."""
        kinds = {kind for _, kind, _ in page_objects(page)}
        if kinds - {c.FPDF_PAGEOBJ_FORM} or self._left <= 0:
            return None
        copy = _Beginning(self._left)
        with closing(pdfium.PdfDocument.new()) as one:
            one.import_pages(self._pdf, [index])
            one.save(copy)
        self._left -= copy.written
        return None if self._left < 0 else _lost_in(copy.getvalue(), all_gone=not kinds)


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


def _lost_in(copy: bytes, *, all_gone: bool) -> str | None:
    """What to say of the only page of a PDF that PDFium wrote; `all_gone`: not so much as an empty form is drawn."""
    objects = _objects(copy)
    pages = [found.dictionary for found in objects.values() if _PAGE.search(found.dictionary)]
    if len(pages) != 1:
        return None
    try:
        content = b"\n".join(_content(objects[number]) for number in _contents(pages[0], objects))
        drawn = set(_DRAWS.findall(content))
        named = _streams_named(drawn, objects)
        for one in named.values():
            if len(one) == 1 and b"/Subtype/Form" in objects[min(one)].dictionary:
                _content(objects[min(one)])
    except _DamagedError:
        return "the content of the page is damaged, and nothing of it can be drawn"
    return "the page names what to draw, but it cannot be found" if all_gone and drawn - set(named) else None


def _objects(data: bytes) -> dict[int, _Object]:
    """The objects of a PDF that PDFium wrote, by their numbers; data only of those that say how long it is."""
    table = int(data[data.rindex(b"startxref") + len("startxref") :].split(maxsplit=1)[0])
    starts = sorted(int(place) for place in re.findall(rb"(\d{10}) \d{5} n", data[table:]))
    objects, view = {}, memoryview(data)
    for start, end in zip(starts, [*starts[1:], table], strict=True):
        stream = data.find(_STREAM, start, end)
        number, _, dictionary = data[start : end if stream < 0 else stream].partition(b" 0 obj")
        length = _LENGTH.search(dictionary) if stream >= 0 else None
        begin = stream + len(_STREAM)
        objects[int(number)] = _Object(dictionary, view[begin : begin + int(length[1])] if length else None)
    return objects


def _contents(page: bytes, objects: dict[int, _Object]) -> list[int]:
    """The numbers of the page's content streams, which are named there or in an array named there."""
    [*named] = re.findall(rb"/Contents(\[[^\]]*\]| \d+ 0 R)", page)[:1]
    numbers = []
    for number in _REFERENCE.findall(b"".join(named)):
        array = objects[int(number)].dictionary.lstrip() if int(number) in objects else b""
        numbers += _REFERENCE.findall(array) if array.startswith(b"[") else [number]
    return [int(number) for number in numbers if int(number) in objects]


def _streams_named(names: set[bytes], objects: dict[int, _Object]) -> dict[bytes, set[int]]:
    """The numbers of the streams to which any dictionary gives one of these names."""
    found: dict[bytes, set[int]] = {}
    for one in objects.values():
        for name, number in _NAMES.findall(one.dictionary):
            if name in names and (to := objects.get(int(number))) is not None and to.data is not None:
                found.setdefault(name, set()).add(int(number))
    return found


def _content(stream: _Object) -> bytes:
    """Its first _MOST_CONTENT bytes, none where its packing is not known here. Raises _DamagedError."""
    data = bytes(stream.data or b"")
    filter_ = _FILTER.search(stream.dictionary)
    if (
        not data.strip()
        or b"/DecodeParms" in stream.dictionary
        or (b"/Filter" in stream.dictionary and not filter_)
    ):
        return b""
    for name in re.findall(rb"/(\w+)", filter_[1]) if filter_ else []:
        if name == b"ASCII85Decode":
            try:
                data = base64.a85decode(data.strip().removeprefix(b"<~").removesuffix(b"~>"))
            except ValueError:
                raise _DamagedError from None
        elif name == b"FlateDecode":
            inflated = _inflated(data, keep=_MOST_CONTENT)
            if inflated is None:
                raise _DamagedError
            data = inflated
        else:
            return b""
    said = _SAYINGS.sub(b" ", data[:_MOST_CONTENT])
    if len(_GARBAGE.findall(said)) > _GARBAGE_SHARE * len(said):
        raise _DamagedError
    return said


def _inflated(data: bytes, keep: int) -> bytes | None:
    """The first `keep` bytes, None where it is no whole zlib stream (RFC 1950); its checksum may be missing."""
    if len(data) < 2 or int.from_bytes(data[:2]) % 31:
        return None
    inflater, found, rest = zlib.decompressobj(-zlib.MAX_WBITS), b"", data[2:]
    try:
        while rest and not inflater.eof:
            part = inflater.decompress(rest, _MOST_CONTENT)
            found, rest = found + part[: keep - len(found)], inflater.unconsumed_tail
    except zlib.error:
        return None
    return found if inflater.eof else None
