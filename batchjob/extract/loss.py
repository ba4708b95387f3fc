"""Tells a PDF page that lost something by damage from one that is blank; asked by pdf.py.

PDFium draws what it can and says nothing of the rest.
"""

import base64
import ctypes
import math
import re
import zlib
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from typing import Any, NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as c

from batchjob.extract.objects import page_objects
from batchjob.extract.scan import bytes_of, filters, pixel_size

_MOST_PIXELS = 100_000_000
"""Of a page's pictures together; what comes after the one that passes this is not looked at."""
_MOST_PICTURES = 1000
_BYTES_A_PIXEL = {
    c.FPDFBitmap_Gray: 1,
    c.FPDFBitmap_BGR: 3,
    c.FPDFBitmap_BGRx: 4,
    c.FPDFBitmap_BGRA: 4,
}
_HEADERS_INSIDE = frozenset({b"DCTDecode", b"JPXDecode"})
"""Their data is long even where the picture is of one shade: colour profiles, properties."""
_NEVER_ZEROS = frozenset({b"CCITTFaxDecode", b"FlateDecode", b"JBIG2Decode"})
"""No data in these packings is all zeros, as lost blocks of a disk are."""
_SAYS_SOMETHING = 1024
"""Bytes that the data of one shade does not fill when it is packed again, in whatever way it was packed."""
_PACKED_SHADE = 200
"""Times that a row of equal bytes shrinks, at the least."""
_MOST_CONTENT = 4 * 1024 * 1024
_GARBAGE_SHARE = 0.1
_GARBAGE = re.compile(rb"[^\t\n\f\r -~]")
_DRAWS_NOTHING = re.compile(rb"(?:\(\s*\)|\[\s*\]|<\s*>)\s*T[jJ]")
_DRAWS = re.compile(rb"(?<![^\s\])>])(?:Tj|TJ|Do)(?!\S)")


def lost_picture(page: pdfium.PdfPage) -> str | None:
    """What to say of a picture on the page that is too damaged to be drawn, None where there is none."""
    pixels = pictures = 0
    for raw, kind, _ in page_objects(page):
        if kind != c.FPDF_PAGEOBJ_IMAGE:
            continue
        if pixels > _MOST_PIXELS or pictures > _MOST_PICTURES:
            return None
        pixels, pictures = pixels + math.prod(pixel_size(raw)), pictures + 1
        bitmap = c.FPDFImageObj_GetBitmap(raw)
        if not bitmap:
            return "a picture on the page is damaged and cannot be drawn"
        try:
            if _is_one_shade(bitmap) and _says_more(raw):
                return "a picture on the page is damaged, and nothing of it shows"
        finally:
            c.FPDFBitmap_Destroy(bitmap)
    return None


def _is_one_shade(bitmap: Any) -> bool:
    width, stride = c.FPDFBitmap_GetWidth(bitmap), c.FPDFBitmap_GetStride(bitmap)
    wide = _BYTES_A_PIXEL.get(c.FPDFBitmap_GetFormat(bitmap), 0)
    rows = bytes_of(bitmap)
    shade = bytes(rows[:wide]) * width
    return bool(shade) and all(
        bytes(rows[start : start + len(shade)]) == shade for start in range(0, len(rows), stride)
    )


def _says_more(raw: Any) -> bool:
    """Whether the data of a picture holds more than one shade needs, or what no picture is packed to."""
    packings = frozenset(filters(raw))
    if _HEADERS_INSIDE & packings:
        return False
    data = ctypes.create_string_buffer(c.FPDFImageObj_GetImageDataRaw(raw, None, 0))
    c.FPDFImageObj_GetImageDataRaw(raw, data, len(data))
    if _NEVER_ZEROS & packings and not data.raw.strip(b"\0"):
        return True
    return len(zlib.compress(data)) > _SAYS_SOMETHING + len(data) // _PACKED_SHADE


