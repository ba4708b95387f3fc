"""Reads DocuWorks pages in the parse child: open_xdw, describe, read_page, thumbnail, as for the other kinds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from batchjob.errors import FailureCategory
from batchjob.extract.detect import Kind, NotReadError
from batchjob.extract.text import clean_line
from batchjob.extract.xdw.attachments import Reader, Unpacking, find_attachments
from batchjob.extract.xdw.container import Budget
from batchjob.extract.xdw.document import AttachedPage, Document, Page
from batchjob.extract.xdw.page import picture_of_first, read_own_page
from batchjob.extract.xdw.tlv import XdwError

Event = dict[str, Any]


@contextmanager
def open_xdw(path: Path, kind: Kind, folder: Path, max_pixels: int) -> Iterator[Document]:
    """Opens a document or binder; attached files are unpacked into `folder`. Raises NotReadError."""
    with _open(path, kind, Unpacking(folder, max_pixels, 0, Budget())) as document:
        yield document


@contextmanager
def _open(path: Path, kind: Kind, unpacking: Unpacking) -> Iterator[Document]:
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        try:
            document = Document(data, unpacking.max_pixels, unpacking.budget)
            if document.root:
                for attached in find_attachments(document.root, unpacking, _NESTED):
                    document.attach(attached)
        except XdwError as error:
            raise NotReadError(error.category, kind, _why(error)) from None
        if not document.pages:
            raise _no_pages(document, kind)
        try:
            yield document
        finally:
            document.close()


def _why(error: XdwError) -> str:
    damaged = error.category is FailureCategory.CORRUPT
    return f"the DocuWorks file is damaged: {error.message}" if damaged else error.message


def _no_pages(document: Document, kind: Kind) -> NotReadError:
    if document.container.loss:
        message = f"the DocuWorks file is damaged: {document.container.loss}, but holds no page"
        return NotReadError(FailureCategory.CORRUPT, kind, message)
    what = "binder holds no document with pages" if document.is_binder else "document has no pages"
    named = f": {', '.join(document.without_pages)}" if document.is_binder and document.without_pages else ""
    return NotReadError(FailureCategory.EMPTY, kind, f"the DocuWorks {what}{named}")


def _kind(document: Document) -> Kind:
    return Kind.XBD if document.is_binder else Kind.XDW


def describe(document: Document) -> Event:
    """Its page count takes in the pages of attached files, which come after its own."""
    return {
        "event": "document",
        "mime_type": _kind(document),
        "page_count": len(document.pages),
        "title": clean_line(document.title or ""),
        "author": clean_line(document.author or ""),
    }


def read_page(document: Document, number: int, out: Path, dpi: int) -> Event:
    """The event of page `number` (from 1); an image for OCR goes into `out`."""
    started = time.monotonic()
    page = document.pages[number - 1]
    if isinstance(page, Page):
        event = read_own_page(document, page, number, out, dpi)
    else:
        event = _read_attached(page, number, out, dpi)
    took = round(time.monotonic() - started, 4)
    return {**event, "event": "page", "page": number, "seconds": took}


def _read_attached(page: AttachedPage, number: int, out: Path, dpi: int) -> Event:
    """A page of an attached file; the file's name stands on its first page."""
    file = page.file
    if file.loss is not None:
        message = f"the attached file {file.name!r} was not read: {file.loss.message}"
        error = {"category": file.loss.category, "message": message}
        return {"method": "text", "text": file.name, "error": error}
    inside = out / f"attached-{number}"
    inside.mkdir(exist_ok=True)
    event = file.read_page(page.number, inside, dpi)
    if "image" in event:
        name = f"page-{number:06d}.pgm"
        (inside / event["image"]).rename(out / name)
        event["image"] = name
    event.pop("refused", None)
    if page.number == 1 and file.losses and "error" not in event:
        why = "; ".join(loss.message for loss in file.losses)
        event["error"] = {"category": file.losses[0].category, "message": f"the attached file: {why}"}
    if page.number == 1:
        event["text"] = "\n".join(filter(None, [file.name, event["text"]]))
        if event["method"] == "blank":
            event["method"] = "text"
    told = [f"attached file {file.name!r}, page {page.number}", event.get("note")]
    return {**event, "note": ", ".join(filter(None, told))}


def thumbnail(document: Document) -> bytes | None:
    """A small picture of the first page: its scan, else the preview that is stored with it; None without both."""
    first = document.pages[0]
    return picture_of_first(document, first) if isinstance(first, Page) else None


_NESTED = Reader(_open, lambda document: len(document.pages), read_page)
