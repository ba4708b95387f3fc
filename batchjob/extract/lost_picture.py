"""Finds pictures of a PDF page that are damaged, which PDFium passes over in silence; asked by pdf.py.

Only what is surely damage is told, and what is so large that nothing tells it from damage.
"""

import zlib
from io import BytesIO
from itertools import islice
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as c

from batchjob.errors import FailureCategory
from batchjob.extract.detect import Loss
from batchjob.extract.flate import inflated
from batchjob.extract.objects import page_objects
from batchjob.extract.scan import (
    PLAIN_COLOURS,
    ImageKeys,
    about_image,
    bytes_of,
    data_length,
    filters,
    pixel_size,
    raw_data,
)

MOST_PIXELS = 100_000_000
"""Of a page's pictures together; those that would pass this are not decoded."""
_MOST_PICTURES = 1000
_BYTES_A_PIXEL = {
    c.FPDFBitmap_Gray: 1,
    c.FPDFBitmap_BGR: 3,
    c.FPDFBitmap_BGRx: 4,
    c.FPDFBitmap_BGRA: 4,
}
_FLATE, _JPEG, _CCITT = b"FlateDecode", b"DCTDecode", b"CCITTFaxDecode"
_MOST_PIXELS_A_BIT = {b"": 2, b"RunLengthDecode": 64, _JPEG: 100, _FLATE: 1032, b"LZWDecode": 3000}
"""What no whole picture reaches: of Flate data (RFC 1951) 258 bytes of 8 pixels each take 2 bits or more, in a JPEG
(ITU-T T.81) a block of 64 pixels takes one. Data that is not packed is often a little short."""
_FAXES = (_CCITT, b"JBIG2Decode")
_SAYS_SOMETHING = 1024
"""Bytes that the data of one shade does not fill when it is packed again, in whatever way it was packed."""
_PACKED_SHADE = 200
"""Times that a row of equal bytes shrinks, at the least."""
_JPEG_START, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_TAIL = 1024
_NOISE = b"\x55" * 4096
_CUT_OFF = Loss(FailureCategory.CORRUPT, "a picture on the page is cut off; what is left of it was read")
_NOT_DRAWN = Loss(FailureCategory.CORRUPT, "a picture on the page is damaged and cannot be drawn")
_NOT_SHOWN = Loss(FailureCategory.CORRUPT, "a picture on the page is damaged, and nothing of it shows")


def lost_picture(page: pdfium.PdfPage, keys: ImageKeys, *, rendered: bool, empty: bool) -> Loss | None:
    """What to say of a picture on the page, None where none is surely damaged.

    `rendered`: PDFium drew the page, so that whether it draws the picture is worth a look; `empty`: all of the page
    is of one shade.
    """
    images = (raw for raw, kind, _ in page_objects(page) if kind == c.FPDF_PAGEOBJ_IMAGE)
    pixels, lost = 0, None
    for raw in islice(images, _MOST_PICTURES):
        if _lacks_data(raw):
            return _CUT_OFF
        width, height = pixel_size(raw)
        if pixels + width * height <= MOST_PIXELS:
            pixels += width * height
            lost = _cut_off(raw) or (_undrawn(raw, page, keys) if rendered else None)
        elif empty and width * height > MOST_PIXELS:
            lost = _too_large(width, height)
        if lost:
            return lost
    return None


def _too_large(width: int, height: int) -> Loss:
    message = f"nothing shows of a picture of {width:,} x {height:,} pixels: it is too large, or damaged"
    return Loss(FailureCategory.TOO_LARGE, message)


def _lacks_data(raw: Any) -> bool:
    """Whether the data is less than a picture of that size needs at least, whatever it shows."""
    [packing, *more] = filters(raw) or [b""]
    if more:
        return False
    bits, (width, height) = 8 * data_length(raw), pixel_size(raw)
    if packing == _CCITT:
        return bits < height  # a row like the one above takes a bit (ITU-T T.6, 2.2)
    return packing in _MOST_PIXELS_A_BIT and bits * _MOST_PIXELS_A_BIT[packing] < width * height


def _cut_off(raw: Any) -> Loss | None:
    return _CUT_OFF if filters(raw) == [_JPEG] and _is_cut_off(raw_data(raw)) else None


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


def _undrawn(raw: Any, page: pdfium.PdfPage, keys: ImageKeys) -> Loss | None:
    bitmap = c.FPDFImageObj_GetBitmap(raw)
    if not bitmap:
        return _NOT_DRAWN
    try:
        return _NOT_SHOWN if _is_one_shade(bitmap) and _says_more(raw, page, keys) else None
    finally:
        c.FPDFBitmap_Destroy(bitmap)


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
    if packing == _FLATE and not more:
        return inflated(data, keep=0) is None
    about = about_image(raw, page)
    if packing not in _FAXES or more or about is None or about.colorspace not in PLAIN_COLOURS:
        return False  # a palette may have one shade
    nothing = not data.strip(b"\0")  # as lost blocks of a disk are, and no fax
    return nothing or (
        not keys.flattens and len(zlib.compress(data)) > _SAYS_SOMETHING + len(data) // _PACKED_SHADE
    )
