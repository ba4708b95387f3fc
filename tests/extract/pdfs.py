"""Small PDFs with what a test needs on them, made with reportlab's own fonts."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3"))
WIDTH, HEIGHT = A4
Draw = Callable[[Canvas], None]


def pdf(path: Path, *pages: Draw) -> Path:
    canvas = Canvas(str(path), pagesize=A4, invariant=1)
    for draw in pages:
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return path


def words(*lines: str, font: str = "HeiseiMin-W3", mode: int = 0) -> Draw:
    """Lines of text from the top; `mode` is the PDF's text render mode (3 is invisible)."""

    def draw(canvas: Canvas) -> None:
        text = canvas.beginText(50, HEIGHT - 60)
        text.setFont(font, 12)
        text.setTextRenderMode(mode)
        for line in lines:
            text.textLine(line)
        canvas.drawText(text)

    return draw


def picture(image: Image.Image, x: float, y: float, width: float, height: float) -> Draw:
    def draw(canvas: Canvas) -> None:
        canvas.drawImage(ImageReader(image), x, y, width, height)

    return draw


def together(*draws: Draw) -> Draw:
    def draw(canvas: Canvas) -> None:
        for one in draws:
            one(canvas)

    return draw


def printed(*lines: str, size: int = 44) -> Image.Image:
    """Lines as a scanner would see them, in the font that Pillow brings along."""
    font = ImageFont.load_default(size)
    image = Image.new("L", (1400, 2 * size * (len(lines) + 1)), 255)
    for row, line in enumerate(lines):
        ImageDraw.Draw(image).text((size, size + row * 2 * size), line, fill=0, font=font)
    return image


def image_bytes(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()
