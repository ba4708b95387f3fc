"""The questions of the benchmark, each a function that measures and gives a table for the page."""

import os
import secrets
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from batchjob.adapters.folder import FolderStore
from tests.bench import material
from tests.bench.measure import Usage, Variant, calls, commands, in_turn
from tests.bench.page import Table

BATCHJOB = (sys.executable, "-m", "batchjob")
BASELINES = (sys.executable, "-m", "tests.bench.baselines")
NAIVE_PAGES = 2
TEXT_PAGES = 200
DOCUMENTS = 100
OBJECTS = 1000
OBJECT_BYTES = 2048


def environment(**more: str) -> dict[str, str]:
    """This process's, without settings of batchjob."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BATCHJOB_")} | more


def sample(scratch: Path) -> Table:
    """What the extraction cache saves. The cold run fills the cache that the warm one finds."""
    work = scratch / "sample"

    def cold() -> Usage:
        shutil.rmtree(work, ignore_errors=True)
        return _local(material.MANIFEST, work)

    variants = [
        Variant("`batchjob local`, cold cache", cold, 27),
        Variant("the same, warm cache", lambda: _local(material.MANIFEST, work), 27),
    ]
    return Table(
        "The sample",
        "`batchjob local manifests/sample.csv`: 27 documents, 28 pages, 12 of them read by OCR; embedded "
        "search server, two jobs at once where there are two CPUs.",
        "document",
        variants,
        in_turn(variants),
    )


def _local(target: Path, work: Path) -> Usage:
    return commands([*BATCHJOB, "local", target, "--work", work, "--json"], env=environment())


def ocr(scratch: Path) -> Table:
    """What OCR costs beside the bare engine, and beside the recipe that people start with."""
    scan = scratch / "scan.pdf"
    pages = material.scanned_pdf(scan)
    few = scratch / "few.pdf"
    material.first_pages(scan, few, NAIVE_PAGES)
    images = material.page_images(scan, scratch / "pages")
    options = ("-l", "jpn+eng", "--psm", "3", "--dpi", str(material.SCAN_DPI))
    raw = [("tesseract", image, image.with_suffix(""), *options) for image in images]
    paired = [
        Variant(
            "`batchjob extract`",
            lambda: commands([*BATCHJOB, "extract", scan, "--json"], env=environment()),
            pages,
        ),
        Variant(
            "raw `tesseract`, ready images",
            lambda: commands(*raw, env=environment(OMP_THREAD_LIMIT="1")),
            pages,
        ),
    ]
    once = Variant(
        f"the naive recipe, first {NAIVE_PAGES} pages, once",
        lambda: commands([*BASELINES, "naive", few], env=environment()),
        NAIVE_PAGES,
    )
    return Table(
        "OCR",
        f"A scanned PDF of {pages} A4 pages at {material.SCAN_DPI} dpi (office scans, a receipt, a letter, faxes), "
        "all in one process at a time. Raw: `tesseract -l jpn+eng --psm 3 --dpi 200` with `OMP_THREAD_LIMIT=1` "
        "on gray images of the same pages, rendered beforehand. Naive: rendered at 300 dpi in colour, contrast "
        "1.5, pytesseract with `jpn+eng`, page mode 1 and Tesseract's own threads.",
        "page",
        [*paired, once],
        in_turn(paired) | in_turn([once], 1),
    )


def text_layer(scratch: Path) -> Table:
    """What is left of PDFium's speed when the file is parsed in a child and every page is judged."""
    pdf = scratch / "text.pdf"
    material.text_pdf(pdf, TEXT_PAGES)
    variants = [
        Variant(
            "`batchjob extract`",
            lambda: commands([*BATCHJOB, "extract", pdf, "--json"], env=environment()),
            TEXT_PAGES,
        ),
        _bare_text([pdf], TEXT_PAGES),
    ]
    if shutil.which("pdftotext"):
        line = ("pdftotext", pdf, "-")
        variants.append(Variant("`pdftotext`", lambda: commands(line), TEXT_PAGES))
    return Table(
        "Text layers of a long document",
        f"A born-digital PDF of {TEXT_PAGES} Japanese and English pages, short ones (370 characters on average) "
        "that share their fonts. Baseline: pypdfium2's text of every page in one process, nothing judged, no "
        "thumbnail, no protection.",
        "page",
        variants,
        in_turn(variants),
    )


def _bare_text(pdfs: Sequence[Path], units: int) -> Variant:
    return Variant("pypdfium2 alone", lambda: commands([*BASELINES, "text", *pdfs]), units)


def one_page_documents(scratch: Path) -> Table:
    """What a document costs in the whole pipeline when there is next to nothing to read."""
    folder = scratch / "documents"
    pdfs = material.one_page_pdfs(folder, DOCUMENTS)
    work = scratch / "documents-work"

    def whole() -> Usage:
        shutil.rmtree(work, ignore_errors=True)
        return _local(folder, work)

    variants = [Variant("`batchjob local`, cold cache", whole, DOCUMENTS), _bare_text(pdfs, DOCUMENTS)]
    return Table(
        "One-page documents",
        f"{DOCUMENTS} born-digital PDFs of one page through the whole pipeline: read, thumbnail, bulk bodies, "
        "loading into the embedded server (whose start and CPU count as well), reading back. Baseline: "
        "pypdfium2's text of all of them in one process.",
        "document",
        variants,
        in_turn(variants),
    )


def store(scratch: Path) -> Table:
    """What the folder store's promises cost beyond writing durably."""
    data = [secrets.token_bytes(OBJECT_BYTES) for _ in range(OBJECTS)]
    keys = [f"cache/extract/{number % 16:x}/{number:06d}" for number in range(OBJECTS)]
    kept, plain = FolderStore(scratch / "store"), scratch / "plain"

    def put() -> None:
        for key, value in zip(keys, data, strict=True):
            kept.put(key, value)

    def get() -> None:
        for key in keys:
            with kept.open(key) as opened:
                opened.body.read()

    def write() -> None:
        for key, value in zip(keys, data, strict=True):
            _write_durably(plain / key, value)

    def read() -> None:
        for key in keys:
            (plain / key).read_bytes()

    works = {
        "folder store, PUT": put,
        "plain write, fsync, rename": write,
        "folder store, GET": get,
        "plain read": read,
    }
    variants = [Variant(name, partial(calls, work), OBJECTS) for name, work in works.items()]
    return Table(
        "The folder store",
        f"{OBJECTS:,} objects of {OBJECT_BYTES:,} bytes, one after the other, in this process. The store also "
        "flushes the folder, takes a lock, and never lets an ETag recur. The first round makes the objects, the "
        "others replace them.",
        "object",
        variants,
        in_turn(variants),
        pairs=((0, 1), (2, 3)),
    )


def _write_durably(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(path.name + ".part")
    with staged.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)


QUESTIONS = (sample, ocr, text_layer, one_page_documents, store)
