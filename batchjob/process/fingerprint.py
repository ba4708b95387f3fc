"""The fingerprint of extraction: the same bytes under the same fingerprint give the same text."""

import hashlib
import json
import re
import shutil
import subprocess

from batchjob.ocr import installed
from batchjob.process.doctypes import page_modes
from batchjob.process.groups import PAGES_PER_GROUP
from batchjob.settings import Settings

EXTRACTOR_VERSION = 9
"""Raise it with every change, also of a library, that changes the text or the form of cached groups."""


def extraction_fingerprint(settings: Settings) -> str:
    """32 hexadecimal digits over what can change a shared result. Raises UsageError without the engine.

    Limits of time, memory and size are left out: what they cause is never shared.
    """
    tesseract = settings.ocr_engine == "tesseract"
    modes = page_modes(settings)
    parts = {
        "extractor": EXTRACTOR_VERSION,
        "pages_per_group": PAGES_PER_GROUP,
        "engine": installed.identity(settings),
        "languages": (settings.ocr_languages, settings.ocr_languages_vertical) if tesseract else None,
        "page_modes": (modes, settings.doc_types) if modes else None,
        "dpi": settings.ocr_dpi,
        "xdw_converter": settings.xdw_converter or None,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


POPPLER = ("pdfinfo", "pdftotext", "pdftoppm")


def second_reader() -> str | None:
    """The version of poppler, None where it is not installed.

    It stands in the groups that poppler was asked for instead of in the fingerprint: all others are the same
    without it, and a security update of the system must not ask for a re-index.
    """
    if not all(map(shutil.which, POPPLER)):
        return None
    said = subprocess.run([POPPLER[0], "-v"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    version = re.search(rb"version (\S+)", said.stderr + said.stdout)
    return version[1].decode() if version else "of unknown version"
