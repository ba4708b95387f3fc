"""Takes the only image of a scanned page in place of a rendering, which costs three times as much."""

import ctypes
import math
import re
from collections.abc import Iterator
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as c

from batchjob.extract.objects import INVISIBLE, Matrix, annotation_types, matrix_of, page_objects

if TYPE_CHECKING:
    from PIL import Image

MAX_JPEG = 100_000_000
MAX_PIXELS = 25_000_000
"""Larger images are left to the renderer. A JPEG takes less memory here than there at any size, since it is read
smaller at once; others are held whole, in colour 5 bytes a pixel, and cost more than a rendering from here on."""
_UNDRAWN_ANNOTATIONS = frozenset({c.FPDF_ANNOT_LINK, c.FPDF_ANNOT_POPUP})
_MUCH_SMALLER = 1.4
"""From this reduction on, averaging areas reads as well as any filter and costs a third."""
_SKEW = 1.0
"""Pixels by which a level image may slant over its whole length."""
_CHUNK = 8 * 1024 * 1024
_MASK, _DECODE, _FLAT, _LAYER = "mask", "decode", "flat", "layer"
_KEYS = {
    _MASK: (b"Mask", re.compile(rb"/S?Mask(?!\s*/None)")),
    _DECODE: (b"/Decode", re.compile(rb"/Decode(?!Parms)")),
    _FLAT: (b"/Decode", re.compile(rb"/Decode\s*\[\s*([\d.]+)\s+\1\s*\]")),
    _LAYER: (b"/OC", re.compile(rb"/OC\s*(?:<<|\d+\s+\d+\s+R\b)")),  # long: not to turn up in packed data
}
_LONGEST_KEY = 64
_FORMATS = {
    c.FPDFBitmap_Gray: ("L", "L"),
    c.FPDFBitmap_BGR: ("RGB", "BGR"),
    c.FPDFBitmap_BGRx: ("RGB", "BGRX"),
}
"""Pillow's modes for PDFium's."""
PLAIN_COLOURS = frozenset(
    {
        c.FPDF_COLORSPACE_DEVICEGRAY,
        c.FPDF_COLORSPACE_DEVICERGB,
        c.FPDF_COLORSPACE_CALGRAY,
        c.FPDF_COLORSPACE_CALRGB,
        c.FPDF_COLORSPACE_ICCBASED,
    }
)
_BITS = {"L": 8, "RGB": 24}
_TURNS = (
    Matrix(1, 0, 0, 1, 0, 0),
    Matrix(0, 1, -1, 0, 1, 0),
    Matrix(-1, 0, 0, -1, 1, 1),
    Matrix(0, -1, 1, 0, 0, 1),
)
"""/Rotate 0, 90, 180, 270 on the unit square, downwards."""


class _Placed(NamedTuple):
    """A PDFium image, and how its unit square lies on the canvas (pixels, downwards)."""

    image: Any
    matrix: Matrix

    @property
    def is_lying(self) -> bool:
        """Whether its rows are columns of the canvas."""
        return abs(self.matrix.a) < abs(self.matrix.b)

    @property
    def size(self) -> tuple[int, int]:
        """Pixels of the canvas along its rows and along its columns."""
        a, b, c_, d = self.matrix[:4]
        return round(math.hypot(a, b)), round(math.hypot(c_, d))

    @property
    def is_level(self) -> bool:
        a, b, c_, d = self.matrix[:4]
        slant = (a, d) if self.is_lying else (b, c_)
        return max(map(abs, slant)) <= _SKEW


class ImageKeys:
    """Which keys that change what an image shows are anywhere in a file.

    PDFium hands images out without their masks and does not say whether there is one. The dictionaries of
    images are never packed, so that the bytes of the file tell.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def masks(self) -> bool:
        return _MASK in self._found

    @property
    def decodes(self) -> bool:
        return _DECODE in self._found

    @property
    def flattens(self) -> bool:
        """Whether a picture's data, whatever it says, is drawn in one shade."""
        return _FLAT in self._found

    @property
    def layers(self) -> bool:
        """Whether an image or a form belongs to optional content, which may be hidden."""
        return _LAYER in self._found

    @cached_property
    def _found(self) -> set[str]:
        found: set[str] = set()
        before = b""
        with self._path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                data = before + chunk
                found |= {
                    name for name, (key, found_by) in _KEYS.items() if key in data and found_by.search(data)
                }
                before = data[-_LONGEST_KEY:]
        return found


