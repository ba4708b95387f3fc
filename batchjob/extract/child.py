"""The parse child: turns pages of one untrusted file into text and into images for OCR (invariant 11).

Forked for process/pagework.py with `path`, `pages` (numbers from 1), `dpi`, `max_pixels`, `out` (a folder)
and `thumbnail` (whether one is wanted). Its events: one `document` or `failure`, a `page` for each page that
exists, `thumbnail` with its file, or null where the first page is damaged.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

# The codecs are imported here, so in the zygote: each child would take 7 ms of CPU for that.
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
from batchjob.extract import image, pdf
from batchjob.extract.detect import DOCUWORKS, HEAD, Kind, NotReadError, detect
from batchjob.extract.xdw import reader as xdw

Event = dict[str, object]


def events(arguments: dict[str, Any]) -> Iterator[Event]:
    path = Path(arguments["path"])
    try:
        with path.open("rb") as file:
            kind = detect(file.read(HEAD))
        if kind is Kind.PDF:
            yield from _pdf_events(path, arguments)
        elif kind in DOCUWORKS:
            yield from _docuworks_events(path, arguments)
        else:
            yield from _image_events(path, kind, arguments)
    except NotReadError as error:
        yield {
            "event": "failure",
            "category": error.category,
            "message": error.message,
            "mime_type": error.mime_type,
        }


def _pdf_events(path: Path, arguments: dict[str, Any]) -> Iterator[Event]:
    out = Path(arguments["out"])
    with pdf.open_pdf(path) as document:
        yield pdf.describe(document)
        for number in arguments["pages"]:
            if number <= len(document):
                yield pdf.read_page(document, number, out, arguments["dpi"])
        if arguments["thumbnail"]:
            yield _thumbnail_event(out, pdf.thumbnail(document))


def _docuworks_events(path: Path, arguments: dict[str, Any]) -> Iterator[Event]:
    out = Path(arguments["out"])
    with xdw.open_xdw(path, out, arguments["max_pixels"]) as document:
        yield xdw.describe(document)
        for number in arguments["pages"]:
            if number <= len(document.pages):
                yield xdw.read_page(document, number, out, arguments["dpi"])
        if arguments["thumbnail"]:
            yield _thumbnail_event(out, xdw.thumbnail(document))


def _image_events(path: Path, kind: Kind, arguments: dict[str, Any]) -> Iterator[Event]:
    out = Path(arguments["out"])
    with image.open_image(path, kind, arguments["max_pixels"]) as document:
        pages = image.page_count(path, kind)
        yield image.describe(kind, pages)
        for number in arguments["pages"]:
            if number <= pages:
                yield image.read_page(document, number, out, arguments["dpi"], arguments["max_pixels"])
    if arguments["thumbnail"]:
        yield _thumbnail_event(out, image.thumbnail(path, kind))


def _thumbnail_event(out: Path, data: bytes | None) -> Event:
    if data is None:
        return {"event": "thumbnail", "file": None}
    (out / "thumbnail.jpg").write_bytes(data)
    return {"event": "thumbnail", "file": "thumbnail.jpg"}


def main() -> None:
    for event in events(sandbox.enter()):
        sandbox.emit(event)


if __name__ == "__main__":
    main()
