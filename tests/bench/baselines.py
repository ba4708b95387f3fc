"""The baselines that are programs of their own: `python -m tests.bench.baselines naive|text FILE…`."""

import sys
from pathlib import Path

import pypdfium2 as pdfium
import pytesseract
from PIL import ImageEnhance


def naive(pdf: Path) -> None:
    """OCR as it is often written down: 300 dpi in colour, more contrast, an image object, page mode 1."""
    with pdfium.PdfDocument(pdf) as document:
        for page in document:
            image = page.render(scale=300 / 72).to_pil().convert("RGB")
            image = ImageEnhance.Contrast(image).enhance(1.5)
            print(len(pytesseract.image_to_string(image, lang="jpn+eng", config="--psm 1 --oem 3")))


def text(pdfs: list[Path]) -> None:
    """The text layer by pypdfium2, in one process, without any protection from the file."""
    for pdf in pdfs:
        with pdfium.PdfDocument(pdf) as document:
            for page in document:
                print(len(page.get_textpage().get_text_range()))


if __name__ == "__main__":
    what, *files = sys.argv[1:]
    if what == "naive":
        naive(Path(files[0]))
    else:
        text([Path(file) for file in files])
