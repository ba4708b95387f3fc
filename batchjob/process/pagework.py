"""Reads one group of pages: a parse child, and OCR of its images meanwhile; a dead child costs one page."""

import errno
import os
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path

from batchjob.errors import CONTENT_DETERMINED, FailureCategory, MachineError
from batchjob.extract.detect import Kind
from batchjob.extract.text import clean, merge_ocr, says_the_same
from batchjob.process.answers import DocumentSaid, FailureSaid, PageSaid, Recognised, Said, ThumbnailSaid
from batchjob.process.children import ChildEnd, Ending, NotAnEventError
from batchjob.process.fingerprint import second_reader
from batchjob.process.groups import PAGES_PER_GROUP, DocumentFacts, PageGroup
from batchjob.process.ocrpool import OcrPool
from batchjob.process.parsing import THUMBNAIL, ParseChild
from batchjob.records import Failure, PageMethod, PageText
from batchjob.settings import Settings

_NO_FILE = frozenset({errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EACCES, errno.EISDIR})
_MOST_THUMBNAIL = 4 * 1024 * 1024
_CATEGORIES = {
    Ending.TIMEOUT: FailureCategory.TIMEOUT,
    Ending.NO_PROGRESS: FailureCategory.TIMEOUT,
    Ending.MEMORY: FailureCategory.OUT_OF_MEMORY,
}


@dataclass(frozen=True, slots=True)
class DocumentReaders:
    """What reads one document: PDFium's child, poppler's, and the OCR that all documents share.

    `deadline` (time.monotonic) is that of the whole document.
    """

    parser: ParseChild
    second: ParseChild
    ocr: OcrPool
    settings: Settings
    deadline: float
    doc_type: str | None = None
    thumbnails: bool = True


