"""Reads PDF pages in the parse child: the text layer, and gray images of the pages that need OCR."""

import math
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pypdfium2 as pdfium
import pypdfium2.raw as c

from batchjob.errors import FailureCategory
from batchjob.extract.decide import FEW_CHARACTERS, PageMeasure, count_characters, decide
from batchjob.extract.detect import Kind, Loss, NotReadError
from batchjob.extract.lost_content import LostContent
from batchjob.extract.lost_picture import lost_picture
from batchjob.extract.objects import INVISIBLE, Matrix, annotation_types, bounds, page_objects
from batchjob.extract.scan import ImageKeys, own_picture
from batchjob.extract.text import clean, clean_line
from batchjob.extract.vertical import in_reading_order

if TYPE_CHECKING:
    from PIL import Image

MAX_RENDERED = 40_000_000
"""Pixels of a rendered page; larger pages (A1 and up at 200 dpi) are rendered more coarsely."""
_RENDERED = "rendered"
_THUMBNAIL = (600, 1200)
"""Pixels; at the most that a picture may have, it would take as long as reading 15 pages."""
_DRAWN_ANNOTATIONS = frozenset({c.FPDF_ANNOT_WIDGET, c.FPDF_ANNOT_FREETEXT})
_OPEN_ERRORS = {
    c.FPDF_ERR_PASSWORD: (
        FailureCategory.PROTECTED,
        "the PDF opens only with a password; store it without one",
    ),
    c.FPDF_ERR_SECURITY: (FailureCategory.PROTECTED, "the PDF is encrypted in a way that cannot be read"),
}


class Pdf(pdfium.PdfDocument):  # type: ignore[misc] # the library has no types
    """An open PDF, with what its file says of images and of pages that seem blank."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.image_keys = ImageKeys(path)
        self.lost_content = LostContent(self, path.stat().st_size)


def open_pdf(path: Path) -> Pdf:
    """Opens a PDF, with the empty password where it is encrypted. Raises NotReadError."""
    try:
        return Pdf(path)
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


def read_page(pdf: Pdf, number: int, out: Path, dpi: int) -> dict[str, object]:
    """The event of page `number` (from 1); an image for OCR goes into `out`. `refused`: PDFium does not open it."""
    started = time.monotonic()
    event: dict[str, object] = {"event": "page", "page": number}
    try:
        with closing(_load(pdf, number - 1)) as page:
            event |= _read(pdf, page, number, out, dpi)
    except (pdfium.PdfiumError, ValueError) as error:
        reason = str(error).rstrip(".")
        lost = Loss(FailureCategory.CORRUPT, f"the page is damaged ({reason})")
        event |= {"text": "", "refused": True, **_failed(lost)}
    return event | {"seconds": round(time.monotonic() - started, 4)}


def _load(pdf: pdfium.PdfDocument, index: int) -> pdfium.PdfPage:
    """A page, with what form fields and text boxes say drawn into it."""
    page = pdf.get_page(index)
    drawn = not _DRAWN_ANNOTATIONS.isdisjoint(annotation_types(page))
    if drawn and c.FPDFPage_Flatten(page, c.FLAT_NORMALDISPLAY) == c.FLATTEN_SUCCESS:
        page.close()
        page = pdf.get_page(index)
    return page


def _read(pdf: Pdf, page: pdfium.PdfPage, number: int, out: Path, dpi: int) -> dict[str, object]:
    with closing(page.get_textpage()) as textpage:
        layer = in_reading_order(textpage, textpage.get_text_range())
    reading = decide(measure(page, layer))
    event: dict[str, object] = {
        "method": _METHODS[reading],
        "text": clean(layer) if reading.layer else "",
    }
    lost = None
    if reading.ocr:
        if reading.layer:
            _hide_text(page)
        picture = _picture(page, pdf.image_keys, number, out, dpi)
        event |= picture or {"method": "text" if reading.layer else "blank"}
        rendered = picture is None or picture["note"].startswith(_RENDERED)
        lost = lost_picture(page, pdf.image_keys, rendered=rendered, empty=picture is None)
    if event["method"] == "blank":
        lost = lost or pdf.lost_content.of(page, number - 1)
    if lost:
        event |= _failed(lost) | ({} if event["method"] == "blank" else {"method": event["method"]})
    return event


def _failed(lost: Loss) -> dict[str, object]:
    return {"method": "failed", "error": lost._asdict()}


_METHODS = {(True, False): "text", (False, True): "ocr", (True, True): "text+ocr", (False, False): "blank"}


def measure(page: pdfium.PdfPage, layer: str) -> PageMeasure:
    """What decides how the page is read. Text is not looked at for invisibility where that decides nothing."""
    characters, controls, odd, readable = count_characters(layer)
    texts, images, paths = [], [], 0
    for raw, kind, matrix in page_objects(page):
        if kind == c.FPDF_PAGEOBJ_TEXT:
            texts.append(raw)
        elif kind == c.FPDF_PAGEOBJ_PATH:
            paths += 1
        elif kind == c.FPDF_PAGEOBJ_IMAGE:
            images.append((raw, matrix))
    pictures = _share_of(page, images) if images else 0.0
    asked = texts if images or characters < FEW_CHARACTERS else []
    invisible = sum(c.FPDFTextObj_GetTextRenderMode(raw) == INVISIBLE for raw in asked)
    return PageMeasure(characters, controls, odd, readable, len(texts), invisible, pictures, paths)


def _share_of(page: pdfium.PdfPage, images: list[tuple[Any, Matrix]]) -> float:
    """The share of the page under images, at most 1."""
    left, bottom, right, top = page.get_bbox()
    covered = 0.0
    for raw, matrix in images:
        l, b, r, t = bounds(raw, matrix)  # noqa: E741 - as PDF names them
        covered += max(min(r, right) - max(l, left), 0) * max(min(t, top) - max(b, bottom), 0)
    share: float = covered / max((right - left) * (top - bottom), 1e-6)
    return min(share, 1.0)


def _hide_text(page: pdfium.PdfPage) -> None:
    """Leaves only pictures and lines to be drawn, so that OCR cannot repeat the text layer."""
    for raw, kind, _ in page_objects(page):
        if kind == c.FPDF_PAGEOBJ_TEXT:
            c.FPDFTextObj_SetTextRenderMode(raw, INVISIBLE)


def rendering_scale(size: tuple[float, float], dpi: int) -> float:
    """Pixels a point at which a page of that size (points) is drawn, lower than `dpi` says where it is huge."""
    return min(dpi / 72, math.sqrt(MAX_RENDERED / max(size[0] * size[1], 1)))


def _picture(
    page: pdfium.PdfPage, keys: ImageKeys, number: int, out: Path, dpi: int
) -> dict[str, Any] | None:
    """Writes the page's picture for OCR and says what it is; None, and nothing written, where all is one shade."""
    width, height = page.get_size()
    scale = rendering_scale((width, height), dpi)
    name = f"page-{number:06d}.pgm"
    own = own_picture(page, keys, (math.ceil(width * scale), math.ceil(height * scale)))
    resolution = max(round(scale * 72), 1)
    if own is not None:
        if len(set(own.getextrema())) == 1:
            return None
        own.save(out / name)
    elif not _render_gray(page, out / name, scale):
        return None
    return {
        "image": name,
        "dpi": resolution,
        "note": f"{_RENDERED if own is None else 'own image'} at {resolution} dpi",
    }


