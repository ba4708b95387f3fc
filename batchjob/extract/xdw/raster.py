"""Makes images of the pictures in DocuWorks files, and puts those of a drawing together; in the parse child only."""

import math
import struct
from collections.abc import Callable, Sequence
from io import BytesIO

from PIL import Image, ImageChops, ImageFile

from batchjob.errors import FailureCategory
from batchjob.extract.image import DAMAGE, raise_machine_failure
from batchjob.extract.xdw.body import PER_METRE, Body, Format
from batchjob.extract.xdw.container import Container
from batchjob.extract.xdw.drawing import Box, Dib, Placed
from batchjob.extract.xdw.tlv import XdwError, within
from batchjob.extract.xdw.wmf import header_length

MAX_CANVAS = 40_000_000
"""Pixels of a picture that is put together."""
_LONGEST_SIDE = 100_000
"""Pixels; an A0 sheet at 1,200 dpi has 56,000."""
MAX_BITONAL, MAX_SHADED = 150_000_000, 75_000_000
"""Pixels of a picture in black and white (A0 at 300 dpi), and of others (A3 at 600 dpi), for a child's memory."""
_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP")
_JPEG_OR_PNG = (4, 5)
_AND, _OR = 0x008800C6, 0x00EE0086
_DIB_METHODS = frozenset({1, 5})
_TOP_DOWN = 5
_END_OF_BLOCK = "000000000001" * 2
_TAIL = 16


def open_picture(data: bytes, max_pixels: int) -> Image.Image:
    """A picture file's image, decoded when its pixels are asked for. Raises XdwError."""
    Image.MAX_IMAGE_PIXELS = None  # checked here, before anything is decoded
    try:
        image = Image.open(BytesIO(data), formats=_FORMATS)
    except DAMAGE as error:
        raise_machine_failure(error)
        raise XdwError("a picture is damaged") from None
    _check_size(image, max_pixels)
    return image


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    max_pixels = min(max_pixels, MAX_BITONAL if image.mode == "1" else MAX_SHADED)
    if width * height > max_pixels:
        message = f"a picture has {width:,} x {height:,} pixels; the limit is {max_pixels:,} pixels"
        raise XdwError(message, FailureCategory.TOO_LARGE)


def dib_image(dib: Dib, max_pixels: int) -> Image.Image:
    """Raises XdwError."""
    if len(dib.header) < 12:
        raise XdwError("a bitmap is damaged")
    if int.from_bytes(dib.header[16:20], "little") in _JPEG_OR_PNG and len(dib.header) >= 40:
        return open_picture(dib.bits, max_pixels)
    offset = 14 + len(dib.header)
    head = struct.pack("<2sIII", b"BM", offset + len(dib.bits), 0, offset)
    return open_picture(head + dib.header + dib.bits, max_pixels)


def body_image(container: Container, body: Body, max_pixels: int) -> Image.Image:
    """The image of a body that is no metafile. Raises XdwError."""
    if body.format is Format.DIB:
        return dib_image(_packed_dib(container, body), max_pixels)
    if body.format is Format.G4:
        return _g4_image(body, max_pixels)
    return open_picture(body.data, max_pixels)


def _packed_dib(container: Container, body: Body) -> Dib:
    """A bitmap whose pixels have a header of their own: method, stored and expanded size, rows."""
    data, at = body.data, body.sub_header
    if not at:
        try:
            at = header_length(data)
        except struct.error:
            raise XdwError("a bitmap is damaged") from None
        return Dib(data[:at], data[at:])
    if not 12 <= at <= len(data) - 16:
        raise XdwError("a bitmap is damaged")
    method, stored, expanded, rows = struct.unpack_from("<4I", data, at)
    header, bits = data[:at], data[at + 16 : at + 16 + stored]
    if method in _DIB_METHODS:
        bits = container.expand(bits, expanded)
    elif method:
        message = f"a bitmap is packed by method {method}, which is not known"
        raise XdwError(message, FailureCategory.UNSUPPORTED)
    if method == _TOP_DOWN:
        header = header[:8] + struct.pack("<i", -within(rows)) + header[12:]
    return Dib(header, bits)


def _g4_image(body: Body, max_pixels: int) -> Image.Image:
    """A bare strip of CCITT group 4, wrapped as a TIFF. Raises XdwError."""
    width, height = body.pixels if all(body.pixels) else _pixels_of(body)
    if not width or not height:
        raise XdwError("a scan states no size")
    return open_picture(_tiff(body.data, width, height, _bit_order(body.data[-_TAIL:])), max_pixels)


def _bit_order(tail: bytes) -> int:
    """TIFF's FillOrder, by the mark at the end of a strip (T.6, EOFB): 1 unless it is there in the other one only."""
    first = "".join(f"{byte:08b}" for byte in tail)
    last = "".join(f"{byte:08b}"[::-1] for byte in tail)
    return 2 if _END_OF_BLOCK in last and _END_OF_BLOCK not in first else 1


