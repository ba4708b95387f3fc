"""Extracts a file; what of a DocuWorks file cannot be read here is taken from a PDF made by the operator's program."""

import shlex
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from batchjob.errors import CONTENT_DETERMINED
from batchjob.extract.detect import DOCUWORKS, HEAD, Kind, NotReadError, detect
from batchjob.extract.text import merge_ocr
from batchjob.process.children import Child, ChildLimits, Ending
from batchjob.process.extraction import cached_extraction, extract_file
from batchjob.process.groups import GroupCache
from batchjob.process.launch import program
from batchjob.process.readers import Readers
from batchjob.records import Extraction, Failure, PageText
from batchjob.settings import Settings

_CONVERTER = program("batchjob.extract.converter")
_ENGINE = "converter"
_MOST_OUTPUT = 1024 * 1024 * 1024
_LINE = 64 * 1024
_FIRST_CONVERTED = 10_000_000
"""The groups of a file's PDF are cached beside its own, whose pages do not come so far."""
_CERTAIN = 100.0


def extract_document(
    path: Path,
    settings: Settings,
    scratch: Path,
    groups: GroupCache,
    readers: Readers,
    doc_type: str | None = None,
) -> Extraction:
    """As `extract_file`; with the converter's help where one is set and the file needs it."""
    native = extract_file(path, settings, scratch, groups, readers, doc_type)
    if not _needs_converter(native, settings):
        return native
    beside = _Converted(groups)
    converted = cached_extraction(settings, beside)
    if converted is None:
        with tempfile.TemporaryDirectory(prefix="convert-", dir=scratch) as folder:
            made = _convert(path, native.mime_type, settings, Path(folder))
            if isinstance(made, str):
                return _with_reason(native, made)
            converted = extract_file(made, settings, scratch, beside, readers, doc_type)
    return _merged(native, converted)


def cached_document(settings: Settings, groups: GroupCache) -> Extraction | None:
    """What the cache alone says of a document; None where it lacks a group of it or of its PDF."""
    native = cached_extraction(settings, groups)
    if native is None or not _needs_converter(native, settings):
        return native
    converted = cached_extraction(settings, _Converted(groups))
    return None if converted is None else _merged(native, converted)


class _Converted:
    """A document's cache, moved to where the groups of its PDF are kept."""

    def __init__(self, groups: GroupCache) -> None:
        self._groups = groups

    def load(self, first_page: int) -> bytes | None:
        return self._groups.load(_FIRST_CONVERTED + first_page)

    def save(self, first_page: int, data: bytes) -> None:
        self._groups.save(_FIRST_CONVERTED + first_page, data)


def _needs_converter(native: Extraction, settings: Settings) -> bool:
    if not settings.xdw_converter or native.mime_type not in DOCUWORKS:
        return False
    losses = [native.failure, *(page.error for page in native.pages)]
    return any(loss is not None and loss.category in CONTENT_DETERMINED for loss in losses)


def _convert(path: Path, mime_type: str, settings: Settings, folder: Path) -> Path | str:
    """The PDF, or why there is none."""
    given = folder / ("document.xbd" if mime_type == Kind.XBD else "document.xdw")
    made = folder / "document.pdf"
    shutil.copyfile(path, given)
    places: Mapping[str, str] = {"{input}": str(given), "{output}": str(made)}
    command = [_filled(word, places) for word in shlex.split(settings.xdw_converter)]
    seconds = settings.xdw_converter_seconds
    limits = ChildLimits(seconds, seconds, settings.child_memory, _MOST_OUTPUT, _LINE)
    child = Child(_CONVERTER, {"command": command}, cwd=folder, limits=limits, on_line=lambda _: None)
    try:
        end = child.follow()
    finally:
        child.close()
    if end is None or end.ending is not Ending.OK:
        return f"the converter failed: {end.message if end else 'it said nothing'}"
    if made.is_symlink() or not made.is_file():
        return "the converter wrote no PDF"
    return made if _is_pdf(made) else "what the converter wrote is no PDF"


def _is_pdf(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            return detect(file.read(HEAD)) is Kind.PDF
        except NotReadError:
            return False


def _filled(word: str, places: Mapping[str, str]) -> str:
    for place, value in places.items():
        word = word.replace(place, value)
    return word


def _with_reason(native: Extraction, reason: str) -> Extraction:
    """The native result, which tells also what came of the converter."""
    if native.failure is not None:
        return replace(native, failure=_told(native.failure, reason))
    pages = [replace(page, error=_told(page.error, reason)) if page.error else page for page in native.pages]
    return replace(native, pages=tuple(pages))


def _told(failure: Failure, reason: str) -> Failure:
    return Failure(failure.category, f"{failure.message} ({reason})")


def _merged(native: Extraction, converted: Extraction) -> Extraction:
    """The native result with the PDF's pages where it lacks something; all of the PDF where there is none."""
    if converted.failure is not None:
        return _with_reason(native, f"nor is the converter's PDF: {converted.failure.message}")
    native = replace(
        native,
        thumbnail=native.thumbnail or converted.thumbnail,
        cache_hits=native.cache_hits + converted.cache_hits,
        cache_misses=native.cache_misses + converted.cache_misses,
    )
    if native.failure is not None:
        if not any(_letters(page.text) for page in converted.pages):
            return _with_reason(native, "the converter's PDF holds no text")
        pages = tuple(_named(page) for page in converted.pages)
        return replace(native, failure=None, page_count=converted.page_count, pages=pages)
    by_number = {page.page: page for page in converted.pages}
    return replace(native, pages=tuple(_better(page, by_number.get(page.page)) for page in native.pages))


def _better(native: PageText, converted: PageText | None) -> PageText:
    """The PDF's page, with those lines that only the native one has: names, properties.

    What the native reader lost stays told where the PDF's page does not hold at least as much.
    """
    if native.error is None or native.error.category not in CONTENT_DETERMINED:
        return native
    if converted is None or not _letters(converted.text):
        why = "has no such page" if converted is None else "holds no text on this page"
        return replace(native, error=_told(native.error, f"the converter's PDF {why}"))
    text = merge_ocr(converted.text, [(line, _CERTAIN) for line in native.text.split("\n")])
    error = converted.error
    if error is None and _letters(converted.text) < _letters(native.text):
        error = _told(native.error, "the converter's PDF holds less")
    return _named(replace(converted, text=text, error=error))


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def _named(page: PageText) -> PageText:
    return replace(page, engine=f"{_ENGINE}+{page.engine}" if page.engine else _ENGINE)