class GroupWork:
    """One group in work: what its children have said so far. The group of page 1 brings the thumbnail.

    Raises MachineError where the scratch folder is full or a child cannot start.
    """

    def __init__(self, readers: DocumentReaders) -> None:
        self._readers = readers
        self._facts: DocumentFacts | None = None
        self._failure: Failure | None = None
        self._pages: dict[int, PageSaid] = {}
        self._characters = 0
        self._readings: dict[int, Future[Recognised | ChildEnd]] = {}
        self._meanwhile: Callable[[], None] = lambda: None
        self._thumbnail: bytes | None = None
        self._thumbnail_tried = False
        self._whole = True
        self._second_reader: str | None = None

    def parse(self, pages: range, meanwhile: Callable[[], None]) -> None:
        """Reads those of `pages` that exist and starts OCR of their images; calls `meanwhile` now and then."""
        self._meanwhile = meanwhile
        items = [*pages, THUMBNAIL] if pages.start == 1 and self._readers.thumbnails else [*pages]
        self._parse_by(self._readers.parser, items, self._must_wait)
        refused = self._refused(items)
        self._second_reader = second_reader() if refused else None
        if self._second_reader:
            self._ask_second_reader(refused)
        elif refused:
            self._whole = False  # with poppler here it may be read
        if self._facts and len(pages) < PAGES_PER_GROUP and pages.stop <= self._facts.page_count:
            self._whole = False  # cut by the limit on pages

    def _parse_by(self, parser: ParseChild, items: list[int], hold: Callable[[], bool]) -> None:
        deaths_before_facts = 0

        def attempt(wanted: list[int]) -> ChildEnd:
            nonlocal deaths_before_facts
            end = parser.read(wanted, self._take, hold)
            if self._facts is None and self._failure is None:
                deaths_before_facts += 1
                if deaths_before_facts == 2:
                    self._failure = _failure_of(end, "the document")
            return end

        for item, end in work_through(items, attempt, self._outstanding).items():
            if item == THUMBNAIL:
                self._whole = False
            else:
                lost = _failure_of(end, f"page {item}")
                self._pages[item] = PageSaid(page=item, method=PageMethod.FAILED, text="", error=lost)

    def _refused(self, items: list[int]) -> list[int]:
        """The items of a PDF that PDFium cannot read, though it did not die of them."""
        if self._facts is None or self._facts.mime_type != Kind.PDF:
            return []
        if self._failure is not None:
            return items if self._failure.category is FailureCategory.CORRUPT else []
        if not self._facts.page_count:
            return items
        return [number for number in items if number in self._pages and self._pages[number].refused]

    def _ask_second_reader(self, items: list[int]) -> None:
        """Has poppler read what PDFium refuses; where it refuses too, the first reason stays."""
        facts, failure, pages = self._facts, self._failure, self._pages
        self._pages = {number: page for number, page in pages.items() if number not in items}
        if failure or not pages:
            self._facts = self._failure = None
            self._thumbnail_tried = False
        self._parse_by(self._readers.second, items, self._need_not_wait)
        losses = [self._failure, *(page.error for page in self._pages.values())]
        if any(loss.category not in CONTENT_DETERMINED for loss in losses if loss):
            self._whole = False  # a limit or a fault, which says nothing of the content
        read = {
            number: page
            for number, page in self._pages.items()
            if number in items
            and (page.image or page.text)
            # In a damaged page tree poppler may count other pages than PDFium.
            and not any(says_the_same(page.text, other.text) for other in pages.values())
        }
        counts_differ = (
            facts and facts.page_count and self._facts and self._facts.page_count != facts.page_count
        )
        if self._failure or self._facts is None or not read or counts_differ:
            self._facts, self._failure, self._pages = facts, failure, pages
        else:
            self._pages |= {number: page for number, page in pages.items() if number not in read}
        for number in [*self._readings]:
            if number not in self._pages or not self._pages[number].image:
                self._readings.pop(number).cancel()

    @property
    def page_count(self) -> int:
        """Pages of the document as far as is known after parsing; 0 where it cannot be read."""
        return self._facts.page_count if self._facts and not self._failure else 0

    def is_done(self) -> bool:
        """Whether its last page has been read."""
        return all(reading.done() for reading in self._readings.values())

    def close(self) -> None:
        """Gives up what is not read yet."""
        # One that was cancelled in the queue is never notified, so that waiting for it would not end.
        wait([reading for reading in self._readings.values() if not reading.cancel()])

    def group(self) -> PageGroup:
        """The group; waits for its OCR."""
        recognised = {number: self._recognised(number) for number in self._readings}
        if self._failure or self._facts is None:
            facts = self._facts or DocumentFacts("application/octet-stream", 0)
            return PageGroup(
                facts, failure=self._failure, whole=self._whole, second_reader=self._second_reader
            )
        engine = self._readers.ocr.engine
        pages = tuple(
            _page_text(self._pages[number], recognised.get(number), engine) for number in sorted(self._pages)
        )
        return PageGroup(
            self._facts,
            pages,
            thumbnail=self._thumbnail,
            whole=self._whole,
            second_reader=self._second_reader,
        )

    def _recognised(self, number: int) -> Recognised:
        reading = self._readings[number].result()
        if isinstance(reading, ChildEnd):
            self._readers.parser.check_room()
            lost = _failure_of(reading, f"OCR of page {number}")
            return Recognised(event="page", id=number, seconds=0.0, error=lost)
        return reading

    def _must_wait(self) -> bool:
        """Whether OCR is so far behind that parsing must not add to its images."""
        self._meanwhile()
        return self._readers.ocr.is_full() and not self.is_done()

    def _need_not_wait(self) -> bool:
        """Stopped, a child that starts programs would outlive this process; its images are those of one group."""
        self._meanwhile()
        return False

    def _outstanding(self, wanted: list[int]) -> list[int]:
        if self._failure:
            return []
        count = self._facts.page_count if self._facts else max(wanted)
        pages = [item for item in wanted if item != THUMBNAIL and item <= count and item not in self._pages]
        # The picture is of page 1, which is not drawn a third time where it has killed two children.
        picture = not self._thumbnail_tried and (1 in self._pages or 1 in pages)
        return [*pages, THUMBNAIL] if picture and THUMBNAIL in wanted else pages

    def _take(self, event: Said) -> None:
        """Raises NotAnEventError where a page comes that the document does not have."""
        match event:
            case DocumentSaid():
                self._facts = DocumentFacts(event.mime_type, event.page_count, event.title, event.author)
            case FailureSaid():
                self._facts = DocumentFacts(event.mime_type, 0)
                self._failure = Failure(event.category, event.message)
            case PageSaid():
                self._take_page(event)
            case ThumbnailSaid():
                self._thumbnail_tried = True
                if event.file:
                    self._thumbnail = _plain_file(self._readers.parser.folder / "thumbnail.jpg")

    def _take_page(self, page: PageSaid) -> None:
        number = page.page
        if self._facts is None or number > self._facts.page_count:
            raise NotAnEventError(f"there is no page {number}")
        self._pages[number] = self._with_room(page)
        if page.image and number not in self._readings:
            # Named here: a parser that was taken over must not choose what is read and removed.
            image = self._readers.parser.folder / f"page-{number:06d}.pgm"
            ocr, deadline = self._readers.ocr, self._readers.deadline
            self._readings[number] = ocr.read(image, page.dpi, deadline, self._readers.doc_type)

    def _with_room(self, page: PageSaid) -> PageSaid:
        """No group holds more text than is kept of a whole document; a page of a few bytes may unpack to any size."""
        room = max(self._readers.settings.max_content_bytes - self._characters, 0)
        length = max(len(page.text), page.characters)
        self._characters += length
        if length <= room:
            return page
        message = f"the page has {length:,} characters, of which {min(room, len(page.text)):,} were kept"
        error = Failure(FailureCategory.TOO_LARGE, message)
        return page.model_copy(update={"text": page.text[:room], "error": error})


