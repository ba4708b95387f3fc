"""Extracts one local file: page groups, each from the cache or read now; OCR of one overlaps parsing of the next."""

import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from itertools import takewhile
from pathlib import Path

from batchjob.errors import CONTENT_DETERMINED, FailureCategory
from batchjob.process.fingerprint import second_reader
from batchjob.process.groups import PAGES_PER_GROUP, GroupCache, NoCache, PageGroup, group_from_json
from batchjob.process.launch import program
from batchjob.process.pagework import DocumentReaders, GroupWork
from batchjob.process.parsing import ParseChild
from batchjob.process.readers import Readers
from batchjob.records import Extraction, Failure, PageMethod, PageText
from batchjob.settings import Settings

__all__ = ["GroupCache", "NoCache", "cached_extraction", "extract_file"]

_SECOND_READER = program("batchjob.extract.poppler", asked=True)
_TIMES_KEPT = 8
"""Text is held up to so many times `max_content_bytes`: beyond what is kept it is only counted."""


def extract_file(
    path: Path,
    settings: Settings,
    scratch: Path,
    groups: GroupCache,
    readers: Readers,
    doc_type: str | None = None,
) -> Extraction:
    """What the document at `path` says. Whatever is wrong with it comes back as data, never as an exception.

    `scratch` is an existing folder for images; nothing is left in it. Pages beyond `max_pages` are not read:
    one failed page of category `too_many_pages` stands for them. The work on a document ends with a group in which
    no page could be read for limits or crashes, or with the second such group in a row for any reason, and one
    failed page of category `gave_up` stands for the rest; so does one of category `too_large` where the text is many
    times what is kept of it, and one with the reason of a later group that could not be read at all.
    """
    size = path.stat().st_size
    if size > settings.max_bytes:
        message = f"the file has {size:,} bytes; the limit is {settings.max_bytes:,}"
        return Extraction(
            "application/octet-stream", 0, (), failure=Failure(FailureCategory.TOO_LARGE, message)
        )
    with tempfile.TemporaryDirectory(prefix="extract-", dir=scratch) as name:
        folder, deadline = Path(name), time.monotonic() + settings.document_seconds
        document = _readable_by_child(path, folder)
        with (
            ParseChild(readers.parser.launch, document, settings, folder, deadline) as parser,
            ParseChild(_SECOND_READER, document, settings, folder, deadline) as second,
        ):
            reading = DocumentReaders(
                parser, second, readers.ocr, settings, deadline, doc_type, readers.thumbnails
            )
            found = _groups(settings, groups, lambda: GroupWork(reading))
            return _put_together(_enough(found, settings), settings)


def cached_extraction(settings: Settings, groups: GroupCache) -> Extraction | None:
    """What the cache alone says of a document; None where it lacks a group."""
    try:
        return _put_together(_enough(_groups(settings, groups, _not_cached), settings), settings)
    except LookupError:
        return None


def _not_cached() -> GroupWork:
    raise LookupError


def _readable_by_child(path: Path, folder: Path) -> Path:
    """Root may read what its children, which have no privileges, may not: such a file is copied."""
    if os.geteuid() == 0 and path.stat().st_uid != 0:
        copy = folder / "document"
        shutil.copyfile(path, copy)
        return copy
    return path.absolute()


class _Begun:
    """A group whose pages are parsed, and whose OCR may still go on."""

    def __init__(self, pages: range, work: GroupWork, groups: GroupCache) -> None:
        self._pages = pages
        self._work = work
        self._groups = groups
        self._group: PageGroup | None = None

    def parse(self, meanwhile: Callable[[], None]) -> int:
        """Returns how many pages the document has."""
        self._work.parse(self._pages, meanwhile)
        return self._work.page_count

    def save_when_done(self) -> None:
        if self._group is None and self._work.is_done():
            self.finish()

    def finish(self) -> PageGroup:
        """Waits for its OCR; what is complete is saved at once, since the machine may be taken away."""
        if self._group is None:
            self._group = self._work.group()
            if self._group.shareable:
                self._groups.save(self._pages.start, self._group.to_json())
        return self._group

    def close(self) -> None:
        self._work.close()


