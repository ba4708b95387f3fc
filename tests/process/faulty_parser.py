"""A parse child that was taken over: the document says what it writes, or leaves in place of a picture."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from batchjob import sandbox

PAGES = 40
DOCUMENT = {
    "event": "document",
    "mime_type": "application/pdf",
    "page_count": PAGES,
    "title": None,
    "author": None,
}


def page(number: int, **other: object) -> dict[str, object]:
    return {
        "event": "page",
        "page": number,
        "method": "text",
        "text": f"page {number}",
        "seconds": 0.0,
        **other,
    }


def leave(place: Path, what: str) -> None:
    match what:
        case "symlink":
            place.symlink_to("/etc/hostname")
        case "fifo":
            os.mkfifo(place)
        case "device":
            place.symlink_to("/dev/zero")
        case "folder":
            place.mkdir()
        case "5 MiB":
            place.write_bytes(b"x" * 5 * 1024 * 1024)


def fill(pipe: Path) -> None:
    """So that the next request finds no room."""
    descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    for size in (65536, 4096, 1):
        with suppress(BlockingIOError):
            while True:
                os.write(descriptor, b"\n" * size)


def say_page(number: int, do: str, what: str, out: Path) -> None:
    if do == "image" and number == 1:
        leave(out / "page-000001.pgm", what)
        sandbox.emit(page(1, method="ocr", text="", image="x", dpi=200))
    elif do == "lose" and number in range(*map(int, what.split()[1:])):
        error = {"category": what.split(maxsplit=1)[0], "message": "lost"}
        sandbox.emit(page(number, method="failed", text="", error=error))
    elif do == "write" and number == 18:
        os.write(sandbox._events, what.encode() + b"\n")
    else:
        sandbox.emit(page(number, text=str(os.getpid())) if do in ("grow", "fill") else page(number))


def main() -> None:
    arguments = sandbox.enter()
    do, _, what = Path(arguments["path"]).read_text().partition(" ")
    out, hoard = Path(arguments["out"]), b""
    for request in map(json.loads, sys.stdin.buffer):
        sandbox.emit(DOCUMENT)
        pages = [number for number in request["pages"] if number <= PAGES]
        hoard = hoard or b"x" * (do == "grow" and 18 in pages) * 300_000_000
        for number in pages:
            say_page(number, do, what, out)
        if request["thumbnail"]:
            if do == "thumbnail":
                leave(out / "thumbnail.jpg", what)
            sandbox.emit({"event": "thumbnail", "file": "thumbnail.jpg" if do == "thumbnail" else None})
        if do == "fill":
            fill(Path("/proc/self/fd/0"))
        sandbox.emit({"event": "done"})


if __name__ == "__main__":
    main()
