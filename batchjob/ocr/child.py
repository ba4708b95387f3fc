"""The OCR child: gets images of pages, nothing else of a document, and sends back their text (invariant 11).

Started by process/extraction.py with `engine`, `languages`, `vertical`, `folder` and `pages`, each with
`page`, `image` (a file in the folder) and `dpi`. Sends one `page` event for each.
"""

import time
from pathlib import Path
from typing import Any

from batchjob import sandbox
from batchjob.errors import FailureCategory
from batchjob.extract.text import clean
from batchjob.ocr.engine import OcrEngine, OcrError, open_engine


def read(engine: OcrEngine, folder: Path, page: dict[str, Any]) -> dict[str, object]:
    started = time.monotonic()
    event: dict[str, object] = {"event": "page", "page": page["page"]}
    try:
        found = engine.recognise(folder / page["image"], page["dpi"])
    except OcrError as error:
        event["error"] = {"category": FailureCategory.CRASHED, "message": str(error)}
    else:
        event |= {
            "text": clean(found.text, ocr=True),
            "confidence": found.confidence,
            "lines": [[clean(line.text, ocr=True), line.confidence] for line in found.lines],
        }
    return event | {"seconds": round(time.monotonic() - started, 3)}


def main() -> None:
    arguments = sandbox.enter(starts_programs=True)
    engine = open_engine(arguments["engine"], arguments["languages"], arguments["vertical"])
    folder = Path(arguments["folder"])
    for page in arguments["pages"]:
        sandbox.emit(read(engine, folder, page))


if __name__ == "__main__":
    main()
