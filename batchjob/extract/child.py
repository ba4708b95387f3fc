"""The parse child: turns pages of one untrusted file into text and into images for OCR (invariant 11).

Forked for process/parsing.py with `path`, `out` (a folder), `dpi`, `max_pixels` and `characters` (the most of a
page's text). Answers each line on its standard input, `pages` (numbers from 1) and `thumbnail` (whether one is
wanted), by these events: `document` or `failure`, a `page` for each page that exists, `thumbnail` with its file,
or null where the first page is damaged, then `done`.
"""

import json
import sys
from collections.abc import Iterable, Iterator

# All codecs are imported here, so in the zygote: each child would take 10 ms of CPU for that.
from encodings import cp932, euc_kr, gb2312, utf_16_le  # noqa: F401
from pathlib import Path
from typing import Any

from PIL import (
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    PpmImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from batchjob import sandbox
from batchjob.enrich import thumbnail  # noqa: F401
from batchjob.extract import image, pdf
from batchjob.extract.detect import DOCUWORKS, HEAD, Kind, NotReadError, detect
from batchjob.extract.xdw import reader as xdw

Event = dict[str, object]


DONE: Event = {"event": "done"}
_MOST_OF_A_PROPERTY = 4096
"""Characters of a title or an author's name: some PDFs carry megabytes there."""


def events(arguments: dict[str, Any], requests: Iterable[dict[str, Any]]) -> Iterator[Event]:
    """The answers to the requests; the file stays open from one to the next."""
    path, requests = Path(arguments["path"]), iter(requests)
    try:
        with path.open("rb") as file:
            kind = detect(file.read(HEAD))
        if kind is Kind.PDF:
            yield from _of_pdf(path, arguments, requests)
        elif kind in DOCUWORKS:
            yield from _of_docuworks(path, kind, arguments, requests)
        else:
            yield from _of_image(path, kind, arguments, requests)
    except NotReadError as error:
        for _ in requests:
            yield {
                "event": "failure",
                "category": error.category,
                "message": error.message,
                "mime_type": error.mime_type,
            }
            yield DONE


def _of_pdf(path: Path, arguments: dict[str, Any], requests: Iterator[dict[str, Any]]) -> Iterator[Event]:
    out = Path(arguments["out"])
    with pdf.open_pdf(path) as document:
        for request in requests:
            yield pdf.describe(document)
            for number in request["pages"]:
                if number <= len(document):
                    yield pdf.read_page(document, number, out, arguments["dpi"])
            if request["thumbnail"]:
                yield _thumbnail_event(out, pdf.thumbnail(document))
            yield DONE


def _of_docuworks(
    path: Path, kind: Kind, arguments: dict[str, Any], requests: Iterator[dict[str, Any]]
) -> Iterator[Event]:
    out = Path(arguments["out"])
    with xdw.open_xdw(path, kind, out, arguments["max_pixels"]) as document:
        for request in requests:
            yield xdw.describe(document)
            for number in request["pages"]:
                if number <= len(document.pages):
                    yield xdw.read_page(document, number, out, arguments["dpi"])
            if request["thumbnail"]:
                yield _thumbnail_event(out, xdw.thumbnail(document))
            yield DONE


def _of_image(
    path: Path, kind: Kind, arguments: dict[str, Any], requests: Iterator[dict[str, Any]]
) -> Iterator[Event]:
    out, dpi, max_pixels = Path(arguments["out"]), arguments["dpi"], arguments["max_pixels"]
    with image.open_image(path, kind, max_pixels) as document:
        pages = image.page_count(path, kind)
        for request in requests:
            yield image.describe(kind, pages)
            for number in request["pages"]:
                if number <= pages:
                    yield image.read_page(document, number, out, dpi, max_pixels)
            if request["thumbnail"]:
                yield _thumbnail_event(out, image.thumbnail(path, kind))
            yield DONE


def _thumbnail_event(out: Path, data: bytes | None) -> Event:
    if data is None:
        return {"event": "thumbnail", "file": None}
    (out / "thumbnail.jpg").write_bytes(data)
    return {"event": "thumbnail", "file": "thumbnail.jpg"}


def bounded(event: Event, characters: int) -> Event:
    """The event with no more of a page's text than that, nor of the document's properties than anybody reads."""
    text = event.get("text")
    if isinstance(text, str) and len(text) > characters:
        return event | {"text": text[:characters], "characters": len(text)}
    if event["event"] == "document":
        return {
            name: value[:_MOST_OF_A_PROPERTY] if isinstance(value, str) else value
            for name, value in event.items()
        }
    return event


def main() -> None:
    arguments = sandbox.enter()
    for event in events(arguments, map(json.loads, sys.stdin.buffer)):
        sandbox.emit(bounded(event, arguments["characters"]))


if __name__ == "__main__":
    main()
