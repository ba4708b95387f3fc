"""Reads PDF pages in the parse child: the text layer, and gray images of the pages that need OCR."""

import ctypes
import math
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as c

from batchjob.errors import FailureCategory
from batchjob.extract.decide import PageMeasure, count_characters, decide
from batchjob.extract.detect import Kind, NotReadError
from batchjob.extract.text import clean, clean_line

MAX_RENDERED = 40_000_000
"""Pixels of a rendered page; larger pages (A1 and up at 200 dpi) are rendered more coarsely."""
_MAX_DEPTH = 8
_INVISIBLE = 3  # ISO 32000-1, table 106: text rendering mode "neither fill nor stroke"
_DRAWN_ANNOTATIONS = frozenset({c.FPDF_ANNOT_WIDGET, c.FPDF_ANNOT_FREETEXT})
_OPEN_ERRORS = {
    c.FPDF_ERR_PASSWORD: (
        FailureCategory.PROTECTED,
        "the PDF opens only with a password; store it without one",
    ),
    c.FPDF_ERR_SECURITY: (FailureCategory.PROTECTED, "the PDF is encrypted in a way that cannot be read"),
}


def open_pdf(path: Path) -> pdfium.PdfDocument:
    """Opens a PDF, with the empty password where it is encrypted. Raises NotReadError."""
    try:
        return pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        unreadable = (FailureCategory.CORRUPT, "the PDF is damaged and cannot be opened, or has no pages")
        category, message = _OPEN_ERRORS.get(error.err_code, unreadable)
        raise NotReadError(category, Kind.PDF, message) from None


def describe(pdf: pdfium.PdfDocument) -> dict[str, object]:
    return {
        "event": "document",
        "mime_type": Kind.PDF,
        "page_count": len(pdf),
        "title": _property(pdf, "Title"),
        "author": _property(pdf, "Author"),
    }


def _property(pdf: pdfium.PdfDocument, name: str) -> str | None:
    """A property of the document; None where it is not valid UTF-16."""
    try:
        return clean_line(pdf.get_metadata_value(name))
    except UnicodeDecodeError:
        return None


def read_page(pdf: pdfium.PdfDocument, number: int, out: Path, dpi: int) -> dict[str, object]:
    """The event of page `number` (from 1); an image for OCR goes into `out`."""
    started = time.monotonic()
    event: dict[str, object] = {"event": "page", "page": number}
    try:
        with closing(_load(pdf, number - 1)) as page:
            event |= _read(page, number, out, dpi)
    except (pdfium.PdfiumError, ValueError) as error:
        reason = str(error).rstrip(".")
        event |= {"text": "", **_failed(f"the page is damaged ({reason})")}
    return event | {"seconds": round(time.monotonic() - started, 4)}


def _load(pdf: pdfium.PdfDocument, index: int) -> pdfium.PdfPage:
    """A page, with what form fields and text boxes say drawn into it."""
    page = pdf.get_page(index)
    if _has_drawn_annotations(page) and c.FPDFPage_Flatten(page, c.FLAT_NORMALDISPLAY) == c.FLATTEN_SUCCESS:
        page.close()
        page = pdf.get_page(index)
    return page


def _has_drawn_annotations(page: pdfium.PdfPage) -> bool:
    for index in range(c.FPDFPage_GetAnnotCount(page)):
        annotation = c.FPDFPage_GetAnnot(page, index)
        if annotation:
            subtype = c.FPDFAnnot_GetSubtype(annotation)
            c.FPDFPage_CloseAnnot(annotation)
            if subtype in _DRAWN_ANNOTATIONS:
                return True
    return False


def _read(page: pdfium.PdfPage, number: int, out: Path, dpi: int) -> dict[str, object]:
    with closing(page.get_textpage()) as textpage:
        layer = textpage.get_text_range()
    reading = decide(measure(page, layer))
    event: dict[str, object] = {
        "method": _METHODS[reading],
        "text": clean(layer) if reading.layer else "",
    }
    if reading.ocr:
        if reading.layer:
            _hide_text(page)
        name = f"page-{number:06d}.pgm"
        resolution = render_gray(page, out / name, dpi)
        if resolution is not None:
            event |= {"image": name, "dpi": resolution}
        elif reading.layer:
            event |= {**_undrawn_picture(page), "method": "text"}
        else:
            event |= {"method": "blank", **_undrawn_picture(page)}
    return event


def _undrawn_picture(page: pdfium.PdfPage) -> dict[str, object]:
    """What to say of a page that shows nothing because PDFium cannot decode a picture and leaves it out."""
    for raw, kind, _ in _objects(page):
        if kind == c.FPDF_PAGEOBJ_IMAGE:
            bitmap = c.FPDFImageObj_GetBitmap(raw)
            if not bitmap:
                return _failed("a picture on the page is damaged and cannot be drawn")
            c.FPDFBitmap_Destroy(bitmap)
    return {}


def _failed(message: str) -> dict[str, object]:
    return {"method": "failed", "error": {"category": FailureCategory.CORRUPT, "message": message}}


_METHODS = {(True, False): "text", (False, True): "ocr", (True, True): "text+ocr", (False, False): "blank"}


