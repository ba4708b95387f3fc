"""Reads one group of pages: a parse child, and OCR of its images meanwhile; a dead child costs one page."""

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

from batchjob.errors import CONTENT_DETERMINED, FailureCategory, MachineError
from batchjob.extract.detect import Kind
from batchjob.extract.text import clean, merge_ocr
from batchjob.process.children import ChildEnd, ChildLimits, Ending, run_child
from batchjob.process.groups import PAGES_PER_GROUP, DocumentFacts, PageGroup, failure_from
from batchjob.process.launch import Launch, program
from batchjob.process.readers import Readers
from batchjob.records import Failure, PageMethod, PageText
from batchjob.settings import Settings

_SECOND_READER = program("batchjob.extract.poppler")
_POPPLER = ("pdfinfo", "pdftotext", "pdftoppm")
THUMBNAIL = 0
"""Stands among the numbers of pages, which count from 1, for the thumbnail: one more item of work."""
_LEAST_ROOM = 16 * 1024 * 1024
"""A page image of 200 dpi takes 4 MB."""
_MOST_THUMBNAIL = 4 * 1024 * 1024
_CHILD_OUTPUT = 256 * 1024 * 1024
_CATEGORIES = {
    Ending.TIMEOUT: FailureCategory.TIMEOUT,
    Ending.NO_PROGRESS: FailureCategory.TIMEOUT,
    Ending.MEMORY: FailureCategory.OUT_OF_MEMORY,
}
Event = dict[str, Any]


class GroupWork:
    """One group in work: what its children have said so far. The group of page 1 brings the thumbnail.

    `deadline` (time.monotonic) is that of the whole document. Raises MachineError where the scratch folder is
    full or OCR cannot start.
    """

    def __init__(
        self,
        path: Path,
        settings: Settings,
        scratch: Path,
        readers: Readers,
        *,
        deadline: float,
        doc_type: str | None = None,
    ) -> None:
        self._path = path
        self._settings = settings
        self._folder = Path(tempfile.mkdtemp(prefix="pages-", dir=scratch))
        self._parser = readers.parser
        self._ocr = readers.ocr
        self._deadline = deadline
        self._doc_type = doc_type
        self._facts: DocumentFacts | None = None
        self._failure: Failure | None = None
        self._pages: dict[int, Event] = {}
        self._characters = 0
        self._readings: dict[int, Future[Event | ChildEnd]] = {}
        self._meanwhile: Callable[[], None] = lambda: None
        self._thumbnail: bytes | None = None
        self._thumbnail_tried = False
        self._whole = True

    def parse(self, pages: range, meanwhile: Callable[[], None]) -> None:
        """Reads those of `pages` that exist and starts OCR of their images; calls `meanwhile` now and then."""
        self._meanwhile = meanwhile
        items = [*pages, THUMBNAIL] if pages.start == 1 else [*pages]
        self._parse_by(self._parser.launch, items)
        refused = self._refused(items)
        if refused and all(map(shutil.which, _POPPLER)):
            self._ask_second_reader(refused)
        elif refused:
            self._whole = False  # with poppler here it may be read
        if self._facts and len(pages) < PAGES_PER_GROUP and pages.stop <= self._facts.page_count:
            self._whole = False  # cut by the limit on pages

    def _parse_by(self, launch: Launch, items: list[int]) -> None:
        deaths_before_facts = 0

        def attempt(wanted: list[int]) -> ChildEnd:
            nonlocal deaths_before_facts
            end = self._run(launch, wanted)
            if self._facts is None and self._failure is None:
                deaths_before_facts += 1
                if deaths_before_facts == 2:
                    self._failure = _failure_of(end, "the document")
            return end

        for item, end in work_through(items, attempt, self._outstanding).items():
            if item == THUMBNAIL:
                self._whole = False
            else:
                self._pages[item] = {
                    "method": "failed",
                    "text": "",
                    "failure": _failure_of(end, f"page {item}"),
                }

    def _refused(self, items: list[int]) -> list[int]:
        """The items of a PDF that PDFium cannot read, though it did not die of them."""
        if self._facts is None or self._facts.mime_type != Kind.PDF:
            return []
        if self._failure is not None:
            return items if self._failure.category is FailureCategory.CORRUPT else []
        if not self._facts.page_count:
            return items
        return [number for number in items if self._pages.get(number, {}).get("refused")]

    def _ask_second_reader(self, items: list[int]) -> None:
        """Has poppler read what PDFium refuses; where it refuses too, the first reason stays."""
        facts, failure, pages = self._facts, self._failure, self._pages
        self._pages = {number: page for number, page in pages.items() if number not in items}
        if failure or not pages:
            self._facts = self._failure = None
            self._thumbnail_tried = False
        self._parse_by(_SECOND_READER, items)
        lost = [page["failure"] for page in self._pages.values() if page.get("failure")]
        if any(loss.category not in CONTENT_DETERMINED for loss in [*lost, self._failure] if loss):
            self._whole = False  # a limit or a fault, which says nothing of the content
        read = {number: page for number, page in self._pages.items() if "image" in page or page["text"]}
        if self._failure or self._facts is None or not read:
            self._facts, self._failure, self._pages = facts, failure, pages
        else:
            self._pages |= {number: page for number, page in pages.items() if number not in read}

    @property
    def page_count(self) -> int:
        """Pages of the document as far as is known after parsing; 0 where it cannot be read."""
        return self._facts.page_count if self._facts and not self._failure else 0

    def is_done(self) -> bool:
        """Whether its last page has been read."""
        return all(reading.done() for reading in self._readings.values())

    def close(self) -> None:
        """Gives up what is not read yet, and removes its files."""
        # One that was cancelled in the queue is never notified, so that waiting for it would not end.
        wait([reading for reading in self._readings.values() if not reading.cancel()])
        shutil.rmtree(self._folder, ignore_errors=True)

    def group(self) -> PageGroup:
        """The group; waits for its OCR."""
        recognised = {number: self._recognised(number) for number in self._readings}
        if self._failure or self._facts is None:
            facts = self._facts or DocumentFacts("application/octet-stream", 0)
            return PageGroup(facts, failure=self._failure, whole=self._whole)
        pages = tuple(
            _page_text(number, self._pages[number], recognised.get(number), self._ocr.engine)
            for number in sorted(self._pages)
        )
        return PageGroup(self._facts, pages, thumbnail=self._thumbnail, whole=self._whole)

    def _recognised(self, number: int) -> Event:
        reading = self._readings[number].result()
        if isinstance(reading, ChildEnd):
            self._check_room()
            return {"failure": _failure_of(reading, f"OCR of page {number}")}
        return reading

    def _must_wait(self) -> bool:
        """Whether OCR is so far behind that parsing must not add to its images."""
        self._meanwhile()
        return self._ocr.is_full() and not self.is_done()

    def _run(self, launch: Launch, items: list[int]) -> ChildEnd:
        settings, remaining = self._settings, self._deadline - time.monotonic()
        if remaining <= 0:
            return ChildEnd(Ending.TIMEOUT, f"no time left of {settings.document_seconds:.0f} s")
        limits = ChildLimits(remaining, settings.page_seconds, settings.child_memory, _CHILD_OUTPUT)
        end = run_child(
            launch,
            self._parse_arguments(items),
            cwd=self._folder,
            limits=limits,
            on_line=self._take_parsed,
            hold=self._must_wait,
        )
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

    def _outstanding(self, wanted: list[int]) -> list[int]:
        if self._failure:
            return []
        count = self._facts.page_count if self._facts else max(wanted)
        pages = [item for item in wanted if item != THUMBNAIL and item <= count and item not in self._pages]
        # The picture is of page 1, which is not drawn a third time where it has killed two children.
        picture = not self._thumbnail_tried and (1 in self._pages or 1 in pages)
        return [*pages, THUMBNAIL] if picture and THUMBNAIL in wanted else pages

    def _take_parsed(self, event: Event) -> None:
        match event["event"]:
            case "document":
                self._facts = DocumentFacts(**{name: event[name] for name in DocumentFacts.__slots__})
            case "page":
                self._take_page(event["page"], event)
            case "thumbnail":
                self._thumbnail_tried = True
                if event["file"]:
                    self._thumbnail = _plain_file(self._folder / "thumbnail.jpg")
            case "failure":
                self._facts = DocumentFacts(event["mime_type"], 0)
                self._failure = failure_from(event)

    def _take_page(self, number: int, event: Event) -> None:
        self._pages[number] = self._with_room(event)
        if "image" in event and number not in self._readings:
            # Named here: a parser that was taken over must not choose what is read and removed.
            image = self._folder / f"page-{number:06d}.pgm"
            self._readings[number] = self._ocr.read(image, event["dpi"], self._deadline, self._doc_type)

    def _with_room(self, event: Event) -> Event:
        """No group holds more text than is kept of a whole document; a page of a few bytes may unpack to any size."""
        room, length = self._settings.max_content_bytes - self._characters, len(event["text"])
        self._characters += length
        if length <= room:
            return event
        message = f"the page has {length:,} characters, of which {max(room, 0):,} were kept"
        error = {"category": FailureCategory.TOO_LARGE, "message": message}
        return {**event, "text": event["text"][: max(room, 0)], "error": error}