def _pixels_of(body: Body) -> tuple[int, int]:
    scale = body.per_metre / PER_METRE
    return round(body.width * scale), round(body.height * scale)


def _tiff(strip: bytes, width: int, height: int, order: int) -> bytes:
    """A TIFF of one strip (TIFF 6.0, section 11): 0 is white; `order` is its FillOrder."""
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 1),
        (259, 3, 4),
        (262, 3, 0),
        (266, 3, order),
        (273, 4, 0),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, len(strip)),
        (296, 3, 3),
    ]
    start = 8 + 2 + 12 * len(entries) + 4
    data = b"II*\0" + struct.pack("<IH", 8, len(entries))
    for tag, kind, value in entries:
        data += struct.pack("<HHII", tag, kind, 1, start if tag == 273 else value)
    return data + struct.pack("<I", 0) + strip


def load_all(make: Callable[[], Image.Image]) -> tuple[Image.Image, bool]:
    """The image with its pixels, and whether some are missing since its data is cut off. Raises XdwError."""
    image = make()
    try:
        image.load()
    except DAMAGE as error:
        raise_machine_failure(error)
    else:
        return image, False
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        image = make()
        image.load()
    except DAMAGE as error:
        raise_machine_failure(error)
        raise XdwError("a picture is damaged") from None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    return image, True


def compose(
    placed: Sequence[tuple[Placed, tuple[int, int]]],
    load: Callable[[Placed], Image.Image | None],
    mode: str,
) -> tuple[Image.Image, Box] | None:
    """The pictures as they lie on a drawing, and where that is, in its device units.

    Each comes with its size in pixels, and is loaded when it is put there. None where none can be.
    """
    found = [(item, size) for item, size in placed if _area(item.box) > 0]
    if not found:
        return None
    boxes = [_upright(item.box) for item, _ in found]
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right, bottom = max(box[2] for box in boxes), max(box[3] for box in boxes)
    largest, size = max(found, key=lambda pair: _area(pair[0].box))
    exact = _part(largest, size)[0] / abs(largest.box[2] - largest.box[0])
    scale = _fit(exact, right - left, bottom - top)
    if len(found) == 1 and scale == exact:
        picture = load(largest)
        whole = (left, top, right, bottom)
        return None if picture is None else (_shown(largest, picture, _part(largest, size)[:2], mode), whole)
    canvas: Image.Image | None = None
    for (item, _), box in zip(found, boxes, strict=True):
        picture = load(item)
        if picture is None:
            continue
        if canvas is None:
            extent = (max(round((right - left) * scale), 1), max(round((bottom - top) * scale), 1))
            canvas = Image.new(mode, extent, "white")
        x, y = round((box[0] - left) * scale), round((box[1] - top) * scale)
        width = max(round((box[2] - left) * scale) - x, 1)
        height = max(round((box[3] - top) * scale) - y, 1)
        _paste(canvas, _shown(item, picture, (width, height), mode), (x, y), item.operation)
    return None if canvas is None else (canvas, (left, top, right, bottom))


def _fit(scale: float, width: float, height: float) -> float:
    """Lower where the whole would have too many pixels, or too long a side."""
    longest = _LONGEST_SIDE / max(width, height, 1e-9)
    return min(scale, math.sqrt(MAX_CANVAS / max(width * height, 1e-9)), longest)


def _upright(box: Box) -> Box:
    left, top, right, bottom = box
    return min(left, right), min(top, bottom), max(left, right), max(top, bottom)


def _area(box: Box) -> float:
    return abs((box[2] - box[0]) * (box[3] - box[1]))


def _part(item: Placed, size: tuple[int, int]) -> tuple[int, int, tuple[int, int, int, int] | None]:
    """Width and height of what shows of a picture, and its place in it, None for all of it."""
    left, top, width, height = item.part
    width, height = abs(width), abs(height)
    inside = 0 <= left < left + width <= size[0] and 0 <= top < top + height <= size[1]
    if not inside or (width, height) == size:
        return *size, None
    return width, height, (left, top, left + width, top + height)


def _shown(item: Placed, picture: Image.Image, size: tuple[int, int], mode: str) -> Image.Image:
    width, height, part = _part(item, picture.size)
    if part is not None:
        picture = picture.crop(part)
    picture = picture if picture.mode == mode else picture.convert(mode)
    if abs(width - size[0]) > 1 or abs(height - size[1]) > 1:
        smaller = size[0] < width
        picture = picture.resize(size, Image.Resampling.BOX if smaller else Image.Resampling.BICUBIC)
    if (item.box[2] < item.box[0]) != (item.part[2] < 0):
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if (item.box[3] < item.box[1]) != (item.part[3] < 0):
        picture = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return picture


def _paste(canvas: Image.Image, picture: Image.Image, at: tuple[int, int], operation: int) -> None:
    if operation in (_AND, _OR):
        below = canvas.crop((*at, at[0] + picture.width, at[1] + picture.height))
        combine = ImageChops.darker if operation == _AND else ImageChops.lighter
        picture = combine(below, picture)
    canvas.paste(picture, at)