def _plain_file(path: Path) -> bytes | None:
    """A picture that a child wrote; None where the name stands for anything else, since it may have been taken over."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise MachineError(f"a picture in the scratch folder: {error.strerror}", cause="scratch") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_THUMBNAIL:
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(_MOST_THUMBNAIL)


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


def _page_text(parsed: PageSaid, recognised: Recognised | None, engine: str) -> PageText:
    number, method, reader = parsed.page, parsed.method, parsed.reader
    if recognised is None:
        return PageText(number, method, parsed.text, reader, seconds=parsed.seconds, error=parsed.error)
    engine = f"{reader}+{engine}" if reader else engine
    seconds = round(parsed.seconds + recognised.seconds, 4)
    if recognised.error is not None:
        if parsed.text:  # it stays; the loss is told
            method, text = PageMethod.TEXT, parsed.text
        else:
            method, text = PageMethod.FAILED, ""
        return PageText(number, method, text, engine, seconds=seconds, error=recognised.error)
    text = recognised.text
    if method is PageMethod.BOTH:
        text = merge_ocr(parsed.text, recognised.lines)
    elif parsed.text:  # beside a picture, such as notes on a scan
        method, text = PageMethod.BOTH, clean("\n\n".join(filter(None, [text, parsed.text])))
    lost = parsed.error or _lines_left_out(recognised.left_out)
    return PageText(number, method, text, engine, recognised.confidence, seconds, lost, parsed.note)


def _lines_left_out(count: int) -> Failure | None:
    message = f"OCR left out the {count:,} smallest of the page's lines: there are too many"
    return Failure(FailureCategory.TOO_LARGE, message) if count else None


def _failure_of(end: ChildEnd, what: str) -> Failure:
    category = _CATEGORIES.get(end.ending, FailureCategory.CRASHED)
    return Failure(category, f"{what} could not be read: {end.message or 'the child said nothing of it'}")