def _groups(
    settings: Settings, groups: GroupCache, start: Callable[[], GroupWork]
) -> Generator[tuple[PageGroup, bool]]:
    """The groups in order, each with whether the cache had it; the others are read and saved."""
    begun: deque[_Begun] = deque()  # one is recognised while the next one is parsed
    first_page, last_page = 1, 1
    try:
        while first_page <= last_page:
            cached = groups.load(first_page)
            found = group_from_json(cached) if cached is not None else None
            if found and found.second_reader and second_reader() not in (None, found.second_reader):
                found = None  # this poppler may read more
            if found is None:
                pages = range(first_page, min(first_page + PAGES_PER_GROUP, settings.max_pages + 1))
                begun.append(_Begun(pages, start(), groups))
                page_count = begun[-1].parse(begun[0].save_when_done if len(begun) > 1 else _do_nothing)
            else:
                page_count = found.facts.page_count
            yield from _finished(begun, 0 if found else 1)
            if found is not None:
                yield found, True
            last_page = min(page_count, settings.max_pages)
            first_page += PAGES_PER_GROUP
        yield from _finished(begun, 0)
    finally:
        for group in begun:
            group.close()


def _finished(begun: deque[_Begun], keep: int) -> Generator[tuple[PageGroup, bool]]:
    """All but the last `keep` groups, which then hold nothing any more."""
    while len(begun) > keep:
        group = begun[0].finish()
        begun.popleft().close()
        yield group, False


def _do_nothing() -> None:
    return


def _nothing_read(pages: Iterable[PageText]) -> bool:
    return all(page.method is PageMethod.FAILED for page in pages)


def _enough(groups: Generator[tuple[PageGroup, bool]], settings: Settings) -> list[tuple[PageGroup, bool]]:
    """The groups up to the one after which the rest is not worth reading, or cannot be."""
    read: list[tuple[PageGroup, bool]] = []
    characters = 0
    with closing(groups):
        for group, hit in groups:
            unread_before = bool(read) and _nothing_read(read[-1][0].pages)
            read.append((group, hit))
            characters += _characters(group.pages)
            hopeless = _nothing_read(group.pages) and (unread_before or not _is_of_content(group))
            if group.failure or hopeless or _is_too_much(characters, settings):
                break
    return read


def _is_of_content(group: PageGroup) -> bool:
    """Whether no limit and no crash took a page away: those cost time, damaged pages hardly any."""
    return all(page.error is None or page.error.category in CONTENT_DETERMINED for page in group.pages)


def _characters(pages: Iterable[PageText]) -> int:
    return sum(len(page.text) for page in pages)


def _is_too_much(characters: int, settings: Settings) -> bool:
    return characters > _TIMES_KEPT * settings.max_content_bytes


def _put_together(read: list[tuple[PageGroup, bool]], settings: Settings) -> Extraction:
    first, last = read[0][0], read[-1][0]
    pages = tuple(page for group, _ in read for page in group.pages)[: settings.max_pages]
    rest = _pages_left_out(first.facts.page_count, pages, last.failure, settings) if pages else ()
    failure = first.failure
    if failure is None and _nothing_read(pages):
        failure = pages[0].error if pages else Failure(FailureCategory.CORRUPT, "the document has no pages")
    return Extraction(
        mime_type=first.facts.mime_type,
        page_count=first.facts.page_count,
        pages=pages + rest,
        title=first.facts.title,
        author=first.facts.author,
        failure=failure,
        thumbnail=first.thumbnail,
        cache_hits=sum(hit for _, hit in read),
        cache_misses=sum(not hit for _, hit in read),
    )


def _pages_left_out(
    page_count: int, pages: tuple[PageText, ...], failure: Failure | None, settings: Settings
) -> tuple[PageText, ...]:
    """One failed page for all after `pages`; `failure` is that of the group which should have come next."""
    read, characters = len(pages), _characters(pages)
    if read >= page_count:
        return ()
    span = f"pages {read + 1:,} to {page_count:,} were not read"
    if read >= settings.max_pages:
        reason = Failure(FailureCategory.TOO_MANY_PAGES, f"{span}: the limit is {settings.max_pages:,} pages")
    elif _is_too_much(characters, settings):
        reason = Failure(FailureCategory.TOO_LARGE, f"{span}: those before have {characters:,} characters")
    elif failure is not None:
        reason = Failure(failure.category, f"{span}: {failure.message}")
    else:
        unread = sum(1 for _ in takewhile(lambda page: page.method is PageMethod.FAILED, reversed(pages)))
        reason = Failure(FailureCategory.GAVE_UP, f"{span}, since none of the {unread} pages before could be")
    return (PageText(read + 1, PageMethod.FAILED, "", error=reason),)