def lost_content(pdf: pdfium.PdfDocument, page: pdfium.PdfPage, index: int) -> str | None:
    """What to say of a page on which PDFium finds nothing to draw though its content is there, else None."""
    kinds = {kind for _, kind, _ in page_objects(page)}
    if kinds - {c.FPDF_PAGEOBJ_FORM}:
        return None
    try:
        contents = list(_contents(pdf, index))
        drawn = not kinds and any(map(_draws, contents))
    except _DamagedError:
        return "the content of the page is damaged, and nothing of it can be drawn"
    return "the page names what to draw, but nothing of it can be found" if drawn else None


class _DamagedError(Exception):
    pass


class _Object(NamedTuple):
    dictionary: bytes
    data: bytes


def _contents(pdf: pdfium.PdfDocument, index: int) -> Iterator[bytes]:
    """The page's content and its forms', unpacked; without those in a packing that is not known here.

    PDFium hands out no streams, but copies the page into a file of its own, written in one plain way.
    """
    objects = _copied(pdf, index)
    wanted = {number for number, found in objects.items() if b"/Subtype/Form" in found.dictionary}
    for found in objects.values():
        if re.search(rb"/Type/Page(?![a-z])", found.dictionary):
            [*named] = re.findall(rb"/Contents(\[[^\]]*\]| \d+ 0 R)", found.dictionary)[:1]
            wanted |= _followed(b"".join(named), objects)
    for number in sorted(wanted):
        if number in objects and (data := _unpacked(objects[number])) is not None:
            if len(_GARBAGE.findall(data)) > _GARBAGE_SHARE * len(data):
                raise _DamagedError
            yield data


def _copied(pdf: pdfium.PdfDocument, index: int) -> dict[int, _Object]:
    """The objects of one page by their numbers, as PDFium writes them."""
    buffer = BytesIO()
    with closing(pdfium.PdfDocument.new()) as copy:
        copy.import_pages(pdf, [index])
        copy.save(buffer)
    data = buffer.getvalue()
    table = int(data[data.rindex(b"startxref") + len("startxref") :].split(maxsplit=1)[0])
    starts = sorted(int(place) for place in re.findall(rb"(\d{10}) \d{5} n", data[table:]))
    objects = {}
    for start, end in zip(starts, [*starts[1:], table], strict=True):
        number, _, rest = data[start:end].partition(b" 0 obj")
        dictionary, _, stream = rest.partition(b">>stream\r\n")
        length = re.search(rb"/Length (\d+)", dictionary)
        objects[int(number)] = _Object(dictionary, stream[: int(length[1])] if length else b"")
    return objects


def _followed(names: bytes, objects: dict[int, _Object]) -> set[int]:
    """The numbers of the streams that are named there or in an array named there."""
    numbers = {int(number) for number in re.findall(rb"(\d+) 0 R", names)}
    arrays = [objects[number].dictionary for number in numbers if number in objects]
    inside = [re.findall(rb"(\d+) 0 R", array) for array in arrays if array.lstrip().startswith(b"[")]
    return numbers.union(*(map(int, found) for found in inside))


def _unpacked(stream: _Object) -> bytes | None:
    """The first _MOST_CONTENT bytes; None where a packing is not known. Raises _DamagedError."""
    data = stream.data
    if not data.strip():
        return b""
    named = re.search(rb"/Filter(\[[^\]]*\]|/\w+)", stream.dictionary)
    for name in re.findall(rb"/(\w+)", named[1]) if named else []:
        if name == b"ASCII85Decode":
            try:
                data = base64.a85decode(data.strip().removeprefix(b"<~").removesuffix(b"~>"))
            except ValueError:
                raise _DamagedError from None
        elif name == b"FlateDecode":
            data = _inflated(data)
        else:
            return None
    return data[:_MOST_CONTENT]


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(data, _MOST_CONTENT)
    except zlib.error:
        raise _DamagedError from None
    if not inflater.eof and len(found) < _MOST_CONTENT:
        raise _DamagedError
    return found


def _draws(content: bytes) -> bool:
    return _DRAWS.search(_DRAWS_NOTHING.sub(b"", content)) is not None