def _render_gray(page: pdfium.PdfPage, path: Path, scale: float) -> bool:
    """Writes the page as a binary PGM; whether it has more than one shade, else nothing is written."""
    with closing(page.render(scale=scale, grayscale=True)) as bitmap:
        rows = memoryview(bitmap.buffer).cast("B")
        if not bytes(rows).strip(bytes(rows[:1])):
            return False
        with path.open("wb") as file:
            file.write(b"P5\n%d %d\n255\n" % (bitmap.width, bitmap.height))
            if bitmap.stride == bitmap.width:
                file.write(rows[: bitmap.width * bitmap.height])
            else:
                for start in range(0, bitmap.stride * bitmap.height, bitmap.stride):
                    file.write(rows[start : start + bitmap.width])
    return True


def thumbnail(pdf: pdfium.PdfDocument) -> bytes | None:
    """A small picture of the first page, rendered at its size; None where the page is damaged."""
    from batchjob.enrich.thumbnail import encode

    try:
        with closing(_load(pdf, 0)) as page:
            width, height = page.get_size()
            scale = min(_THUMBNAIL[0] / max(width, 1), _THUMBNAIL[1] / max(height, 1))
            # Pillow takes these bytes as they are, without a copy.
            with closing(page.render(scale=scale, rev_byteorder=True, prefer_bgrx=True)) as bitmap:
                return encode(_without_needless_colour(bitmap.to_pil()))
    except (pdfium.PdfiumError, ValueError):
        return None


def _without_needless_colour(image: "Image.Image") -> "Image.Image":
    """In gray where all of it is gray, which is encoded in three quarters of the time."""
    from PIL import ImageChops

    red, green, blue = image.split()[:3]
    is_gray = not any(ImageChops.difference(green, other).getbbox() for other in (red, blue))
    return green if is_gray else image
