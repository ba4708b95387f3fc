"""What is measured on: documents put together at run time from papers of known text."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from random import Random
from typing import NamedTuple

import pypdfium2 as pdfium
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from manifests.sampledocs import camera, paper
from tests.bench import papers, scanner

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = ROOT / "manifests" / "sample.csv"
READY_DPI = 200
"""Of the images that baselines get."""
IMAGES = (".jpg", ".png", ".tif")
_DIFFERENT_PAGES = 120
"""More pages than these repeat them, each time on paper of another size."""
_QUALITY_PAPERS = (*papers.OFFICE, papers.NEWSLETTER)


class Page(NamedTuple):
    """An image file, how bad it is, and what it says."""

    image: Path
    level: str
    text: str


def degraded_pages(folder: Path, a_level: int) -> list[Page]:
    """Papers of every kind as they come out of a good scanner, a poor one and a fax machine."""
    paper.register_fonts()
    pages = []
    for name, level in scanner.LEVELS.items():
        (folder / name).mkdir(parents=True)
        for number in range(a_level):
            printed = papers.print_papers([_QUALITY_PAPERS[number % len(_QUALITY_PAPERS)]], seed=number)
            path = folder / name / f"{number:03d}{level.suffix}"
            path.write_bytes(scanner.scan(scanner.render(printed.pdf, 0, level.dpi), level, seed=number))
            pages.append(Page(path, name, printed.texts[0]))
    return pages


def given_pages(folder: Path) -> list[Page]:
    """Those of a folder with `gt/NAME.txt` and, in any other folder (its name is the level), images NAME.*."""
    return [
        Page(image, level.name, (folder / "gt" / f"{image.stem}.txt").read_text(encoding="utf-8"))
        for level in sorted(folder.iterdir())
        if level.is_dir()
        for image in sorted(level.iterdir())
        if image.suffix in IMAGES
    ]


def scanned_pdf(path: Path, pages: int, level: scanner.Level = scanner.OFFICE, first: int = 0) -> None:
    """Office scans of A4 papers as one PDF without any text; `first`: the seed of its first page."""
    _scans_to_pdf(path, pages, papers.OFFICE, level, photographs=False, first=first)


def scan_of_all_shapes(path: Path, pages: int) -> None:
    """A4, A3, across, cards, long receipts, columns, and a photograph in colour now and then."""
    _scans_to_pdf(path, pages, papers.SHAPES, scanner.OFFICE._replace(dpi=READY_DPI), photographs=True)


def _scans_to_pdf(
    path: Path,
    pages: int,
    kinds: Sequence[papers.Kind],
    level: scanner.Level,
    *,
    photographs: bool,
    first: int = 0,
) -> None:
    """Every image is embedded as it is."""
    paper.register_fonts()
    canvas = Canvas(str(path), invariant=1)
    made: list[tuple[ImageReader, tuple[float, float]]] = []
    for number in range(pages):
        if number < _DIFFERENT_PAGES:
            kind, seed = kinds[number % len(kinds)], first + number
            gray = scanner.render(papers.print_papers([kind], seed=seed).pdf, 0, level.dpi)
            if photographs and number % (len(kinds) + 1) == 0:
                image = camera.jpeg(camera.photograph(gray, seed=seed))
            else:
                image = scanner.scan(gray, level, seed=seed)
            made.append((ImageReader(BytesIO(image)), kind.size))
        repeated, different = divmod(number, _DIFFERENT_PAGES)
        reader, (width, height) = made[different]
        enlarged = 1 + 0.03 * repeated
        canvas.setPageSize((width * enlarged, height * enlarged))
        canvas.drawImage(reader, 0, 0, width * enlarged, height * enlarged)
        canvas.showPage()
    canvas.save()


def page_images(pdf: Path, folder: Path) -> list[Path]:
    """The pages of a PDF as gray images at READY_DPI."""
    folder.mkdir()
    paths = []
    with pdfium.PdfDocument(pdf) as document:
        for number, page in enumerate(document):
            path = folder / f"{number:03d}.pgm"
            page.render(scale=READY_DPI / 72, grayscale=True).to_pil().save(path)
            paths.append(path)
    return paths


def born_digital(folder: Path, documents: int, pages: int) -> dict[Path, str]:
    """PDFs of Japanese and English papers by path, each with its text."""
    paper.register_fonts()
    folder.mkdir()
    texts = {}
    for number in range(documents):
        kinds = Random(number).choices(papers.OFFICE, k=pages)
        printed = papers.print_papers(kinds, seed=number)
        path = folder / f"document-{number:04d}.pdf"
        path.write_bytes(printed.pdf)
        texts[path] = "\n".join(printed.texts)
    return texts
