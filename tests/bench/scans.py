"""What a scanned PDF costs, from the file to its text, beside the bare engine and beside what else there is."""

import os
from functools import partial
from pathlib import Path

from tests.bench import material
from tests.bench.context import OTHERS, Context, baseline, cores, extract, has, left_out
from tests.bench.measure import Variant, commands, in_turn
from tests.bench.page import Section, timings
from tests.bench.watch import Usage

_RAW = ("-", "-l", "jpn+eng", "--psm", "3", "--dpi", str(material.READY_DPI))
_OCRMYPDF_ROUNDS = 5


def scan(context: Context) -> Section:
    """The whole pipeline against the bare engine, which gets its images for nothing."""
    pages = context.size(40, 2)
    pdf = context.scratch / "scan.pdf"
    material.scanned_pdf(pdf, pages)
    images = context.scratch / "images.txt"
    images.write_text("".join(f"{path}\n" for path in material.page_images(pdf, context.scratch / "ready")))
    variants = [
        Variant("`batchjob extract`, paddle", partial(_extract, pdf, "paddle"), pages),
        Variant("`batchjob extract`, tesseract", partial(_extract, pdf, "tesseract"), pages),
        Variant("raw `tesseract`, ready images", partial(_raw, images), pages),
    ]
    return Section(
        "A scanned PDF",
        f"{pages} A4 office scans (300 dpi, JPEG) in one PDF without text. Raw: `tesseract -l jpn+eng --psm 3 --dpi "
        "200` with `OMP_THREAD_LIMIT=1`, a process a page and a page a core, on gray images of 200 dpi that were "
        "rendered beforehand.",
        timings("page", variants, in_turn(variants, context.rounds), [(0, 2), (1, 2)]),
    )


def _extract(pdf: Path, engine: str) -> Usage:
    return commands(extract([pdf]), env={**os.environ, "BATCHJOB_OCR_ENGINE": engine})


def _raw(images: Path) -> Usage:
    line = ["xargs", "-a", images, "-P", cores(), "-I{}", "tesseract", "{}", *_RAW]
    return commands(line, env={**os.environ, "OMP_THREAD_LIMIT": "1"})


def other_programs(context: Context) -> Section:
    """The same document through the programs that people would otherwise take."""
    pages = context.size(40, 2)
    pdf = context.scratch / "scan.pdf"
    material.scanned_pdf(pdf, pages)
    ours = Variant("`batchjob extract`", lambda: commands(extract([pdf])), pages)
    options = ("--jobs", cores(), "--skip-text", "-l", "jpn+eng")
    ocrmypdf = [OTHERS / "ocrmypdf", *options, pdf, context.scratch / "searchable.pdf"]
    naive = Variant("the naive recipe, once", lambda: commands(baseline("naive", pdf, venv=True)), pages)
    paired = [ours]
    if has("ocrmypdf"):
        paired.append(Variant("OCRmyPDF", lambda: commands(ocrmypdf), pages))
    measured = in_turn(paired, context.rounds or _OCRMYPDF_ROUNDS)
    told = timings("page", paired, measured, [(1, 0)] if len(paired) > 1 else [])
    if has("pdf2image"):
        once = {naive.name: [naive.run()], ours.name: measured[ours.name][-1:]}
        told += "\n\n" + timings("page", [naive, ours], once)
    return Section(
        "A scanned PDF, against other programs",
        f"{pages} A4 office scans (300 dpi, JPEG) in one PDF. OCRmyPDF: `--jobs {cores()} --skip-text -l jpn+eng`, "
        f"{_OCRMYPDF_ROUNDS} pairs; it rasterises with PDFium and writes a searchable PDF. Naive: pdf2image at 300 dpi "
        "in colour, contrast 1.5, pytesseract with `jpn+eng`, page mode 1, engine mode 3 and Tesseract's own "
        f"threads, beside the last of our rounds.{left_out('ocrmypdf', 'pdf2image')}",
        told,
    )
