"""The OCR child: gets images of pages, nothing else of a document, and sends back their text (invariant 11).

Forked for process/ocrpool.py from a process that has opened the engine (`engine`, `languages`, `vertical` and
`page_modes`), whose memory the children share. Sends `ready`, then answers each line on its standard input (`id`,
`image`: a path, `dpi`, `doc_type`) with one `page` event of the same `id`.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from batchjob import sandbox
from batchjob.errors import FailureCategory
from batchjob.extract.text import clean
from batchjob.ocr.engine import OcrEngine, OcrError, open_engine


def read(engine: OcrEngine, page: dict[str, Any]) -> dict[str, object]:
    started = time.monotonic()
    event: dict[str, object] = {"event": "page", "id": page["id"]}
    try:
        found = engine.recognise(Path(page["image"]), page["dpi"], page["doc_type"])
    except OcrError as error:
        event["error"] = {"category": FailureCategory.CRASHED, "message": str(error)}
    else:
        event |= {
            "text": clean(found.text, ocr=True),
            "confidence": found.confidence,
            "left_out": found.left_out,
            "lines": [[clean(line.text, ocr=True), line.confidence] for line in found.lines],
        }
    return event | {"seconds": round(time.monotonic() - started, 3)}


def prepare(arguments: dict[str, Any]) -> Callable[[], None]:
    """Opens the engine, which no page has reached yet; what is returned runs in each child."""
    engine = open_engine(
        arguments["engine"], arguments["languages"], arguments["vertical"], arguments["page_modes"]
    )
    return lambda: serve(engine, starts_programs=arguments["engine"] == "tesseract")


def serve(engine: OcrEngine, *, starts_programs: bool) -> None:
    sandbox.enter(starts_programs=starts_programs)
    sandbox.emit({"event": "ready"})
    for line in sys.stdin.buffer:
        sandbox.emit(read(engine, json.loads(line)))
