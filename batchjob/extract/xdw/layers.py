"""The objects of a page that draw something: their text, and their pictures as one image for OCR."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from PIL import Image

from batchjob.errors import FailureCategory
from batchjob.extract.detect import Loss
from batchjob.extract.image import resolution
from batchjob.extract.xdw.body import PER_INCH, PER_METRE, Body, Format, read_body
from batchjob.extract.xdw.container import Container
from batchjob.extract.xdw.drawing import Dib, Drawing, Placed, Stored
from batchjob.extract.xdw.emf import read_emf
from batchjob.extract.xdw.raster import body_image, compose, dib_image, load_all
from batchjob.extract.xdw.runs import MAX_CHARACTERS
from batchjob.extract.xdw.tlv import XdwError, numbers
from batchjob.extract.xdw.tree import Kind, Node, Value, resolve
from batchjob.extract.xdw.wmf import read_wmf

_DRAWING, _SIZE, _PLACE, _ROTATION = 7, 5, 52, 61
_FIRST_PICTURE, _NUMBERED_PICTURES = 301, 100
_MORE_PICTURES = "#pd"
_MOST_PICTURES = 5_000
_MOST_DECODED = 4
"""Times the pixels of the largest picture that all of a page may have together."""
_TURNS = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}
"""Clockwise degrees as Pillow turns, which is the other way round."""
A4 = (21_000, 29_700)
_LONGEST = 1_000_000
"""Ten metres."""
_NO_PLACE = (0, 0, 0, 0)


@dataclass(slots=True)
class Layer:
    """One object. `place`: left, top, width, height on the page in 1/100 mm; `text` as it is drawn.

    `is_content`: drawn by the program that made the page, not by who annotated it. `stored`: the pictures that its
    drawing takes one after the other.
    """

    container: Container
    body: Body
    place: tuple[int, int, int, int]
    drawing: Drawing | None
    max_pixels: int
    is_content: bool = True
    rotation: int = 0
    stored: list[Value] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.drawing.lines.text if self.drawing else ""

    @property
    def has_picture(self) -> bool:
        return self.drawing is None or bool(self.drawing.pictures)

    def picture_area(self) -> float:
        """The area under its pictures, in 1/100 mm squared."""
        area = float(self.place[2] * self.place[3])
        if self.drawing is None:
            return area
        left, top, right, bottom = self.drawing.frame
        frame = abs((right - left) * (bottom - top))
        covered = sum(abs((box[2] - box[0]) * (box[3] - box[1])) for _, box, _, _ in self.drawing.pictures)
        if not frame or not covered:
            return area if self.drawing.pictures else 0.0
        return area * min(covered / frame, 1.0)

    def image(self, mode: str, dpi: int) -> tuple[Image.Image, float] | None:
        """Its pictures as one image, and how many inches wide that is; None where none can be decoded."""
        found = self._raster(mode, dpi) if self.drawing is None else self._composed(self.drawing, mode)
        turn = _TURNS.get(self.rotation % 360)
        if found is None or turn is None:
            return found
        image, inches = found
        turned = image.transpose(turn)
        return turned, inches * turned.width / image.width

    def _raster(self, mode: str, dpi: int) -> tuple[Image.Image, float] | None:
        inches = 0.0

        def make() -> Image.Image:
            nonlocal inches
            image = body_image(self.container, self.body, self.max_pixels)
            per_inch = self.body.per_metre * PER_INCH / PER_METRE
            if not per_inch:
                per_inch = image.width * PER_INCH / (self.body.width or self.place[2] or A4[0])
            image.info["dpi"] = (per_inch, per_inch)
            across, down = resolution(image)  # what is stated may be impossible
            inches = image.width / across
            image.draft(mode, (round(inches * dpi) or 1, round(image.height / down * dpi) or 1))
            return image

        image = self._loaded(make)
        return None if image is None else (image, inches)

    def _loaded(self, make: Callable[[], Image.Image]) -> Image.Image | None:
        try:
            image, cut_off = load_all(make)
        except XdwError as error:
            self.losses.append(Loss(error.category, error.message))
            return None
        if cut_off:
            message = "a picture is cut off; what could be decoded of it was read"
            self.losses.append(Loss(FailureCategory.CORRUPT, message))
        return image

    def _composed(self, drawing: Drawing, mode: str) -> tuple[Image.Image, float] | None:
        sizes: dict[int, tuple[int, int]] = {}
        opened: dict[Stored, Image.Image] = {}
        found = []
        for item in drawing.pictures:
            try:
                image = self._open(item, sizes)
            except XdwError as error:
                self.losses.append(Loss(error.category, error.message))
                continue
            found.append((item, image.size))
            if isinstance(item.source, Stored):
                opened[item.source] = image
        if sum(width * height for _, (width, height) in found) > _MOST_DECODED * self.max_pixels:
            self.losses.append(Loss(FailureCategory.TOO_LARGE, "the page's pictures have too many pixels"))
            return None

        def make(item: Placed) -> Image.Image:
            kept = opened.pop(item.source, None) if isinstance(item.source, Stored) else None
            image = self._open(item, sizes) if kept is None else kept
            image.draft(mode, image.size)
            return image

        made = compose(_with_places(found), lambda item: self._loaded(lambda: make(item)), mode)
        if made is None:
            return None
        image, (left, _, right, _) = made
        if drawing.per_inch and found[0][0].box != _NO_PLACE:
            return image, (right - left) / drawing.per_inch
        frame = abs(drawing.frame[2] - drawing.frame[0])
        width = self.body.width or self.place[2] or A4[0]
        share = min((right - left) / frame, 1.0) if frame and found[0][0].box != _NO_PLACE else 1.0
        return image, width / PER_INCH * share

    def _open(self, item: Placed, sizes: dict[int, tuple[int, int]]) -> Image.Image:
        """A picture of the drawing, not decoded yet. Raises XdwError."""
        if isinstance(item.source, Dib):
            return dib_image(item.source, self.max_pixels)
        number = item.source.number
        if number >= len(self.stored):
            number = _shared(item, sizes)
        body = read_body(self.container, self.stored[number])
        image = body_image(self.container, body, self.max_pixels)
        sizes[number] = image.size
        return image


def _shared(item: Placed, sizes: dict[int, tuple[int, int]]) -> int:
    """The number of a tile that is drawn again: the last one of its size. Raises XdwError."""
    size = (abs(item.part[2]), abs(item.part[3]))
    for number in reversed(sizes):
        if sizes[number] == size:
            return number
    raise XdwError("a drawing asks for a picture that the page does not have")


def _with_places(found: list[tuple[Placed, tuple[int, int]]]) -> list[tuple[Placed, tuple[int, int]]]:
    """Pictures of which no place is told lie one below the other, all as wide as the page."""
    if any(item.box != _NO_PLACE for item, _ in found):
        return found
    placed, top = [], 0.0
    for item, (width, height) in found:
        bottom = top + height / max(width, 1)
        placed.append((item._replace(box=(0.0, top, 1.0, bottom)), (width, height)))
        top = bottom
    return placed


def _stored_pictures(node: Node) -> Iterator[Value]:
    """The pictures that an object's drawing takes one after the other."""
    for number in range(_FIRST_PICTURE, _FIRST_PICTURE + _NUMBERED_PICTURES):
        value = node.attribute(number)
        if value is None:
            return
        yield value
    more = sorted((d.number, d.tag) for d in node.definitions if d.name == _MORE_PICTURES)
    for _, tag in more[:_MOST_PICTURES]:
        value = node.attribute(tag)
        if value is not None:
            yield value