def own_picture(page: pdfium.PdfPage, keys: ImageKeys, size: tuple[int, int]) -> "Image.Image | None":
    """The page in gray at `size` pixels, made from its only image.

    None where the page has no such image, or where a rendering could show anything else.
    """
    try:
        placed = _only_image(page, _page_to_canvas(page, *size))
        if placed is None or not placed.is_level or keys.masks or keys.layers:
            return None
        picture = (None if keys.decodes else _from_jpeg(placed, page)) or _from_pdfium(placed.image)
        return None if picture is None else _on_canvas(picture, placed, size)
    except ArithmeticError:
        return None  # folded flat, or beyond all bounds


def _page_to_canvas(page: pdfium.PdfPage, width: int, height: int) -> Matrix:
    left, bottom, right, top = page.get_bbox()
    across, up = max(right - left, 1e-6), max(top - bottom, 1e-6)
    unit = Matrix(1 / across, 0, 0, -1 / up, -left / across, top / up)
    return unit.then(_TURNS[c.FPDFPage_GetRotation(page) % 4]).then(Matrix(width, 0, 0, height, 0, 0))


def _only_image(page: pdfium.PdfPage, to_canvas: Matrix) -> _Placed | None:
    """The image that alone is visible, drawn whole and opaque; forms around it may only move and scale it."""
    if any(kind not in _UNDRAWN_ANNOTATIONS for kind in annotation_types(page)):
        return None
    found: _Placed | None = None
    for raw, kind, matrix in page_objects(page):
        if kind == c.FPDF_PAGEOBJ_TEXT and c.FPDFTextObj_GetTextRenderMode(raw) == INVISIBLE:
            continue
        if not _is_plain(raw) or _is_in_layer(raw):
            return None
        if kind == c.FPDF_PAGEOBJ_FORM:
            continue
        if found is not None or kind != c.FPDF_PAGEOBJ_IMAGE or not _is_readable(raw, page):
            return None
        found = _Placed(raw, matrix_of(raw).then(matrix).then(to_canvas))
    return found


def _is_plain(raw: Any) -> bool:
    """Neither clipped (PDFium drops clips that change nothing) nor mixed with what lies below."""
    return c.FPDFClipPath_CountPaths(
        c.FPDFPageObj_GetClipPath(raw)
    ) <= 0 and not c.FPDFPageObj_HasTransparency(raw)


def _is_in_layer(raw: Any) -> bool:
    """Whether it is marked as optional content (ISO 32000-1, 8.11.3.2)."""
    return any(_mark(raw, index) == "OC" for index in range(c.FPDFPageObj_CountMarks(raw)))


def _mark(raw: Any, index: int) -> str:
    name, length = (c.FPDF_WCHAR * _LONGEST_KEY)(), ctypes.c_ulong()
    mark = c.FPDFPageObj_GetMark(raw, index)
    c.FPDFPageObjMark_GetName(mark, name, ctypes.sizeof(name), length)
    return bytes(name)[: length.value].decode("utf-16-le", errors="replace").rstrip("\0")


def _is_readable(raw: Any, page: pdfium.PdfPage) -> bool:
    """Of a bearable size, and with a colour space of its own: stencils have none."""
    width, height = pixel_size(raw)
    about = about_image(raw, page) if 0 < width * height <= MAX_JPEG else None
    return about is not None and about.colorspace != c.FPDF_COLORSPACE_UNKNOWN


def pixel_size(raw: Any) -> tuple[int, int]:
    width, height = ctypes.c_uint(), ctypes.c_uint()
    c.FPDFImageObj_GetImagePixelSize(raw, width, height)
    return width.value, height.value


def about_image(raw: Any, page: pdfium.PdfPage) -> Any | None:
    about = c.FPDF_IMAGEOBJ_METADATA()
    return about if c.FPDFImageObj_GetImageMetadata(raw, page, about) else None


def _from_jpeg(placed: _Placed, page: pdfium.PdfPage) -> "Image.Image | None":
    """A JPEG's brightness, which leaves out half of the decoding; None where it is not simply gray or RGB."""
    from PIL import Image

    from batchjob.extract.image import DAMAGE, to_gray

    raw = placed.image
    about = about_image(raw, page)
    if filters(raw) != [b"DCTDecode"] or about is None or about.colorspace not in PLAIN_COLOURS:
        return None
    try:
        with Image.open(BytesIO(raw_data(raw)), formats=("JPEG",)) as image:
            if image.size != pixel_size(raw) or _BITS.get(image.mode) != about.bits_per_pixel:
                return None
            image.draft("L", placed.size)
            image.load()
            return to_gray(image)
    except DAMAGE:
        return None  # PDFium may make more of it


def data_length(raw: Any) -> int:
    length: int = c.FPDFImageObj_GetImageDataRaw(raw, None, 0)
    return length


