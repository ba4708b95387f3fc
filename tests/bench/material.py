"""What is measured on: documents put together at run time from the pages of the sample."""

from itertools import cycle, islice
from pathlib import Path
from typing import cast

import pikepdf
import pypdfium2 as pdfium
from PIL import Image, ImageSequence

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = ROOT / "manifests" / "sample.csv"
_SAMPLE = ROOT / "manifests" / "sample"
SCAN_DPI = 200
_SCANNED = (
    ("品質/受入検査報告書.pdf", (0, 1)),
    ("品質/不適合報告書.pdf", (1,)),
    ("経理/領収書.pdf", (0,)),
    ("総務/maintenance-contract.pdf", (0,)),
)
_PHOTOGRAPHED = ("engineering/letter-2026-03-09.jpg", "経理/fax-注文書.tif")
_BORN_DIGITAL = (
    "経理/請求書 2026-04.pdf",
    "総務/出張旅費規程.pdf",
    "engineering/pump-safety-instructions.pdf",
    "総務/社内報 第12号.pdf",
    "engineering/要件定義書 v1.2.pdf",
    "engineering/meeting-minutes-2026-05-12.pdf",
)


def scanned_pdf(path: Path) -> int:
    """Writes the sample's upright scans as one PDF without any text layer; returns its pages."""
    images = _scans()
    images[0].save(path, "PDF", save_all=True, append_images=images[1:], resolution=SCAN_DPI)
    return len(images)


def _scans() -> list[Image.Image]:
    images = []
    for name, pages in _SCANNED:
        with pikepdf.open(_SAMPLE / name) as pdf:
            for page in pages:
                (found,) = pdf.pages[page].get_images().values()
                images.append(pikepdf.PdfImage(cast("pikepdf.Stream", found)).as_pil_image())
    for name in _PHOTOGRAPHED:
        with Image.open(_SAMPLE / name) as opened:
            images.extend(frame.copy() for frame in ImageSequence.Iterator(opened))
    return images


def page_images(pdf: Path, folder: Path) -> list[Path]:
    """The pages of a PDF as gray images at SCAN_DPI."""
    folder.mkdir()
    paths = []
    with pdfium.PdfDocument(pdf) as document:
        for number, page in enumerate(document):
            path = folder / f"{number:03d}.pgm"
            page.render(scale=SCAN_DPI / 72, grayscale=True).to_pil().save(path)
            paths.append(path)
    return paths


def text_pdf(path: Path, pages: int) -> None:
    """One born-digital PDF: the sample's pages, again and again."""
    with pikepdf.new() as made:
        sources = [pikepdf.open(_SAMPLE / name) for name in _BORN_DIGITAL]
        made.pages.extend(islice(cycle(page for source in sources for page in source.pages), pages))
        made.save(path)


def one_page_pdfs(folder: Path, count: int) -> list[Path]:
    """Born-digital PDFs of one page each; no two have the same bytes."""
    folder.mkdir()
    sources = [pikepdf.open(_SAMPLE / name) for name in _BORN_DIGITAL]
    pages = islice(cycle(page for source in sources for page in source.pages), count)
    paths = []
    for number, page in enumerate(pages):
        path = folder / f"document-{number:03d}.pdf"
        with pikepdf.new() as made:
            made.pages.append(page)
            made.docinfo["/Title"] = f"Document {number}"
            made.save(path)
        paths.append(path)
    return paths


def first_pages(source: Path, path: Path, pages: int) -> None:
    """A PDF of the first pages of another."""
    with pikepdf.open(source) as opened, pikepdf.new() as made:
        made.pages.extend(opened.pages[:pages])
        made.save(path)
