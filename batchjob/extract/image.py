"""Reads image files in the parse child: every frame of a TIFF is a page, other files have one."""

import math
import struct
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from batchjob.errors import FailureCategory
from batchjob.extract.detect import Kind, NotReadError
from batchjob.extract.pdf import MAX_RENDERED

A4_LONG_SIDE = 11.69
"""Inches; the size that is assumed where a file states no plausible resolution."""
_PLAUSIBLE_DPI = (70, 1200)
_COARSE_DPI = 150
"""Below it a stated resolution is often a program's default (72, 96), so that it must give a usual size."""
_LONGEST_SIDE = {True: 17.5, False: 50.0}  # inches, for coarse and other resolutions: just over A3 and A0
_MOST_ENLARGED = 3.0
_SMALLEST_SIDE = 8
_LEAST_CONTRAST = 16
"""Of 255 shades: print, however faint, differs from its paper by more."""
_DEEP = ("I", "F", "I;16", "I;16B", "I;16L")
"""Modes of more than 8 bits."""

_FORMATS = {
    Kind.JPEG: "JPEG",
    Kind.PNG: "PNG",
    Kind.TIFF: "TIFF",
    Kind.BMP: "BMP",
    Kind.GIF: "GIF",
    Kind.WEBP: "WEBP",
}
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    Image.DecompressionBombError,
)
"""What Pillow's readers raise on damaged files."""


def open_image(path: Path, kind: Kind, max_pixels: int) -> Image.Image:
    """Opens an image by its header only. Raises NotReadError."""
    Image.MAX_IMAGE_PIXELS = None  # checked here, before anything is decoded
    warnings.simplefilter("ignore")
    try:
        image = Image.open(path, formats=(_FORMATS[kind],))
    except DAMAGE as error:
        raise_machine_failure(error)
        raise NotReadError(FailureCategory.CORRUPT, kind, f"the image is damaged ({_words(error)})") from None
    width, height = image.size
    if width * height > max_pixels:
        message = f"the image has {width:,} x {height:,} pixels; the limit is {max_pixels:,} pixels"
        raise NotReadError(FailureCategory.TOO_LARGE, kind, message)
    return image


def describe(kind: Kind, pages: int) -> dict[str, object]:
    return {
        "event": "document",
        "mime_type": kind,
        "page_count": pages,
        "title": None,
        "author": None,
    }


def page_count(path: Path, kind: Kind) -> int:
    """Frames of a TIFF; an animation counts as one picture. What follows a damaged link is not counted."""
    if kind is not Kind.TIFF:
        return 1
    with path.open("rb") as file:
        return max(sum(1 for _ in _directories(file)), 1)


def _directories(file: BinaryIO) -> Iterator[int]:
    """The links behind the frames of a TIFF (TIFF 6.0, section 2; BigTIFF has wider numbers).

    Pillow counts them too, in a time that grows with their square: 24 s for 65,535.
    """
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    number, link, entry = ("Q", "Q", 20) if big else ("H", "I", 12)
    seen: set[int] = set()
    try:
        (offset,) = struct.unpack_from(order + link, head, 8 if big else 4)
        while offset and offset not in seen:
            seen.add(offset)
            file.seek(offset)
            (entries,) = struct.unpack(order + number, file.read(struct.calcsize(number)))
            file.seek(offset + struct.calcsize(number) + entries * entry)
            (offset,) = struct.unpack(order + link, file.read(struct.calcsize(link)))
            yield offset
    except (struct.error, OSError, OverflowError):
        return


def read_page(image: Image.Image, number: int, out: Path, dpi: int, max_pixels: int) -> dict[str, object]:
    """The event of page `number` (from 1); its gray image goes into `out`."""
    started = time.monotonic()
    event: dict[str, object] = {"event": "page", "page": number, "method": "ocr", "text": ""}
    try:
        image.seek(number - 1)
        width, height = image.size
        if width * height > max_pixels:
            event |= _failed(
                FailureCategory.TOO_LARGE, f"{width:,} x {height:,} pixels; the limit is {max_pixels:,}"
            )
        elif min(width, height) < _SMALLEST_SIDE:
            event |= {"method": "blank"}
        else:
            event |= _read_frame(image, number, out, dpi)
    except DAMAGE as error:
        raise_machine_failure(error)
        event |= _failed(FailureCategory.CORRUPT, f"the image is damaged ({_words(error)})")
    return event | {"seconds": round(time.monotonic() - started, 4)}


def _read_frame(image: Image.Image, number: int, out: Path, dpi: int) -> dict[str, object]:
    width, height = image.size
    lost = None
    try:
        gray, resolution = prepare(image, dpi)
    except OSError as error:
        raise_machine_failure(error)
        lost = _words(error)
        gray, resolution = _prepare_what_is_there(image, number, dpi)
    event = ocr_work(gray, number, out, resolution)
    if lost and "image" not in event:
        return _failed(FailureCategory.CORRUPT, f"the image is damaged ({lost})")
    event["note"] = f"image of {width:,} x {height:,} pixels{_among(image)}, at {resolution} dpi"
    if lost:
        message = f"the image is damaged ({lost}); what could be decoded of it was read"
        event["error"] = {"category": FailureCategory.CORRUPT, "message": message}
    return event