def _plain_file(path: Path) -> bytes | None:
    """A picture that a child wrote; None where the name stands for anything else, since it may have been taken over."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_THUMBNAIL:
            return None
        return file.read()


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
    while remaining := outstanding(remaining):
        attempt(remaining)
        remaining = outstanding(remaining)
        if not remaining:
            break
        culprit, *remaining = remaining
        end = attempt([culprit])
        if outstanding([culprit]):
            lost[culprit] = end
    return lost


def _page_text(number: int, parsed: Event, recognised: Event | None, engine: str) -> PageText:
    failure = _failure_in(parsed)
    method, seconds, reader = PageMethod(parsed["method"]), parsed.get("seconds", 0.0), parsed.get("reader")
    if recognised is None:
        return PageText(number, method, parsed["text"], reader, seconds=seconds, error=failure)
    engine = f"{reader}+{engine}" if reader else engine
    seconds, note = round(seconds + recognised.get("seconds", 0.0), 4), parsed.get("note")
    lost, failure = failure, _failure_in(recognised)
    if failure is not None:
        if parsed["text"]:  # the text layer stays; the loss is told
            return PageText(number, PageMethod.TEXT, parsed["text"], engine, seconds=seconds, error=failure)
        return PageText(number, PageMethod.FAILED, "", engine, seconds=seconds, error=failure)
    text = recognised["text"]
    if method is PageMethod.BOTH:
        text = merge_ocr(parsed["text"], recognised["lines"])
    elif parsed["text"]:  # what stands beside a picture, such as notes on a scan
        method, text = PageMethod.BOTH, clean("\n\n".join(filter(None, [text, parsed["text"]])))
    return PageText(number, method, text, engine, recognised["confidence"], seconds, lost, note)


def _failure_in(event: Event) -> Failure | None:
    lost: Failure | None = event.get("failure")
    return lost or failure_from(event.get("error"))


def _failure_of(end: ChildEnd, what: str) -> Failure:
    category = _CATEGORIES.get(end.ending, FailureCategory.CRASHED)
    return Failure(category, f"{what} could not be read: {end.message or 'the child said nothing of it'}")
