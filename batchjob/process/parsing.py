"""The parse child of one document: it stays from one group of pages to the next, and is started anew after a death."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from batchjob.process.answers import DoneSaid, PageSaid, Said, ThumbnailSaid, said
from batchjob.process.children import Child, ChildEnd, ChildLimits, Ending, NotAnEventError
from batchjob.process.launch import Launch
from batchjob.scratch import full_scratch
from batchjob.settings import Settings

THUMBNAIL = 0
"""Stands among the numbers of pages, which count from 1, for the thumbnail: one more item of work."""
_LEAST_ROOM = 16 * 1024 * 1024
"""A page image of 200 dpi takes 4 MB."""
_CHILD_OUTPUT = 256 * 1024 * 1024
_RENEW = 256 * 1024 * 1024
"""Resident bytes from which a child is replaced between two groups; pages of text leave it far below."""
_BESIDE_TEXT = 1024 * 1024
_LONGEST_CHARACTER = 4
"""Bytes in UTF-8."""


class ParseChild:
    """Reads pages of the file at `path` by children that `launch` starts when there is work.

    They leave images and the thumbnail in `folder`. `deadline` (time.monotonic) is that of the whole document.
    """

    def __init__(self, launch: Launch, path: Path, settings: Settings, folder: Path, deadline: float) -> None:
        self._launch = launch
        self._path = path
        self._settings = settings
        self._deadline = deadline
        self._child: Child | None = None
        self._wanted: set[int] = set()
        self._take: Callable[[Said], None] = lambda _: None
        self._is_done = True
        self.folder = folder

    def read(self, items: list[int], take: Callable[[Said], None], hold: Callable[[], bool]) -> ChildEnd:
        """Has those pages, and the thumbnail, read in their order; `take` gets what is said of them as it comes.

        `take` may raise NotAnEventError, which ends the child; `hold`: as for Child.follow. Raises MachineError
        where the scratch folder is full or no child can be started.
        """
        settings, remaining = self._settings, self._deadline - time.monotonic()
        if remaining <= 0:
            return ChildEnd(Ending.TIMEOUT, f"no time left of {settings.document_seconds:.0f} s")
        if self._child is not None and self._child.resident() > _RENEW:
            self.close()
        self._wanted, self._take, self._is_done = set(items), take, False
        child = self._child or self._start()
        child.ask(self._request(items), remaining, settings.page_seconds)
        end = child.follow(hold=hold, until=lambda: self._is_done)
        if end is None:
            return ChildEnd(Ending.OK)
        self.close()
        self.check_room()
        return end

    def _start(self) -> Child:
        settings = self._settings
        line = _LONGEST_CHARACTER * settings.max_content_bytes + _BESIDE_TEXT
        limits = ChildLimits(0, 0, settings.child_memory, _CHILD_OUTPUT, line)
        arguments = {
            "path": str(self._path),
            "out": str(self.folder),
            "dpi": settings.ocr_dpi,
            "max_pixels": settings.max_pixels,
            "characters": settings.max_content_bytes,
        }
        self._child = Child(self._launch, arguments, cwd=self.folder, limits=limits, on_line=self._take_line)
        return self._child

    def _request(self, items: list[int]) -> dict[str, object]:
        pages = [item for item in items if item != THUMBNAIL]
        return {"pages": pages, "thumbnail": THUMBNAIL in items}

    def _take_line(self, line: bytes) -> None:
        """Each item is said once, and nothing that was not asked for."""
        event = said(line)
        if self._is_done:
            raise NotAnEventError("nothing was asked")
        match event:
            case DoneSaid():
                self._is_done = True
                return
            case PageSaid(page=item):
                self._answered(item)
            case ThumbnailSaid():
                self._answered(THUMBNAIL)
        self._take(event)

    def _answered(self, item: int) -> None:
        if item not in self._wanted:
            raise NotAnEventError(f"{item} was not asked for")
        self._wanted.remove(item)

    def check_room(self) -> None:
        """A child that died of a full disk says nothing about its document. Raises MachineError."""
        free = shutil.disk_usage(self.folder).free
        if free < _LEAST_ROOM:
            raise full_scratch(self.folder.parent, f"{free:,} bytes are left")

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
