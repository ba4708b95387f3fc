"""Reads one group of pages through children: parse, then OCR of the images; a dead child costs one page."""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from batchjob.errors import FailureCategory, MachineError
from batchjob.extract.text import merge_ocr
from batchjob.process.children import ChildEnd, ChildLimits, Ending, run_child
from batchjob.process.groups import PAGES_PER_GROUP, DocumentFacts, PageGroup, failure_from
from batchjob.records import Failure, PageMethod, PageText
from batchjob.settings import Settings

ENGINE = "tesseract"
THUMBNAIL = 0
"""Stands among the numbers of pages, which count from 1, for the thumbnail: one more item of work."""
_LEAST_ROOM = 16 * 1024 * 1024
"""A page image of 200 dpi takes 4 MB."""
_CHILD_OUTPUT = 256 * 1024 * 1024
_CATEGORIES = {
    Ending.TIMEOUT: FailureCategory.TIMEOUT,
    Ending.NO_PROGRESS: FailureCategory.TIMEOUT,
    Ending.MEMORY: FailureCategory.OUT_OF_MEMORY,
}
Event = dict[str, Any]


def read_group(path: Path, pages: range, settings: Settings, scratch: Path, deadline: float) -> PageGroup:
    """Pages of a document that exist among `pages`, read now. The group of page 1 brings the thumbnail.

    `deadline` (time.monotonic) is that of the whole document. Raises MachineError where the scratch folder is full.
    """
    with tempfile.TemporaryDirectory(prefix="pages-", dir=scratch) as folder:
        work = _GroupWork(path, settings, Path(folder), deadline)
        work.parse(pages)
        work.recognise()
        return work.group()


class _GroupWork:
    """One group in work: what its children have said so far."""

    def __init__(self, path: Path, settings: Settings, folder: Path, deadline: float) -> None:
        self._path = path
        self._settings = settings
        self._folder = folder
        self._deadline = deadline
        self._facts: DocumentFacts | None = None
        self._failure: Failure | None = None
        self._pages: dict[int, Event] = {}
        self._recognised: dict[int, Event] = {}
        self._thumbnail: bytes | None = None
        self._thumbnail_tried = False
        self._whole = True

    def parse(self, pages: range) -> None:
        deaths_before_facts = 0

        def attempt(wanted: list[int]) -> ChildEnd:
            nonlocal deaths_before_facts
            end = self._run("batchjob.extract.child", self._parse_arguments(wanted), self._take_parsed)
            if self._facts is None and self._failure is None:
                deaths_before_facts += 1
                if deaths_before_facts == 2:
                    self._failure = _failure_of(end, "the document")
            return end

        items = [*pages, THUMBNAIL] if pages.start == 1 else [*pages]
        for item, end in work_through(items, attempt, self._outstanding).items():
            if item == THUMBNAIL:
                self._whole = False
            else:
                self._pages[item] = {
                    "method": "failed",
                    "text": "",
                    "failure": _failure_of(end, f"page {item}"),
                }
        if self._facts and len(pages) < PAGES_PER_GROUP and pages.stop <= self._facts.page_count:
            self._whole = False  # cut by the limit on pages

    def recognise(self) -> None:
        images = {number: event for number, event in self._pages.items() if "image" in event}

        def attempt(wanted: list[int]) -> ChildEnd:
            jobs = [{name: images[page][name] for name in ("page", "image", "dpi")} for page in wanted]
            return self._run("batchjob.ocr.child", self._ocr_arguments(jobs), self._take_recognised)

        def outstanding(wanted: list[int]) -> list[int]:
            return [page for page in wanted if page not in self._recognised]

        for page, end in work_through(sorted(images), attempt, outstanding).items():
            self._recognised[page] = {"failure": _failure_of(end, f"OCR of page {page}")}

    def group(self) -> PageGroup:
        if self._failure or self._facts is None:
            facts = self._facts or DocumentFacts("application/octet-stream", 0)
            return PageGroup(facts, failure=self._failure, whole=self._whole)
        pages = tuple(
            _page_text(number, self._pages[number], self._recognised.get(number))
            for number in sorted(self._pages)
        )
        return PageGroup(self._facts, pages, thumbnail=self._thumbnail, whole=self._whole)

    def _run(self, module: str, arguments: Event, take: Callable[[Event], None]) -> ChildEnd:
        settings, remaining = self._settings, self._deadline - time.monotonic()
        if remaining <= 0:
            return ChildEnd(Ending.TIMEOUT, f"no time left of {settings.document_seconds:.0f} s")
        limits = ChildLimits(remaining, settings.page_seconds, settings.child_memory, _CHILD_OUTPUT)
        end = run_child(module, arguments, cwd=self._folder, limits=limits, on_line=take)
        if end.ending is not Ending.OK:
            self._check_room()
        return end

    def _check_room(self) -> None:
        """A child that died of a full disk says nothing about its document."""
        free = shutil.disk_usage(self._folder).free
        if free < _LEAST_ROOM:
            raise MachineError(
                f"scratch folder {str(self._folder.parent)!r} is full ({free} bytes left): free some room, or set "
                "BATCHJOB_SCRATCH",
                cause="scratch_full",
            )

    def _parse_arguments(self, items: list[int]) -> Event:
        return {
            "path": str(self._path),
            "pages": [item for item in items if item != THUMBNAIL],
            "dpi": self._settings.ocr_dpi,
            "max_pixels": self._settings.max_pixels,
            "out": str(self._folder),
            "thumbnail": THUMBNAIL in items,
        }

    def _ocr_arguments(self, pages: list[Event]) -> Event:
        return {
            "engine": ENGINE,
            "languages": self._settings.ocr_languages,
            "vertical": self._settings.ocr_languages_vertical,
            "folder": str(self._folder),
            "pages": pages,
        }

    def _outstanding(self, wanted: list[int]) -> list[int]:
        if self._failure:
            return []
        count = self._facts.page_count if self._facts else max(wanted)
        return [
            item
            for item in wanted
            if (not self._thumbnail_tried if item == THUMBNAIL else item <= count and item not in self._pages)
        ]

    def _take_parsed(self, event: Event) -> None:
        match event["event"]:
            case "document":
                self._facts = DocumentFacts(**{name: event[name] for name in DocumentFacts.__slots__})
            case "page":
                self._pages[event["page"]] = event
            case "thumbnail":
                self._thumbnail_tried = True
                if event["file"]:
                    self._thumbnail = (self._folder / "thumbnail.jpg").read_bytes()
            case "failure":
                self._facts = DocumentFacts(event["mime_type"], 0)
                self._failure = failure_from(event)

    def _take_recognised(self, event: Event) -> None:
        self._recognised[event["page"]] = event