def raw_data(raw: Any) -> bytes:
    """The image as the file holds it, packed."""
    data = ctypes.create_string_buffer(data_length(raw))
    c.FPDFImageObj_GetImageDataRaw(raw, data, len(data))
    return data.raw


def filters(raw: Any) -> list[bytes]:
    names = []
    for index in range(c.FPDFImageObj_GetImageFilterCount(raw)):
        name = ctypes.create_string_buffer(_LONGEST_KEY)
        c.FPDFImageObj_GetImageFilter(raw, index, name, _LONGEST_KEY)
        names.append(name.value)
    return names


def _from_pdfium(raw: Any) -> "Image.Image | None":
    """The image's own pixels in gray; None where it is damaged or see-through."""
    from PIL import Image

    from batchjob.extract.image import to_gray

    if math.prod(pixel_size(raw)) > MAX_PIXELS:
        return None
    handle = c.FPDFImageObj_GetBitmap(raw)
    if not handle:
        return None
    try:
        mode, order = _FORMATS.get(c.FPDFBitmap_GetFormat(handle), (None, ""))
        if mode is None:
            return None
        size = c.FPDFBitmap_GetWidth(handle), c.FPDFBitmap_GetHeight(handle)
        stride, data = c.FPDFBitmap_GetStride(handle), bytes_of(handle)
        # A copy: what Pillow takes over as it is ends with the bitmap.
        return to_gray(Image.frombytes(mode, size, data, "raw", order, stride, 1))
    finally:
        c.FPDFBitmap_Destroy(handle)


def bytes_of(bitmap: Any) -> memoryview:
    """The rows of a PDFium bitmap, only as long as it lives."""
    length = c.FPDFBitmap_GetStride(bitmap) * c.FPDFBitmap_GetHeight(bitmap)
    return memoryview((ctypes.c_ubyte * length).from_address(c.FPDFBitmap_GetBuffer(bitmap))).cast("B")


def _on_canvas(picture: "Image.Image", placed: _Placed, size: tuple[int, int]) -> "Image.Image | None":
    from PIL import Image

    here, there = placed.matrix.apply(0, 0), placed.matrix.apply(1, 1)
    left, right = _pixels(here[0], there[0], size[0])
    top, bottom = _pixels(here[1], there[1], size[1])
    if right <= left or bottom <= top:
        return None
    part = _part_of(picture, placed.matrix.inverse(), (left, top, right, bottom))
    across, down = right - left, bottom - top
    scaled = _scaled(picture, part, (down, across) if placed.is_lying else (across, down))
    for turn in _turning(placed):
        scaled = scaled.transpose(turn)
    if scaled.size == size:
        return scaled
    canvas = Image.new(scaled.mode, size, "white")
    canvas.paste(scaled, (left, top))
    return canvas


def _pixels(one: float, other: float, end: int) -> tuple[int, int]:
    """The pixels between two places on an axis that has `end` of them."""
    low, high = sorted((one, other))
    return max(round(low), 0), min(max(round(high), round(low) + 1), end)


def _part_of(
    picture: "Image.Image", to_unit: Matrix, shown: tuple[int, int, int, int]
) -> tuple[float, float, float, float]:
    """The part of the image that shows in a rectangle of the canvas, in the image's own pixels."""
    (u0, v0), (u1, v1) = to_unit.apply(*shown[:2]), to_unit.apply(*shown[2:])
    left, right = (min(max(value, 0), 1) * picture.width for value in sorted((u0, u1)))
    top, bottom = (min(max(1 - value, 0), 1) * picture.height for value in sorted((v0, v1), reverse=True))
    return left, top, right, bottom


def _scaled(
    picture: "Image.Image", part: tuple[float, float, float, float], size: tuple[int, int]
) -> "Image.Image":
    from PIL import Image

    reduction = min((part[2] - part[0]) / size[0], (part[3] - part[1]) / size[1])
    if picture.size == size and reduction == 1:
        return picture
    how = Image.Resampling.BOX if reduction >= _MUCH_SMALLER else Image.Resampling.BICUBIC
    return picture.resize(size, how, part)


def _turning(placed: _Placed) -> "Iterator[Image.Transpose]":
    from PIL import Image

    across, down = (placed.matrix.a, -placed.matrix.d)
    if placed.is_lying:
        yield Image.Transpose.TRANSPOSE
        across, down = (-placed.matrix.c, placed.matrix.b)
    if across < 0:
        yield Image.Transpose.FLIP_LEFT_RIGHT
    if down < 0:
        yield Image.Transpose.FLIP_TOP_BOTTOM