def read_layer(node: Node, page: tuple[int, int], max_pixels: int) -> Layer | None:
    """What an object draws; None where it has no drawing. Raises XdwError."""
    value = node.attribute(_DRAWING)
    stored = list(_stored_pictures(node))
    if value is None and not stored:
        return None
    body = read_body(node.container, value) if value is not None else Body(Format.EMF, b"")
    drawing = _drawing_of(body) if value is not None else Drawing()
    unused = 0
    if drawing is not None and not drawing.pictures:
        for number in range(len(stored)):  # nothing that is known here draws them
            drawing.place(Stored(number), _NO_PLACE, (0, 0, 0, 0), 0)
    elif drawing is not None:
        unused = len({*range(len(stored))} - _numbers(drawing))
    layer = Layer(
        node.container,
        body,
        place_of(node, page),
        drawing,
        max_pixels,
        is_content=node.kind == Kind.CONTENT,
        rotation=_rotation(node),
        stored=stored,
    )
    if drawing is not None:
        layer.losses += _lost(drawing)
    if unused:
        message = f"{unused:,} stored pictures that no known command draws were not read"
        layer.losses.append(Loss(FailureCategory.UNSUPPORTED, message))
    return layer


def _numbers(drawing: Drawing) -> set[int]:
    """The stored pictures that a drawing draws."""
    return {item.source.number for item in drawing.pictures if isinstance(item.source, Stored)}