def work_through(
    items: Sequence[int],
    attempt: Callable[[list[int]], ChildEnd],
    outstanding: Callable[[list[int]], list[int]],
) -> dict[int, ChildEnd]:
    """Works on items in children until each is done or has killed two of them, and returns the latter.

    `attempt` runs one child over items in their order; `outstanding` says which of them are not done.
    The item that a child died on is tried once more alone, then the rest goes on in a new child.
    """
    lost: dict[int, ChildEnd] = {}
    remaining = list(items)
    while remaining:
        attempt(remaining)
        remaining = outstanding(remaining)
        if not remaining:
            break
        culprit, *remaining = remaining
        end = attempt([culprit])
        if outstanding([culprit]):
            lost[culprit] = end
    return lost


def _page_text(number: int, parsed: Event, recognised: Event | None) -> PageText:
    failure = _failure_in(parsed)
    method, seconds = PageMethod(parsed["method"]), parsed.get("seconds", 0.0)
    if recognised is None:
        return PageText(number, method, parsed["text"], seconds=seconds, error=failure)
    seconds = round(seconds + recognised.get("seconds", 0.0), 4)
    failure = _failure_in(recognised)
    if failure is not None:
        if method is PageMethod.BOTH:  # the text layer stays; the loss is told
            return PageText(number, PageMethod.TEXT, parsed["text"], ENGINE, seconds=seconds, error=failure)
        return PageText(number, PageMethod.FAILED, "", ENGINE, seconds=seconds, error=failure)
    text = recognised["text"]
    if method is PageMethod.BOTH:
        text = merge_ocr(parsed["text"], recognised["lines"])
    return PageText(number, method, text, ENGINE, recognised["confidence"], seconds)


def _failure_in(event: Event) -> Failure | None:
    lost: Failure | None = event.get("failure")
    return lost or failure_from(event.get("error"))


def _failure_of(end: ChildEnd, what: str) -> Failure:
    category = _CATEGORIES.get(end.ending, FailureCategory.CRASHED)
    return Failure(category, f"{what} could not be read: {end.message or 'the child said nothing of it'}")
