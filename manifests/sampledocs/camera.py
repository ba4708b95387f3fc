"""From printed pages to pixels: the scanner, the fax, the camera, and PDFs made of pictures."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import pypdfium2
from PIL import Image, ImageFilter
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

DPI = 200
PAPER_GREY = 246
JPEG_QUALITY = 60
PHOTO_SIZE = (1700, 2300)
# Corners of the sheet in the photograph: top left, top right, bottom right, bottom left.
PHOTO_CORNERS = ((150, 130), (1570, 100), (1610, 2190), (110, 2170))
EXIF_ORIENTATION = 0x0112  # EXIF 2.3, tag 274; 6 means "turn by 90 degrees clockwise to view"


def render(pdf: bytes, page: int = 0) -> Image.Image:
    """A page of a PDF in grey at 200 dpi."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        image: Image.Image = document[page].render(scale=DPI / 72, grayscale=True).to_pil()
        return image.convert("L")
    finally:
        document.close()


def scan(page: Image.Image, seed: int, skew_degrees: float = 0.3) -> Image.Image:
    """The page as an office scanner sees it: a little skewed, soft, off-white and noisy."""
    turned = page.rotate(skew_degrees, Image.Resampling.BICUBIC, fillcolor=255)
    soft = np.asarray(turned.filter(ImageFilter.GaussianBlur(0.5)), dtype=np.float32)
    noise = np.random.default_rng(seed).normal(0, 3, soft.shape)
    return Image.fromarray(np.clip(soft * (PAPER_GREY / 255) + noise, 0, 255).astype(np.uint8))


def fax(page: Image.Image) -> Image.Image:
    """The page in black and white."""
    return page.point(lambda grey: 255 if grey > 150 else 0).convert("1", dither=Image.Dither.NONE)


def photograph(page: Image.Image, seed: int) -> Image.Image:
    """The page lying on a desk, seen at a slight angle under a lamp at the upper left."""
    width, height = PHOTO_SIZE
    coefficients = _perspective(PHOTO_CORNERS, page.size)
    sheet = page.transform(
        PHOTO_SIZE, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC, fillcolor=255
    )
    inside = Image.new("L", page.size, 255).transform(PHOTO_SIZE, Image.Transform.PERSPECTIVE, coefficients)
    desk = Image.new("RGB", PHOTO_SIZE, (120, 84, 56))
    desk.paste(sheet.convert("RGB"), mask=inside)
    y, x = np.mgrid[0:height, 0:width]
    light = 1.0 - 0.35 * np.hypot(x / width - 0.25, y / height - 0.2)
    noise = np.random.default_rng(seed).normal(0, 2.5, (height, width, 1))
    lit = np.asarray(desk, dtype=np.float32) * light[..., None] * (1.0, 0.98, 0.93) + noise
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))


def _perspective(corners: Sequence[tuple[int, int]], size: tuple[int, int]) -> list[float]:
    """The eight numbers of Pillow's PERSPECTIVE transform that put a sheet of `size` at those corners."""
    width, height = size
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, ((0, 0), (width, 0), (width, height), (0, height)), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return [float(value) for value in np.linalg.solve(np.array(rows, float), np.array(values, float))]


def jpeg(image: Image.Image, quality: int = JPEG_QUALITY, turned: bool = False) -> bytes:
    """A JPEG file. `turned`: stored lying on its side, with the EXIF orientation that puts it upright."""
    out = BytesIO()
    exif = Image.Exif()
    if turned:
        image = image.transpose(Image.Transpose.ROTATE_90)
        exif[EXIF_ORIENTATION] = 6
    image.save(out, "JPEG", quality=quality, dpi=(DPI, DPI), optimize=True, exif=exif)
    return out.getvalue()


def png(image: Image.Image) -> bytes:
    """A PNG file."""
    out = BytesIO()
    image.save(out, "PNG", optimize=True, dpi=(DPI, DPI))
    return out.getvalue()


def tiff_g4(pages: Sequence[Image.Image]) -> bytes:
    """A TIFF file of bitonal pages, CCITT Group 4."""
    out = BytesIO()
    first, *others = pages
    first.save(out, "TIFF", compression="group4", dpi=(DPI, DPI), save_all=True, append_images=list(others))
    return out.getvalue()


def scanned_pdf(
    pages: Sequence[Image.Image], document_title: str, hidden_text: Sequence[str] = (), stamp: str = ""
) -> bytes:
    """A PDF whose pages are JPEG pictures.

    `hidden_text`: lines of invisible text on the first page, as an earlier OCR leaves it (render mode 3).
    `stamp`: a short visible text typed over the first page.
    """
    out = BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1)
    canvas.setTitle(document_title)
    for number, page in enumerate(pages):
        canvas.drawImage(ImageReader(BytesIO(jpeg(page))), 0, 0, *A4)
        if number == 0 and hidden_text:
            _write_invisibly(canvas, hidden_text)
        if number == 0 and stamp:
            canvas.setFont("Gothic", 14)
            canvas.setFillColorRGB(0.8, 0, 0)
            canvas.drawString(A4[0] - 200, A4[1] - 50, stamp)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def _write_invisibly(canvas: Canvas, lines: Sequence[str]) -> None:
    text = canvas.beginText(60, A4[1] - 80)
    text.setFont("Mincho", 11)
    text.setTextRenderMode(3)
    for line in lines:
        text.textLine(line)
    canvas.drawText(text)
