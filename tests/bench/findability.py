"""Whether a piece of a document finds it: phrases of the true text, asked of an index of what each engine read."""

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from gzip import compress
from io import BytesIO
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

import pypdfium2 as pdfium
from PIL import Image

from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.layout import doc_id
from batchjob.operate.search import Answer, find
from batchjob.process.document import bulk_lines
from batchjob.reduce.mapping import first_index, index_body
from manifests.sampledocs import paper
from tests.bench import papers, scanner
from tests.bench.context import Context, extract, objects
from tests.bench.measure import commands
from tests.bench.page import Section, table
from tests.bench.wording import sentences
from tests.support.servers import start_opensearch

LEVELS = {"office scan": scanner.OFFICE, "fax": scanner.FAX}
ENGINES = ("paddle", "tesseract")
LENGTHS = (8, 14)
TOP = 3
BUCKET = "bench"
LONG_PAGES = 1000


@dataclass(frozen=True, slots=True)
class Document:
    """Pages of true text, and their prints as PDFs of one page each."""

    key: str
    texts: tuple[str, ...]
    prints: tuple[bytes, ...] = ()


class Phrase(NamedTuple):
    """A piece of text and the one page that has it."""

    text: str
    key: str
    page: int


def findability(context: Context) -> Section:
    """The same phrases, asked of indexes that hold the true texts, and what engines read of scans and faxes."""
    paper.register_fonts()
    wanted = [_document(n, pages=3) for n in range(context.size(40, 8))]
    others = [_document(n, pages=3) for n in range(1000, 1000 + context.size(400, 60))]
    phrases, tried = choose_phrases(wanted, [*wanted, *others], context.size(1000, 200))
    index = OpenSearchIndex(start_opensearch("--heap", "1g"))
    rows = [_row(index, "true text", "–", {d.key: d.texts for d in wanted}, others, phrases)]
    for level in LEVELS:
        for engine in ENGINES:
            read = _read(context.scratch, wanted, level, engine)
            rows.append(_row(index, level, engine, read, others, phrases))
    heads = (
        "",
        "engine",
        f"found in top {TOP} %",
        "first %",
        "document in top 3 %",
        "median ms",
        "slowest ms",
    )
    return Section(
        "Findability",
        f"{len(phrases)} pieces of {LENGTHS[0]} to {LENGTHS[1]} characters, cut at random out of lines of the true "
        f"text of {len(wanted)} documents of 3 pages, are asked as `batchjob search` does. Found: document and page "
        f"are in the first {TOP} hits. Only pieces that one page alone has count ({tried} were drawn): the papers are "
        "made of few phrases, so that the others are on many pages. The index also holds the true texts of "
        f"{len(others)} other documents of the same phrases. A real node on the same CPUs.",
        "\n\n".join([table(heads, rows), _long_document(index)]),
    )


def _document(number: int, pages: int) -> Document:
    made = [_page(number * 100 + page) for page in range(pages)]
    return Document(f"document-{number:04d}.pdf", tuple(t for t, _ in made), tuple(p for _, p in made))


def _page(seed: int) -> tuple[str, bytes]:
    """A paper that fits on one page."""
    for turn in range(20):
        kinds = [papers.OFFICE[(seed + turn) % len(papers.OFFICE)]]
        printed = papers.print_papers(kinds, seed=seed + 1_000_000 * turn)
        with pdfium.PdfDocument(printed.pdf) as document:
            if len(document) == 1:
                return printed.texts[0], printed.pdf
    raise RuntimeError("no paper fits on one page")


def choose_phrases(
    wanted: Sequence[Document], known: Sequence[Document], count: int, seed: int = 1
) -> tuple[list[Phrase], int]:
    """Pieces that one page alone has, whatever its spaces are, and how many were drawn for them."""
    random, found, drawn = Random(seed), list[Phrase](), 0
    pages = [_squeezed(text) for document in known for text in document.texts]
    places = [(d, number) for d in wanted for number in range(len(d.texts))]
    while len(found) < count:
        drawn += 1
        document, number = random.choice(places)
        line = random.choice(document.texts[number].splitlines())
        length = random.randint(*LENGTHS)
        start = random.randint(0, max(0, len(line) - length))
        text = line[start : start + length].strip()
        if len(text) < LENGTHS[0]:
            continue
        squeezed = _squeezed(text)
        if sum(page.count(squeezed) for page in pages) == 1:
            found.append(Phrase(text, document.key, number + 1))
    return found, drawn


