"""A parse child that was taken over: the document says what it writes, or leaves in place of a picture."""

import json
import os
import sys
from pathlib import Path

from batchjob import sandbox

DOCUMENT = {
    "event": "document",
    "mime_type": "application/pdf",
    "page_count": 40,
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


def main() -> None:
    arguments = sandbox.enter()
    do, _, what = Path(arguments["path"]).read_text().partition(" ")
    hoard = b""
    for request in map(json.loads, sys.stdin.buffer):
        sandbox.emit(DOCUMENT)
        for number in request["pages"]:
            if number > DOCUMENT["page_count"]:  # type: ignore[operator]
                continue
            if do == "image" and number == 1:
                leave(Path(arguments["out"]) / "page-000001.pgm", what)
                sandbox.emit(page(1, method="ocr", image="x", dpi=200))
            elif do == "lose" and number in range(*map(int, what.split()[1:])):
                error = {"category": what.split()[0], "message": "lost"}
                sandbox.emit(page(number, method="failed", text="", error=error))
            elif do == "grow":
                hoard = hoard or b"x" * (number == 18) * 300_000_000
                sandbox.emit(page(number, text=str(os.getpid())))
            elif do == "write" and number == 18:
                os.write(sandbox._events, what.encode() + b"\n")
            else:
                sandbox.emit(page(number))
        if request["thumbnail"]:
            if do == "thumbnail":
                leave(Path(arguments["out"]) / "thumbnail.jpg", what)
            sandbox.emit({"event": "thumbnail", "file": "thumbnail.jpg" if do == "thumbnail" else None})
        sandbox.emit({"event": "done"})


if __name__ == "__main__":
    main()
