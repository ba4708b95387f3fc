"""How well engines read: the same pages through each, against the true texts."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from tests.bench import material
from tests.bench.context import Context, baseline, extract, objects
from tests.bench.measure import commands
from tests.bench.page import Section, table
from tests.bench.scores import Score, score

STOCK = "stock RapidOCR"


class _Engine(NamedTuple):
    """How an engine is called; the baselines get gray images of 200 dpi instead of the files themselves."""

    name: str
    settings: Mapping[str, str]
    baseline: str = ""


_ENGINES = (
    _Engine("`batchjob extract`, paddle", {"BATCHJOB_OCR_ENGINE": "paddle"}),
    _Engine("`batchjob extract`, tesseract", {"BATCHJOB_OCR_ENGINE": "tesseract"}),
    _Engine(STOCK, {}, "rapidocr"),
    _Engine("raw `tesseract`", {}, "tesseract"),
)


class _Reading(NamedTuple):
    score: Score
    cpu: float


def quality(context: Context) -> Section:
    """Errors and cost of every engine, level by level."""
    if context.pages:
        pages, source = material.given_pages(context.pages), "page images of one's own (`--pages`)"
    else:
        pages = material.degraded_pages(context.scratch / "pages", context.size(12, 2))
        source = "papers of known text, damaged as an office scanner, a poor one and a fax machine do it"
    rows = []
    for level in dict.fromkeys(page.level for page in pages):
        chosen = [page for page in pages if page.level == level]
        folder = context.scratch / f"ready-{level}"
        read = {engine.name: _read(engine, chosen, folder) for engine in _ENGINES}
        stock = read[STOCK].score.error_rate
        rows += [_row(level, name, len(chosen), reading, stock) for name, reading in read.items()]
    heads = ("level", "engine", "pages", "CER %", "bigrams found %", "CPU s / page", "CER ÷ stock")
    return Section(
        "OCR quality" + (" on given pages" if context.pages else ""),
        f"Measured on {source}. CER: edits for each hundred characters of the true text, after NFKC and without white "
        "space. Bigrams found: pairs of neighbouring characters that were read, in any order: the proxy for what a "
        "search finds. `batchjob extract` gets the files, the others gray images of 200 dpi. Stock: RapidOCR as it "
        "comes, on OpenVINO, longest side 1280. Raw: `-l jpn+eng --psm 3 --dpi 200`, one thread. CPU counts all of "
        "a process with its start; each engine once, since the same pages give the same text.",
        table(heads, rows),
    )


def _read(engine: _Engine, pages: Sequence[material.Page], folder: Path) -> _Reading:
    images = [page.image for page in pages]
    line = baseline(engine.baseline, *_ready(images, folder)) if engine.baseline else extract(images)
    output = folder.with_suffix(".json")
    usage = commands(line, env={**os.environ, **engine.settings}, output=output)
    texts = [found["text"] for found in objects(output)]
    total = sum((score(page.text, text) for page, text in zip(pages, texts, strict=True)), Score())
    return _Reading(total, usage.cpu / len(pages))


def _ready(images: Sequence[Path], folder: Path) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = []
    for path in images:
        ready = folder / f"{path.stem}.pgm"
        with Image.open(path) as image:
            factor = material.READY_DPI / float(image.info.get("dpi", (material.READY_DPI,))[0])
            size = (round(image.width * factor), round(image.height * factor))
            image.convert("L").resize(size, Image.Resampling.LANCZOS).save(ready)
        paths.append(ready)
    return paths


def _row(level: str, name: str, pages: int, reading: _Reading, stock: float) -> tuple[str, ...]:
    return (
        level,
        name,
        str(pages),
        f"{reading.score.error_rate:.2f}",
        f"{reading.score.bigram_recall:.1f}",
        f"{reading.cpu:.2f}",
        f"{reading.score.error_rate / stock:.2f}" if stock else "–",
    )
