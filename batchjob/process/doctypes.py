"""What type of document a row is, and how Tesseract is to look at its pages; asked for each row before it is read."""

from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache

from batchjob.records import ManifestRow
from batchjob.settings import Settings, pairs

_pairs = cache(pairs)
"""The same few settings for every row."""


def typed(row: ManifestRow, settings: Settings) -> ManifestRow:
    """The row with its type: the manifest's, else that of the first pattern in the settings that fits its key."""
    if row.doc_type is not None:
        return row
    return replace(row, doc_type=type_of(row.key, settings))


def type_of(key: str, settings: Settings) -> str | None:
    patterns = _pairs(settings.doc_types)
    return next((name for pattern, name in patterns if fnmatchcase(key, pattern)), None)


def page_modes(settings: Settings) -> dict[str, int]:
    """Tesseract's page segmentation mode by type; other types, and other engines, take the automatic one."""
    if settings.ocr_engine != "tesseract":
        return {}
    return {name: int(mode) for name, mode in _pairs(settings.ocr_page_modes)}


def typed_fingerprint(fingerprint: str, doc_type: str | None, settings: Settings) -> str:
    """The fingerprint under which a document's pages are cached: types that are read alike share them."""
    mode = page_modes(settings).get(doc_type or "")
    return fingerprint if mode is None else f"{fingerprint}-psm{mode}"
