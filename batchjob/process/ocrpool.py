"""Lends page images to OCR children that stay alive: loading an engine costs more than most documents."""

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Self

from batchjob.errors import MachineError
from batchjob.process.answers import Recognised, answer
from batchjob.process.children import Child, ChildEnd, ChildLimits, Ending
from batchjob.process.doctypes import page_modes
from batchjob.process.forkserver import ForkServer
from batchjob.settings import Settings

MODULE = "batchjob.ocr.child"
_START_SECONDS = 120.0
_OUTPUT = 64 * 1024 * 1024
"""Bytes that a child may write for one page."""
_TRIES = 2
_RENEW = 700 * 1024 * 1024
"""Resident bytes from which a child is replaced between two pages. It keeps 330 to 400 MiB on pages of A4, up to
650 after pages of all shapes."""
_MORE_IMAGES = 4
READY = b'{"event": "ready"}'


class OcrPool:
    """Up to `size` OCR children, started when they are needed, each with one page at a time.

    `folder` is an existing scratch folder, in which nothing is left. Close it from any thread; pages that are
    not read then are given up.
    """

    def __init__(self, settings: Settings, size: int, folder: Path, module: str = MODULE) -> None:
        self._settings = settings
        self._folder = folder
        prepared = {
            "engine": settings.ocr_engine,
            "languages": settings.ocr_languages,
            "vertical": settings.ocr_languages_vertical,
            "page_modes": page_modes(settings),
        }
        self._server = ForkServer(module, folder, prepared, _START_SECONDS)
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="ocr")
        self._own = threading.local()
        self._numbers: Iterator[int] = count(1)
        self._lock = threading.Lock()
        self._children: set[Child] = set()
        self._images = 0
        self._most_images = 2 * size + _MORE_IMAGES
        self._closed = False

    @property
    def engine(self) -> str:
        return self._settings.ocr_engine

    def is_full(self) -> bool:
        """Whether enough images wait here to keep all children busy."""
        return self._images >= self._most_images and not self._closed

    def read(
        self, image: Path, dpi: int, deadline: float, doc_type: str | None = None
    ) -> "Future[Recognised | ChildEnd]":
        """The OCR child's answer about a page, or how the child ended where the page killed it twice.

        The image is removed then. `deadline` (time.monotonic) is that of its document. The future raises
        MachineError where no child can be started.
        """
        with self._lock:
            self._images += 1
        future = self._threads.submit(
            self._read, {"image": str(image), "dpi": dpi, "doc_type": doc_type}, deadline
        )
        future.add_done_callback(lambda _: self._release(image))
        return future

    def _release(self, image: Path) -> None:
        with suppress(OSError):
            image.unlink(missing_ok=True)
        with self._lock:
            self._images -= 1

    def _read(self, page: Mapping[str, object], deadline: float) -> Recognised | ChildEnd:
        end = ChildEnd(Ending.TIMEOUT, f"no time left of {self._settings.document_seconds:.0f} s")
        for _ in range(_TRIES):
            child, lines = self._child()
            seconds = min(self._settings.page_seconds, deadline - time.monotonic())
            if seconds <= 0:
                return end
            number = next(self._numbers)
            child.ask({"id": number, **page}, seconds)
            ended = child.next_line()
            found = answer(lines, number) if ended is None else None
            if found is not None:
                lines.clear()
                if child.resident() > _RENEW:
                    self._drop(child)
                return found
            self._drop(child)
            end = _fault(ended)
        return end

    def _child(self) -> tuple[Child, list[bytes]]:
        """This thread's child. Raises MachineError."""
        own: tuple[Child, list[bytes]] | None = getattr(self._own, "child", None)
        if own is None:
            own = self._own.child = self._start()
        return own

    def _start(self) -> tuple[Child, list[bytes]]:
        message = ""
        for _ in range(_TRIES):
            lines: list[bytes] = []
            child = self._spawn(lines)
            child.allow(_START_SECONDS)
            ended = child.next_line()
            if ended is None and lines == [READY]:
                lines.clear()
                return child, lines
            self._drop(child)
            message = _fault(ended).message
        raise self._does_not_start(message)

    def _does_not_start(self, message: str) -> MachineError:
        return MachineError(f"the OCR engine {self.engine!r} does not start: {message}", cause="ocr_start")

    def _spawn(self, lines: list[bytes]) -> Child:
        limits = ChildLimits(_START_SECONDS, _START_SECONDS, self._settings.child_memory, _OUTPUT, _OUTPUT)
        launch, folder = self._server.launch, self._folder
        try:
            child = Child(launch, {}, cwd=folder, limits=limits, on_line=lines.append)
        except MachineError as error:
            raise self._does_not_start(str(error)) from error
        with self._lock:
            if not self._closed:
                self._children.add(child)
                return child
        child.close()
        raise MachineError("OCR was stopped", cause="stopped")

    def _drop(self, child: Child) -> None:
        self._own.child = None
        with self._lock:
            self._children.discard(child)
        child.close()

    def close(self) -> None:
        """Ends all children."""
        with self._lock:
            self._closed = True
            for child in self._children:
                child.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for child in self._children:
            child.close()
        self._children.clear()
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _fault(ended: ChildEnd | None) -> ChildEnd:
    """What to say of a child that gave no proper answer."""
    if ended is None:
        return ChildEnd(Ending.CRASHED, "it sent an answer that is none")
    if ended.ending is Ending.OK:
        return ChildEnd(Ending.CRASHED, "it ended without an answer")
    return ended
