"""The child processes that the documents of a shard share: parse children from a fork server, and the OCR pool."""

from pathlib import Path
from typing import Self

from batchjob.process.forkserver import ForkServer
from batchjob.process.ocrpool import OcrPool
from batchjob.settings import Settings

PARSER = "batchjob.extract.child"


class Readers:
    """Open while documents are read; `folder` is an existing scratch folder, in which nothing is left."""

    def __init__(self, settings: Settings, size: int, folder: Path, *, thumbnails: bool = True) -> None:
        """`size`: OCR children at the most; `thumbnails`: whether documents are pictured, a fifth of a text's cost."""
        self.thumbnails = thumbnails
        self.parser = ForkServer(PARSER, folder)
        self.ocr = OcrPool(settings, size, folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.parser.close()
        finally:
            self.ocr.close()
