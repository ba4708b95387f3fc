"""Small documents for tests, made where they are needed."""

import io
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from reportlab.pdfgen.canvas import Canvas

MARKER = ".batchjob-root"


def text_pdf(*pages: str) -> bytes:
    """A born-digital PDF with a line of text on each page."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, invariant=1)
    for text in pages:
        canvas.drawString(72, 720, text)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def scanned_page(text: str) -> bytes:
    """A small page image with a few large English words, as PNG."""
    image = Image.new("L", (900, 300), 255)
    ImageDraw.Draw(image).text((60, 100), text, fill=0, font=ImageFont.load_default(60))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", dpi=(150, 150))
    return buffer.getvalue()


def write_folder(root: Path, files: dict[str, bytes], *, marker: bool = True) -> str:
    """Writes files below `root` and returns the bucket that names it."""
    root.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    if marker:
        (root / MARKER).touch()
    return root.resolve().as_uri()
