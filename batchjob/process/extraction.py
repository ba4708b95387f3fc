"""Extracts one local file: page groups, each from the cache or through a parse child and an OCR child."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from batchjob.errors import FailureCategory
from batchjob.process.groups import PAGES_PER_GROUP, GroupCache, NoCache, PageGroup, group_from_json
from batchjob.process.pagework import read_group
from batchjob.records import Extraction, Failure, PageMethod, PageText
from batchjob.settings import Settings

__all__ = ["GroupCache", "NoCache", "cached_extraction", "extract_file"]


def extract_file(path: Path, settings: Settings, scratch: Path, groups: GroupCache) -> Extraction:
    """What the document at `path` says. Whatever is wrong with it comes back as data, never as an exception.

    `scratch` is an existing folder for images; nothing is left in it. Pages beyond `max_pages` are not read:
    one failed page of category `too_many_pages` stands for them. A group in which no page could be read ends
    the work on a document, and one failed page of category `gave_up` stands for the rest.
    """
    size = path.stat().st_size
    if size > settings.max_bytes:
        message = f"the file has {size:,} bytes; the limit is {settings.max_bytes:,}"
        return Extraction(
            "application/octet-stream", 0, (), failure=Failure(FailureCategory.TOO_LARGE, message)
        )
    with tempfile.TemporaryDirectory(prefix="extract-", dir=scratch) as folder:
        document = _readable_by_child(path, Path(folder))
        read = _groups(
            settings,
            groups,
            partial(
                read_group,
                document,
                settings=settings,
                scratch=Path(folder),
                deadline=time.monotonic() + settings.document_seconds,
            ),
        )
        return _put_together(list(read), settings)


def cached_extraction(settings: Settings, groups: GroupCache) -> Extraction | None:
    """What the cache alone says of a document; None where it lacks a group."""
    try:
        return _put_together(list(_groups(settings, groups, _not_cached)), settings)
    except LookupError:
        return None


def _not_cached(pages: range) -> PageGroup:
    raise LookupError(pages)


def _readable_by_child(path: Path, folder: Path) -> Path:
    """Root may read what its children, which have no privileges, may not: such a file is copied."""
    if os.geteuid() == 0 and path.stat().st_uid != 0:
        copy = folder / "document"
        shutil.copyfile(path, copy)
        return copy
    return path.absolute()


def _groups(
    settings: Settings, groups: GroupCache, read: Callable[[range], PageGroup]
) -> Iterator[tuple[PageGroup, bool]]:
    """The groups in order, each with whether the cache had it; the others are read and saved."""
    first_page, last_page = 1, 1
    while first_page <= last_page:
        cached = groups.load(first_page)
        group = group_from_json(cached) if cached is not None else None
        hit = group is not None
        if group is None:
            pages = range(first_page, min(first_page + PAGES_PER_GROUP, settings.max_pages + 1))
            group = read(pages)
            if group.shareable:
                groups.save(first_page, group.to_json())
        yield group, hit
        if group.failure or _nothing_read(group):
            return
        last_page = min(group.facts.page_count, settings.max_pages)
        first_page += PAGES_PER_GROUP


def _nothing_read(group: PageGroup) -> bool:
    return all(page.method is PageMethod.FAILED for page in group.pages)


def _put_together(read: list[tuple[PageGroup, bool]], settings: Settings) -> Extraction:
    first = read[0][0]
    pages = tuple(page for group, _ in read for page in group.pages)[: settings.max_pages]
    rest = _pages_left_out(first.facts.page_count, len(pages), settings) if pages else ()
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


def _pages_left_out(page_count: int, pages_read: int, settings: Settings) -> tuple[PageText, ...]:
    if pages_read >= page_count:
        return ()
    span = f"pages {pages_read + 1:,} to {page_count:,} were not read"
    if pages_read >= settings.max_pages:
        reason = Failure(FailureCategory.TOO_MANY_PAGES, f"{span}: the limit is {settings.max_pages:,} pages")
    else:
        reason = Failure(FailureCategory.GAVE_UP, f"{span}, since none of the pages before them could be")
    return (PageText(pages_read + 1, PageMethod.FAILED, "", error=reason),)
