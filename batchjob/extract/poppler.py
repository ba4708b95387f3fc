"""The second reader: a child that reads by poppler's programs what PDFium refuses; started by process/parsing.py.

Takes the arguments and requests of extract/child.py and sends the same events. Poppler is called directly:
pdf2image would bring the page into memory only to have it written again. Pages whose text layer is short are read
by OCR, since poppler's programs do not tell how much of a page is picture.
"""

import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from batchjob import sandbox
from batchjob.errors import FailureCategory
from batchjob.extract.child import DONE, bounded
from batchjob.extract.decide import STAMP_CHARACTERS, PageMeasure, count_characters, decide
from batchjob.extract.detect import Kind
from batchjob.extract.pdf import MAX_RENDERED
from batchjob.extract.text import clean, clean_line

READER = "poppler"
_INFO = re.compile(r"^(Pages|Title|Author): +(.*)$", re.MULTILINE)
_SIZE = re.compile(r"^Page +(\d+) size: +([\d.]+) x ([\d.]+) pts", re.MULTILINE)
_THUMBNAIL_DPI = 96
Event = dict[str, object]


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
    return answer or ""


def _output_of(program: str, *options: str) -> str | None:
    """What a program prints, or None where it fails."""
    found = subprocess.run(
        [program, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return found.stdout.decode(errors="replace") if found.returncode == 0 else None


def _page(path: Path, number: int, size: tuple[float, float] | None, out: Path, dpi: int) -> Event:
    started = time.monotonic()
    event: Event = {"event": "page", "page": number, "reader": READER, "text": ""}
    layer = _layer(path, number, out) if size else None
    if size is None or layer is None:
        message = "the page is damaged (neither PDFium nor poppler reads it)"
        event |= {"method": "failed", "error": {"category": FailureCategory.CORRUPT, "message": message}}
    elif _is_enough(layer):
        event |= {"method": "text", "text": clean(layer)}
    else:
        event |= _for_ocr(path, number, size, out, dpi)
    return event | {"seconds": round(time.monotonic() - started, 4)}


def _layer(path: Path, number: int, out: Path) -> str | None:
    target = out / f"page-{number:06d}.txt"
    page = ("-f", str(number), "-l", str(number))
    try:
        if _output_of("pdftotext", "-q", "-enc", "UTF-8", *page, str(path), str(target)) is None:
            return None
        return target.read_text(encoding="utf-8", errors="replace")
    finally:
        target.unlink(missing_ok=True)


def _is_enough(layer: str) -> bool:
    characters, controls, odd, readable = count_characters(layer)
    measure = PageMeasure(characters, controls, odd, readable, 1, 0, pictures=0.0, paths=0)
    return characters >= STAMP_CHARACTERS and decide(measure).layer


def _for_ocr(path: Path, number: int, size: tuple[float, float], out: Path, dpi: int) -> Event:
    from PIL import Image

    from batchjob.extract.image import ocr_work

    resolution = _resolution(size, dpi)
    picture = _render(path, number, resolution, out, "-gray")
    if picture is None:
        message = "the page is damaged (neither PDFium nor poppler draws it)"
        return {"method": "failed", "error": {"category": FailureCategory.CORRUPT, "message": message}}
    with Image.open(picture) as image:
        work = ocr_work(image.convert("L"), number, out, resolution)
    picture.unlink()
    return {"method": "ocr", "note": f"rendered at {resolution} dpi"} | work


def _resolution(size: tuple[float, float], dpi: int) -> int:
    """Lower than `dpi` where the page is huge."""
    inches = max(size[0] * size[1] / 72**2, 1e-6)
    return max(int(min(dpi, math.sqrt(MAX_RENDERED / inches))), 1)


def _render(path: Path, number: int, dpi: int, out: Path, *options: str) -> Path | None:
    """A picture of the page in a file of its own; None where poppler makes none."""
    target = out / f"poppler-{number:06d}"
    page = ("-f", str(number), "-l", str(number), "-singlefile", "-cropbox", "-r", str(dpi))
    drawn = _output_of("pdftoppm", "-q", *page, *options, str(path), str(target))
    made = target.with_suffix(".pgm" if "-gray" in options else ".ppm")
    return made if drawn is not None and made.exists() else None


def _thumbnail(path: Path, size: tuple[float, float] | None, out: Path) -> Event:
    from PIL import Image

    from batchjob.enrich.thumbnail import encode

    picture = _render(path, 1, _resolution(size, _THUMBNAIL_DPI), out) if size else None
    if picture is None:
        return {"event": "thumbnail", "file": None}
    with Image.open(picture) as image:
        (out / "thumbnail.jpg").write_bytes(encode(image))
    picture.unlink()
    return {"event": "thumbnail", "file": "thumbnail.jpg"}


def main() -> None:
    arguments = sandbox.enter(starts_programs=True)
    for line in sys.stdin.buffer:
        for event in events(arguments | json.loads(line)):
            sandbox.emit(bounded(event, arguments["characters"]))
        sandbox.emit(DONE)


if __name__ == "__main__":
    main()
