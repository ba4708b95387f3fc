"""Reads one page of a DocuWorks document: text of its drawings and annotations, and a picture for OCR."""

import math
from pathlib import Path
from typing import Any

from PIL import Image

from batchjob.errors import FailureCategory
from batchjob.extract.decide import (
    OUTLINE_PATHS,
    PICTURE_PAGE_SHARE,
    PageMeasure,
    Reading,
    count_characters,
    decide,
)
from batchjob.extract.detect import Loss
from batchjob.extract.image import DAMAGE, ocr_work, prepare, raise_machine_failure
from batchjob.extract.text import clean
from batchjob.extract.xdw.body import PER_INCH, parse_body, read_body
from batchjob.extract.xdw.document import Document, Page
from batchjob.extract.xdw.layers import A4, Layer, read_layer, salvaged_layer, size_of
from batchjob.extract.xdw.notes import annotation_text, has_text
from batchjob.extract.xdw.raster import MAX_CANVAS, body_image
from batchjob.extract.xdw.tlv import XdwError
from batchjob.extract.xdw.tree import KNOWN, Kind, Node

_PREVIEW = 58
_MOSTLY_PICTURE = 0.5
_ENOUGH = 100
"""Dots per inch up to which pictures are enlarged, at most twice: engines that need more do that by themselves."""
_LARGEST_PREVIEW = 4_000_000
Event = dict[str, Any]


def read_own_page(document: Document, page: Page, number: int, out: Path, dpi: int) -> Event:
    """What a page's event says of its content."""
    losses = list(page.losses)
    document.container.take_losses()  # of what was read for another one
    try:
        return _read(document, page, number, out, dpi, losses)
    except XdwError as error:
        losses.append(Loss(error.category, error.message))
        losses += document.container.take_losses()
        return _event(Reading(layer=False, ocr=False), "", {}, losses)


def _read(document: Document, page: Page, number: int, out: Path, dpi: int, losses: list[Loss]) -> Event:
    layers, notes = _content(document, page, losses)
    size = _size(page, [])
    raw = "\n".join(layer.text for layer in layers if layer.is_content)
    measure = _measure(raw, layers, size)
    reading = decide(measure)
    picture = _picture(layers, size, number, out, dpi) if reading.ocr else {}
    kept = "image" not in picture or reading.layer or not _is_replaced(measure)
    if reading.ocr and "image" not in picture and measure.paths > OUTLINE_PATHS:
        message = f"the page is drawn by {measure.paths:,} lines and areas, which are not rendered"
        losses.append(Loss(FailureCategory.UNSUPPORTED, message))
    for layer in layers:
        losses += layer.losses
    losses += document.container.take_losses()
    text = "\n\n".join(filter(str.strip, [*page.head, raw if kept else "", *notes, *page.tail]))
    return _event(reading, clean(text), picture, losses)


def _is_replaced(measure: PageMeasure) -> bool:
    """Whether its text has codes that no text has, and lies on a scan, where OCR reads what is seen.

    Other scripts than the expected ones are no sign of damage here: the fonts name their character sets.
    """
    alone = measure._replace(pictures=0.0, paths=0, readable=measure.characters)
    return measure.pictures > PICTURE_PAGE_SHARE and decide(alone).ocr


def _event(reading: Reading, text: str, picture: Event, losses: list[Loss]) -> Event:
    """An `ocr` page's text stands beside what OCR reads; that of a `text+ocr` page is compared with it."""
    event: Event = {"text": text, **picture}
    if "image" in picture:
        event["method"] = "text+ocr" if reading.layer else "ocr"
    else:
        event["method"] = "text" if text else "blank"
    if losses:
        event["error"] = {"category": losses[0].category, "message": _told(losses)}
        if event["method"] == "blank":
            event["method"] = "failed"
    return event


def _told(losses: list[Loss]) -> str:
    counts: dict[str, int] = {}
    for loss in losses:
        counts[loss.message] = counts.get(loss.message, 0) + 1
    return "; ".join(
        f"{message} ({count} times)" if count > 1 else message for message, count in counts.items()
    )


def _content(document: Document, page: Page, losses: list[Loss]) -> tuple[list[Layer], list[str]]:
    """What draws something on a page, and what its annotations say."""
    layers: list[Layer] = []
    notes: list[str] = []
    if page.node is None:
        container = document.container
        body = parse_body(container, container.entry(page.entry))
        return [salvaged_layer(container, body, document.max_pixels)], notes
    size = _size(page, losses)
    for node in page.node.walk():
        layer, note = _object(document, node, size, losses)
        if note:
            notes.append(note)
        if layer is not None:
            layers.append(layer)
            notes += [] if layer.is_content else _not_told(layer.text, notes)
    return layers, notes


def _size(page: Page, losses: list[Loss]) -> tuple[int, int]:
    try:
        return size_of(page.node) if page.node else A4
    except XdwError as error:
        losses.append(Loss(error.category, error.message))
        return A4