def salvaged_layer(container: Container, body: Body, max_pixels: int) -> Layer:
    """An entry of which nothing else is known: it is taken to fill its page."""
    drawing = _drawing_of(body)
    width, height = body.width or A4[0], body.height or A4[1]
    layer = Layer(container, body, (0, 0, width, height), drawing, max_pixels)
    if drawing is not None:
        layer.losses += _lost(drawing)
    return layer


def _drawing_of(body: Body) -> Drawing | None:
    readers = {Format.EMF: read_emf, Format.WMF: read_wmf}
    return readers[body.format](body.data) if body.format in readers else None


def _rotation(node: Node) -> int:
    """Clockwise degrees."""
    return (node.numbers(_ROTATION) or [0])[0]


def _lost(drawing: Drawing) -> Iterator[Loss]:
    if drawing.damaged:
        yield Loss(FailureCategory.CORRUPT, "a drawing is damaged; what comes before the damage was read")
    if drawing.glyphs:
        message = f"{drawing.glyphs:,} runs of text are stored as shapes of a font, which cannot be read"
        yield Loss(FailureCategory.UNSUPPORTED, message)
    for face, count in sorted(drawing.symbols.items()):
        message = f"{count:,} runs of text in the symbol font {face!r}, whose signs are not known"
        yield Loss(FailureCategory.UNSUPPORTED, message)
    if drawing.lines.is_cut_off:
        message = f"a drawing has more than {MAX_CHARACTERS:,} characters"
        yield Loss(FailureCategory.TOO_LARGE, message)
    shown = drawing.lines.runs or drawing.pictures
    for name in sorted(drawing.unread):
        if not (name.startswith("EMF+") and shown):  # mostly written beside what older programs understand
            yield Loss(FailureCategory.UNSUPPORTED, f"{name} were not read")


def size_of(node: Node) -> tuple[int, int]:
    """Width and height in 1/100 mm; those of A4 where none that can be are stated."""
    given = node.numbers(_SIZE)[:2]
    return (given[0], given[1]) if _is_size(given) else A4


def _is_size(given: list[int]) -> bool:
    return len(given) == 2 and min(given) > 0 and max(given) <= _LONGEST


def place_of(node: Node, page: tuple[int, int]) -> tuple[int, int, int, int]:
    """Where an object lies on its page, by the placement above it; all of the page where none tells what can be."""
    above = node.parent
    if above is None:
        return 0, 0, *page
    corner, size = above.numbers(_PLACE)[:2], above.named("childdim")
    extent = numbers(resolve(above.container, size))[:2] if size is not None else []
    if len(corner) < 2 or not _is_size(extent):
        return 0, 0, *page
    if not all(-size < start < whole for start, size, whole in zip(corner, extent, page, strict=True)):
        return 0, 0, *page
    return corner[0], corner[1], extent[0], extent[1]