def _squeezed(text: str) -> str:
    return "".join(text.split()).lower()


def _read(scratch: Path, wanted: Sequence[Document], level: str, engine: str) -> dict[str, tuple[str, ...]]:
    folder = scratch / level
    if not folder.exists():
        folder.mkdir()
        for number, document in enumerate(wanted):
            _scan(folder / document.key, document, LEVELS[level], seed=number)
    output = scratch / f"{level}-{engine}.json"
    env = {**os.environ, "BATCHJOB_OCR_ENGINE": engine}
    commands(extract([folder / document.key for document in wanted]), env=env, output=output)
    texts = [str(found["text"]).split("\f") for found in objects(output)]
    return {document.key: tuple(pages) for document, pages in zip(wanted, texts, strict=True)}


def _scan(path: Path, document: Document, level: scanner.Level, seed: int) -> None:
    """A PDF of images without any text."""
    pages = [
        Image.open(BytesIO(scanner.scan(scanner.render(pdf, 0, level.dpi), level, seed * 10 + number)))
        for number, pdf in enumerate(document.prints)
    ]
    first, *rest = pages
    first.save(path, "PDF", save_all=True, append_images=rest, resolution=level.dpi)


def _row(
    index: OpenSearchIndex,
    level: str,
    engine: str,
    texts: Mapping[str, Sequence[str]],
    others: Sequence[Document],
    phrases: Sequence[Phrase],
) -> list[str]:
    alias = f"findability-{level.replace(' ', '-')}-{engine.strip('–') or 'true'}"
    _fill(index, alias, [*texts.items(), *((d.key, d.texts) for d in others)])
    counted: Counter[str] = Counter()
    seconds = []
    for phrase in phrases:
        started = time.monotonic()
        answer = find(index, alias, phrase.text, TOP)
        seconds.append(time.monotonic() - started)
        counted.update(_judged(answer, phrase))
    shares = [
        f"{100 * counted[name] / len(phrases):.1f}"
        for name in ("page in top", "page first", "document in top")
    ]
    return [level, engine, *shares, f"{1000 * median(seconds):.0f}", f"{1000 * max(seconds):.0f}"]


def _judged(answer: Answer, phrase: Phrase) -> Iterator[str]:
    places = [(hit.s3_key, hit.page) for hit in answer.hits]
    if (phrase.key, phrase.page) in places:
        yield "page in top"
    if places[:1] == [(phrase.key, phrase.page)]:
        yield "page first"
    if phrase.key in [key for key, _ in places]:
        yield "document in top"


def _fill(index: OpenSearchIndex, alias: str, documents: Sequence[tuple[str, Sequence[str]]]) -> None:
    body = index_body(alias, "bench")
    body["settings"]["index"]["number_of_replicas"] = 0
    index.create(first_index(alias), body)
    lines = [bulk_lines(_fields(key, pages), 1) for key, pages in documents]
    for start in range(0, len(lines), 500):
        refused = index.bulk(alias, compress(b"".join(lines[start : start + 500]), 1))
        if refused is not None:
            raise RuntimeError(f"documents were refused: {refused[0].reason}")
    index.refresh(first_index(alias))


def _fields(key: str, pages: Sequence[str]) -> dict[str, object]:
    names = {
        "file_id": doc_id(BUCKET, key),
        "bucket": BUCKET,
        "s3_key": key,
        "file_name": key,
        "file_path": ".",
    }
    return {**names, "content": "\f".join(pages), "page_count": len(pages)}


def _long_document(index: OpenSearchIndex) -> str:
    """One document of a thousand pages, asked for what stands on its page 990."""
    random, alias = Random(5), "findability-long"
    pages = [sentences(random, 12) for _ in range(LONG_PAGES)]
    pages[989] += "耐圧試験の合格証はここにだけ綴じてある。"
    _fill(index, alias, [("long.pdf", pages), ("short.pdf", pages[:2])])
    seconds = []
    for _ in range(5):
        started = time.monotonic()
        [hit, *_] = find(index, alias, "合格証はここにだけ", TOP).hits
        seconds.append(time.monotonic() - started)
    size = len("\f".join(pages).encode()) / 1e6
    return (
        f"In a document of {LONG_PAGES:,} pages ({size:.1f} MB of text), a phrase of page 990 is told to be on page "
        f"{hit.page} of `{hit.s3_key}`, in {1000 * median(seconds):.0f} ms."
    )
