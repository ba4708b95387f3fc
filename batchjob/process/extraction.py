"""Extracts one local file: page groups, each from the cache or read now; OCR of one overlaps parsing of the next."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from batchjob.errors import FailureCategory
from batchjob.process.fingerprint import second_reader
from batchjob.process.groups import PAGES_PER_GROUP, GroupCache, NoCache, PageGroup, group_from_json
from batchjob.process.pagework import GroupWork
from batchjob.process.readers import Readers
from batchjob.records import Extraction, Failure, PageMethod, PageText
from batchjob.settings import Settings

__all__ = ["GroupCache", "NoCache", "cached_extraction", "extract_file"]

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
    one failed page of category `too_many_pages` stands for them. A group in which no page could be read ends
    the work on a document, and one failed page of category `gave_up` stands for the rest; so does one of category
    `too_large` where the text is many times what is kept of it.
    """
    size = path.stat().st_size
    if size > settings.max_bytes:
        message = f"the file has {size:,} bytes; the limit is {settings.max_bytes:,}"
        return Extraction(
            "application/octet-stream", 0, (), failure=Failure(FailureCategory.TOO_LARGE, message)
        )
    with tempfile.TemporaryDirectory(prefix="extract-", dir=scratch) as folder:
        document = _readable_by_child(path, Path(folder))
        deadline = time.monotonic() + settings.document_seconds

        def begin(pages: range, meanwhile: Callable[[], None]) -> GroupWork:
            work = GroupWork(document, settings, Path(folder), readers, deadline=deadline, doc_type=doc_type)
            try:
                work.parse(pages, meanwhile)
            except BaseException:
                work.close()
                raise
            return work

        return _put_together(_enough(_groups(settings, groups, begin), settings), settings)


def cached_extraction(settings: Settings, groups: GroupCache) -> Extraction | None:
    """What the cache alone says of a document; None where it lacks a group."""
    try:
        return _put_together(_enough(_groups(settings, groups, _not_cached), settings), settings)
    except LookupError:
        return None


def _not_cached(pages: range, meanwhile: Callable[[], None]) -> GroupWork:
    raise LookupError(pages)


def _readable_by_child(path: Path, folder: Path) -> Path:
    """Root may read what its children, which have no privileges, may not: such a file is copied."""
    if os.geteuid() == 0 and path.stat().st_uid != 0:
        copy = folder / "document"
        shutil.copyfile(path, copy)
        return copy
    return path.absolute()


class _Begun:
    """A group that was parsed, and whose OCR may still go on."""

    def __init__(self, first_page: int, work: GroupWork, groups: GroupCache) -> None:
        self._first_page = first_page
        self._groups = groups
        self._group: PageGroup | None = None
        self.work = work

    def save_when_done(self) -> None:
        if self._group is None and self.work.is_done():
            self.finish()

    def finish(self) -> PageGroup:
        """Waits for its OCR; what is complete is saved at once, since the machine may be taken away."""
        if self._group is None:
            self._group = self.work.group()
            if self._group.shareable:
                self._groups.save(self._first_page, self._group.to_json())
        return self._group


def _groups(
    settings: Settings, groups: GroupCache, begin: Callable[[range, Callable[[], None]], GroupWork]
) -> Generator[tuple[PageGroup, bool]]:
    """The groups in order, each with whether the cache had it; the others are read and saved."""
    with ExitStack() as to_close:
        before: _Begun | None = None
        first_page, last_page = 1, 1
        while first_page <= last_page:
            cached = groups.load(first_page)
            found = group_from_json(cached) if cached is not None else None
            if found and found.second_reader and second_reader() not in (None, found.second_reader):
                found = None  # this poppler may read more
            begun: _Begun | None = None
            if found is None:
                pages = range(first_page, min(first_page + PAGES_PER_GROUP, settings.max_pages + 1))
                work = begin(pages, before.save_when_done if before else _do_nothing)
                to_close.callback(work.close)
                begun = _Begun(first_page, work, groups)
            if before is not None:
                group = before.finish()
                before.work.close()
                yield group, False
                if _is_last(group):
                    return
            if found is not None:
                yield found, True
                if _is_last(found):
                    return
            before = begun
            page_count = found.facts.page_count if found else work.page_count
            last_page = min(page_count, settings.max_pages)
            first_page += PAGES_PER_GROUP
        if before is not None:
            yield before.finish(), False


def _do_nothing() -> None:
    return


def _is_last(group: PageGroup) -> bool:
    return group.failure is not None or _nothing_read(group)


def _nothing_read(group: PageGroup) -> bool:
    return all(page.method is PageMethod.FAILED for page in group.pages)


def _enough(groups: Generator[tuple[PageGroup, bool]], settings: Settings) -> list[tuple[PageGroup, bool]]:
    """The groups up to the one that makes the text many times what is kept of a document."""
    read, characters = [], 0
    with closing(groups):
        for group, hit in groups:
            read.append((group, hit))
            characters += _characters(group.pages)
            if _is_too_much(characters, settings):
                break
    return read


def _characters(pages: Iterable[PageText]) -> int:
    return sum(len(page.text) for page in pages)


def _is_too_much(characters: int, settings: Settings) -> bool:
    return characters > _TIMES_KEPT * settings.max_content_bytes


def _put_together(read: list[tuple[PageGroup, bool]], settings: Settings) -> Extraction:
    first = read[0][0]
    pages = tuple(page for group, _ in read for page in group.pages)[: settings.max_pages]
    rest = _pages_left_out(first.facts.page_count, pages, settings) if pages else ()
    failure = next((group.failure for group, _ in read if group.failure), None)
    if failure is None and _nothing_read(replace(first, pages=pages)):
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


def _pages_left_out(page_count: int, pages: tuple[PageText, ...], settings: Settings) -> tuple[PageText, ...]:
    read, characters = len(pages), _characters(pages)
    if read >= page_count:
        return ()
    span = f"pages {read + 1:,} to {page_count:,} were not read"
    if read >= settings.max_pages:
        reason = Failure(FailureCategory.TOO_MANY_PAGES, f"{span}: the limit is {settings.max_pages:,} pages")
    elif _is_too_much(characters, settings):
        reason = Failure(FailureCategory.TOO_LARGE, f"{span}: those before have {characters:,} characters")
    else:
        reason = Failure(FailureCategory.GAVE_UP, f"{span}, since none of the pages before them could be")
    return (PageText(read + 1, PageMethod.FAILED, "", error=reason),)