def _object(
    document: Document, node: Node, size: tuple[int, int], losses: list[Loss]
) -> tuple[Layer | None, str]:
    """What an object draws, and what it says; of what it lacks, that it does."""
    note, layer, before = "", None, len(losses)
    try:
        note = annotation_text(node) if node.kind != Kind.CONTENT else ""
    except XdwError as error:
        losses.append(Loss(error.category, error.message))
    if note and node.kind == Kind.TEXT_NOTE:
        return None, note  # its drawing says the same
    try:
        layer = read_layer(node, size, document.max_pixels)
    except XdwError as error:
        losses.append(Loss(error.category, error.message))
    if len(losses) == before and (unread := _unread(node, shows=bool(note) or layer is not None)):
        losses.append(Loss(FailureCategory.UNSUPPORTED, unread))
    return layer, note


def _unread(node: Node, *, shows: bool) -> str | None:
    """What to say of an object of which something is not read without any damage."""
    if node.kind == Kind.EMBEDDED:
        return "an embedded object (OLE), whose own content is not read"
    if shows:
        return None
    if node.kind in (Kind.CONTENT, Kind.PICTURE):
        return "an object without a drawing where there should be one"
    if node.kind == Kind.TEXT_NOTE and not has_text(node):
        return "a text note without its text"
    if node.kind not in KNOWN and node.has_attributes and not node.children:
        return f"an object of kind {node.kind:04x}, which is not known"
    return None


def _not_told(text: str, notes: list[str]) -> list[str]:
    """Lines of an annotation's drawing that its own text lacks: the date of a stamp."""
    told = "\n".join(notes)
    return [line for line in text.split("\n") if line.strip() and line not in told]


def _measure(raw: str, layers: list[Layer], size: tuple[int, int]) -> PageMeasure:
    characters, controls, odd, readable = count_characters(raw)
    covered = sum(layer.picture_area() for layer in layers if layer.has_picture)
    drawings = [layer.drawing for layer in layers if layer.drawing and layer.is_content]
    runs = sum(drawing.lines.runs for drawing in drawings)
    paths = sum(drawing.paths for drawing in drawings)
    share = min(covered / (size[0] * size[1]), 1.0)
    return PageMeasure(characters, controls, odd, readable, runs, 0, share, paths)


def _picture(layers: list[Layer], size: tuple[int, int], number: int, out: Path, dpi: int) -> Event:
    """Writes the page's pictures for OCR as one image, and says what it is."""
    found = []
    for layer in layers:
        shown = layer.image("L", dpi) if layer.has_picture else None
        if shown is not None:
            found.append((layer, *shown))
    if not found:
        return {}
    if len(found) == 1:
        _, image, inches = found[0]
        across = image.width / max(inches, 1e-6)
        image.info["dpi"] = (across, across)
        gray, resolution = prepare(image, min(dpi, max(round(across), min(_ENOUGH, round(across * 2)))))
        note = "its picture"
    else:
        gray, resolution = _together(found, size, dpi), dpi
        note = f"its {len(found)} pictures"
    work = ocr_work(gray, number, out, resolution)
    return {**work, "note": f"{note} at {resolution} dpi"} if "image" in work else {}


def _together(found: list[tuple[Layer, Image.Image, float]], size: tuple[int, int], dpi: int) -> Image.Image:
    """Several objects' pictures, each at its place on the page."""
    scale = min(dpi / PER_INCH, math.sqrt(MAX_CANVAS / (size[0] * size[1])))
    canvas = Image.new("L", (max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)), "white")
    for layer, image, inches in found:
        left, top, _, _ = layer.place
        width = min(max(round(inches * PER_INCH * scale), 1), canvas.width)
        height = min(max(round(width * image.height / image.width), 1), canvas.height)
        gray = image if image.mode == "L" else image.convert("L")
        canvas.paste(gray.resize((width, height)), (round(left * scale), round(top * scale)))
    return canvas


def picture_of_first(document: Document, page: Page) -> bytes | None:
    """A small picture of a page: its scan, else the preview that is stored with it."""
    from batchjob.enrich.thumbnail import MAX_WIDTH, encode, to_srgb

    try:
        layers, _ = _content(document, page, [])
        size = _size(page, [])
        for layer in layers:
            if layer.has_picture and layer.picture_area() > _MOSTLY_PICTURE * size[0] * size[1]:
                shown = layer.image("RGB", max(round(MAX_WIDTH / (size[0] / PER_INCH)), 1))
                if shown is not None:
                    image = shown[0].convert("L") if shown[0].mode == "1" else to_srgb(shown[0])
                    return encode(image)
        preview = _preview(page.node) if page.node else None
        return None if preview is None else encode(preview.convert("RGB"))
    except XdwError:
        return None
    except DAMAGE as error:
        raise_machine_failure(error)
        return None


def _preview(page: Node) -> Image.Image | None:
    for node in page.walk():
        value = node.attribute(_PREVIEW) if node.kind == Kind.CONTENT else None
        if value is not None:
            return body_image(node.container, read_body(node.container, value), _LARGEST_PREVIEW)
    return None