def _prepare_what_is_there(image: Image.Image, number: int, dpi: int) -> tuple[Image.Image, int]:
    """The frame of a file that is cut off; what is missing has one shade."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with Image.open(str(getattr(image, "filename", "")), formats=tuple(_FORMATS.values())) as again:
            again.seek(number - 1)
            return prepare(again, dpi)
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def _among(image: Image.Image) -> str:
    """That an animation has more frames than the one that is read."""
    frames = 1 if image.format == _FORMATS[Kind.TIFF] else int(getattr(image, "n_frames", 1))
    return f", the first of {frames} frames" if frames > 1 else ""


def ocr_work(gray: Image.Image, number: int, out: Path, dpi: int) -> dict[str, object]:
    """What a page's event says of its picture: written to a file for OCR, or blank where it is all one shade."""
    low, high = gray.getextrema()
    if isinstance(low, tuple) or isinstance(high, tuple) or high - low < _LEAST_CONTRAST:
        return {"method": "blank"}
    name = f"page-{number:06d}.pgm"
    gray.save(out / name)
    return {"image": name, "dpi": max(dpi, _PLAUSIBLE_DPI[0])}


def raise_machine_failure(error: BaseException) -> None:
    """An error of the operating system (disk full, file gone) says nothing about the document: raises it again.

    Pillow's own OSErrors have no number.
    """
    if isinstance(error, OSError) and error.errno is not None:
        raise error


def _failed(category: FailureCategory, message: str) -> dict[str, object]:
    return {"method": "failed", "error": {"category": category, "message": message}}


def prepare(image: Image.Image, dpi: int) -> tuple[Image.Image, int]:
    """The frame upright, in gray, at about `dpi`, of no more pixels than a rendered page; and its resolution then."""
    across, down = resolution(image)
    width, height = image.size
    fitting = math.sqrt(MAX_RENDERED * down / (width * height * across))
    factor = min(dpi / across, _MOST_ENLARGED, fitting)
    size = (max(round(width * factor), 1), max(round(height * factor * across / down), 1))
    image.draft("L", size)
    gray = to_gray(ImageOps.exif_transpose(image))
    if _is_turned(image):
        size = (size[1], size[0])
    if abs(factor - 1) > 0.1 or across != down or factor == fitting:
        gray = gray.resize(size, Image.Resampling.BICUBIC if factor > 1 else Image.Resampling.LANCZOS)
        return gray, round(across * factor)
    return gray, round(across)


def _is_turned(image: Image.Image) -> bool:
    return image.getexif().get(0x0112, 1) in (5, 6, 7, 8)  # Exif 2.3, Orientation: the sides are exchanged


def resolution(image: Image.Image) -> tuple[float, float]:
    """Dots per inch across and down: what the file says where that is plausible, else as if it were A4."""
    width, height = image.size
    try:
        across, down = (float(value) for value in image.info.get("dpi", (0, 0)))
    except (TypeError, ValueError, ZeroDivisionError):
        across = down = 0.0
    low, high = _PLAUSIBLE_DPI
    if low <= across <= high and low <= down <= high:
        longest = max(width / across, height / down)
        if longest <= _LONGEST_SIDE[min(across, down) < _COARSE_DPI]:
            return across, down
    estimate = max(width, height) / A4_LONG_SIDE
    return estimate, estimate


def to_gray(image: Image.Image) -> Image.Image:
    """Any mode in 8-bit gray; what is transparent becomes white."""
    if image.mode in _DEEP:
        return _sixteen_bit_to_gray(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        paper.alpha_composite(image)
        image = paper
    return image if image.mode == "L" else image.convert("L")


def _sixteen_bit_to_gray(image: Image.Image) -> Image.Image:
    """Scaled by the brightest value: scanners store 10, 12 or 16 bits in it, and floats may go from 0 to 1."""
    is_float = image.mode == "F"
    image = image.convert("F")
    extrema = image.getextrema()
    brightest = extrema[1] if not isinstance(extrema[1], tuple) else 0.0
    if is_float and 0 < brightest <= 1:
        return image.point(lambda value: value * 255 + 0).convert("L")
    bits = max(math.ceil(math.log2(max(float(brightest), 1.0) + 1)), 8)
    return image.point(lambda value: value * (255 / (2**bits - 1)) + 0).convert("L")


def thumbnail(path: Path, kind: Kind) -> bytes | None:
    """A small picture of the first frame; None where it is damaged."""
    from batchjob.enrich.thumbnail import MAX_HEIGHT, MAX_WIDTH, encode, to_srgb

    try:
        with Image.open(path, formats=(_FORMATS[kind],)) as image:
            image.draft("RGB", (MAX_WIDTH, MAX_HEIGHT))
            if image.mode in _DEEP:
                return encode(to_gray(image))
            return encode(ImageOps.exif_transpose(to_srgb(image)))
    except DAMAGE as error:
        raise_machine_failure(error)
        return None


def _words(error: BaseException) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "its header cannot be read"  # the library's words name the scratch file
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