def measure(page: pdfium.PdfPage, layer: str) -> PageMeasure:
    characters, controls, odd, readable = count_characters(layer)
    left, bottom, right, top = page.get_bbox()
    page_area = max((right - left) * (top - bottom), 1e-6)
    text_objects = invisible = paths = 0
    pictures = 0.0
    for raw, kind, matrix in _objects(page):
        if kind == c.FPDF_PAGEOBJ_TEXT:
            text_objects += 1
            invisible += c.FPDFTextObj_GetTextRenderMode(raw) == _INVISIBLE
        elif kind == c.FPDF_PAGEOBJ_PATH:
            paths += 1
        elif kind == c.FPDF_PAGEOBJ_IMAGE:
            l, b, r, t = _bounds(raw, matrix)  # noqa: E741 - as PDF names them
            pictures += max(min(r, right) - max(l, left), 0) * max(min(t, top) - max(b, bottom), 0)
    return PageMeasure(
        characters, controls, odd, readable, text_objects, invisible, min(pictures / page_area, 1.0), paths
    )


def _hide_text(page: pdfium.PdfPage) -> None:
    """Leaves only pictures and lines to be drawn, so that OCR cannot repeat the text layer."""
    for raw, kind, _ in _objects(page):
        if kind == c.FPDF_PAGEOBJ_TEXT:
            c.FPDFTextObj_SetTextRenderMode(raw, _INVISIBLE)


class _Matrix(NamedTuple):
    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def then(self, outer: "_Matrix") -> "_Matrix":
        """ISO 32000-1, 8.3.4: the inner transformation first."""
        return _Matrix(
            self.a * outer.a + self.b * outer.c,
            self.a * outer.b + self.b * outer.d,
            self.c * outer.a + self.d * outer.c,
            self.c * outer.b + self.d * outer.d,
            self.e * outer.a + self.f * outer.c + outer.e,
            self.e * outer.b + self.f * outer.d + outer.f,
        )

    def apply(self, x: float, y: float) -> tuple[float, float]:
        return self.a * x + self.c * y + self.e, self.b * x + self.d * y + self.f


_IDENTITY = _Matrix(1, 0, 0, 1, 0, 0)


def _objects(page: pdfium.PdfPage) -> Iterator[tuple[Any, int, _Matrix]]:
    """Every object with its type and the matrix of the forms around it; PDFium's raw calls are quicker."""
    yield from _objects_in(page, c.FPDFPage_CountObjects, c.FPDFPage_GetObject, _IDENTITY, 0)


def _objects_in(
    parent: Any, count: Any, get: Any, matrix: _Matrix, depth: int
) -> Iterator[tuple[Any, int, _Matrix]]:
    get_type = c.FPDFPageObj_GetType
    for index in range(count(parent)):
        raw = get(parent, index)
        kind = get_type(raw)
        yield raw, kind, matrix
        if kind == c.FPDF_PAGEOBJ_FORM and depth < _MAX_DEPTH:
            values = c.FS_MATRIX()
            c.FPDFPageObj_GetMatrix(raw, values)
            inner = _Matrix(values.a, values.b, values.c, values.d, values.e, values.f).then(matrix)
            yield from _objects_in(raw, c.FPDFFormObj_CountObjects, c.FPDFFormObj_GetObject, inner, depth + 1)


def _bounds(raw: Any, matrix: _Matrix) -> tuple[float, float, float, float]:
    l, b, r, t = (ctypes.c_float() for _ in range(4))  # noqa: E741
    if not c.FPDFPageObj_GetBounds(raw, l, b, r, t):
        return 0.0, 0.0, 0.0, 0.0
    corners = [matrix.apply(x, y) for x in (l.value, r.value) for y in (b.value, t.value)]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def render_gray(page: pdfium.PdfPage, path: Path, dpi: int) -> int | None:
    """Writes the page as a binary PGM and returns its resolution, which is lower where the page is huge.

    None, and nothing written, where the whole page has one shade.
    """
    width, height = page.get_size()
    scale = min(dpi / 72, math.sqrt(MAX_RENDERED / max(width * height, 1)))
    with closing(page.render(scale=scale, grayscale=True)) as bitmap:
        rows = memoryview(bitmap.buffer).cast("B")
        if not bytes(rows).strip(bytes(rows[:1])):
            return None
        with path.open("wb") as file:
            file.write(b"P5\n%d %d\n255\n" % (bitmap.width, bitmap.height))
            if bitmap.stride == bitmap.width:
                file.write(rows[: bitmap.width * bitmap.height])
            else:
                for start in range(0, bitmap.stride * bitmap.height, bitmap.stride):
                    file.write(rows[start : start + bitmap.width])
    return max(round(scale * 72), 1)


def thumbnail(pdf: pdfium.PdfDocument) -> bytes | None:
    """A small picture of the first page, rendered at its size; None where the page is damaged."""
    from batchjob.enrich.thumbnail import MAX_HEIGHT, MAX_WIDTH, encode

    try:
        with closing(_load(pdf, 0)) as page:
            width, height = page.get_size()
            scale = min(MAX_WIDTH / max(width, 1), MAX_HEIGHT / max(height, 1))
            # Pillow takes these bytes as they are, without a copy.
            with closing(page.render(scale=scale, rev_byteorder=True, prefer_bgrx=True)) as bitmap:
                return encode(bitmap.to_pil())
    except (pdfium.PdfiumError, ValueError):
        return None
