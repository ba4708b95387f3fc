"""The second reader: a child that reads by poppler's programs what PDFium refuses; started by process/parsing.py.

Takes the arguments and requests of extract/child.py and sends the same events. Poppler is called directly:
pdf2image would bring the page into memory only to have it written again. Pages whose text layer is short are read
by OCR, since poppler's programs do not tell how much of a page is picture.
"""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchjob import sandbox
from batchjob.errors import FailureCategory
from batchjob.extract.child import DONE, bounded
from batchjob.extract.decide import STAMP_CHARACTERS, PageMeasure, count_characters, decide
from batchjob.extract.detect import Kind
from batchjob.extract.pdf import rendering_scale
from batchjob.extract.text import clean, clean_line

if TYPE_CHECKING:
    from PIL import Image

READER = "poppler"
_INFO = re.compile(r"^(Pages|Title|Author): +(.*)$", re.MULTILINE)
_SIZE = re.compile(r"^Page +(\d+) size: +([\d.]+) x ([\d.]+) pts", re.MULTILINE)
_THUMBNAIL_DPI = 72
Event = dict[str, object]


class KilledError(Exception):
    """A program was killed by a signal, which says nothing certain of the file."""


def events(arguments: dict[str, Any]) -> Iterator[Event]:
    path, out, wanted = Path(arguments["path"]), Path(arguments["out"]), arguments["pages"]
    about = _about(path, min(wanted, default=1), max(wanted, default=1))
    named = dict(_INFO.findall(about))
    page_count = int(named.get("Pages", 0))
    if page_count < 1:
        yield {
            "event": "failure",
            "category": FailureCategory.CORRUPT,
            "message": "the PDF is damaged",
            "mime_type": Kind.PDF,
        }
        return
    yield {
        "event": "document",
        "mime_type": Kind.PDF,
        "page_count": page_count,
        "title": clean_line(named.get("Title", "")),
        "author": clean_line(named.get("Author", "")),
    }
    sizes = {int(page): (float(width), float(height)) for page, width, height in _SIZE.findall(about)}
    for number in wanted:
        if number <= page_count:
            yield _page(path, number, sizes.get(number), out, arguments["dpi"])
    if arguments["thumbnail"]:
        yield _thumbnail(path, sizes.get(1), out)


def _about(path: Path, first: int, last: int) -> str:
    """What pdfinfo says of the document and of the sizes of those pages; empty where it cannot open it."""
    answer = _output_of("pdfinfo", "-enc", "UTF-8", "-f", str(first), "-l", str(last), str(path))
    return (answer or b"").decode(errors="replace")


def _output_of(program: str, *options: str) -> bytes | None:
    """What a program prints, or None where it fails. Raises KilledError.

    All comes through pipes: on a full disk these programs end as if all were well.
    """
    found = subprocess.run(
        [program, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if found.returncode < 0:
        raise KilledError(f"{program} was killed by {signal.Signals(-found.returncode).name}")
    return found.stdout if found.returncode == 0 else None


def _page(path: Path, number: int, size: tuple[float, float] | None, out: Path, dpi: int) -> Event:
    started = time.monotonic()
    event: Event = {"event": "page", "page": number, "reader": READER, "text": ""}
    layer = _layer(path, number) if size else None
    if size is None or layer is None:
        message = "the page is damaged (neither PDFium nor poppler reads it)"
        event |= {"method": "failed", "error": {"category": FailureCategory.CORRUPT, "message": message}}
    elif _is_enough(layer):
        event |= {"method": "text", "text": clean(layer)}
    else:
        event |= _for_ocr(path, number, size, out, dpi)
    return event | {"seconds": round(time.monotonic() - started, 4)}


def _layer(path: Path, number: int) -> str | None:
    page = ("-f", str(number), "-l", str(number))
    layer = _output_of("pdftotext", "-q", "-enc", "UTF-8", *page, str(path), "-")
    return None if layer is None else layer.decode(errors="replace")


def _is_enough(layer: str) -> bool:
    characters, controls, odd, readable = count_characters(layer)
    measure = PageMeasure(characters, controls, odd, readable, 1, 0, pictures=0.0, paths=0)
    return characters >= STAMP_CHARACTERS and decide(measure).layer


def _for_ocr(path: Path, number: int, size: tuple[float, float], out: Path, dpi: int) -> Event:
    from batchjob.extract.image import ocr_work

    resolution = _resolution(size, dpi)
    picture = _render(path, number, resolution, "-gray")
    if picture is None:
        message = "the page is damaged (neither PDFium nor poppler draws it)"
        return {"method": "failed", "error": {"category": FailureCategory.CORRUPT, "message": message}}
    work = ocr_work(picture.convert("L"), number, out, resolution)
    return {"method": "ocr", "note": f"rendered at {resolution} dpi"} | work


def _resolution(size: tuple[float, float], dpi: int) -> int:
    return max(int(rendering_scale(size, dpi) * 72), 1)


def _render(path: Path, number: int, dpi: int, *options: str) -> "Image.Image | None":
    """A picture of the page; None where poppler makes none."""
    from PIL import Image

    page = ("-f", str(number), "-l", str(number), "-singlefile", "-cropbox", "-r", str(dpi))
    drawn = _output_of("pdftoppm", "-q", *page, *options, str(path))
    return Image.open(BytesIO(drawn), formats=("PPM",)) if drawn else None


def _thumbnail(path: Path, size: tuple[float, float] | None, out: Path) -> Event:
    from batchjob.enrich.thumbnail import encode

    picture = _render(path, 1, _resolution(size, _THUMBNAIL_DPI)) if size else None
    if picture is None:
        return {"event": "thumbnail", "file": None}
    (out / "thumbnail.jpg").write_bytes(encode(picture))
    return {"event": "thumbnail", "file": "thumbnail.jpg"}


def main() -> None:
    arguments = sandbox.enter(starts_programs=True)
    try:
        for line in sys.stdin.buffer:
            for event in events(arguments | json.loads(line)):
                sandbox.emit(bounded(event, arguments["characters"]))
            sandbox.emit(DONE)
    except KilledError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
