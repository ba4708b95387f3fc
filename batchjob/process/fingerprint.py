"""The fingerprint of extraction: the same bytes under the same fingerprint give the same text."""

import hashlib
import json

from batchjob.ocr import installed
from batchjob.process.doctypes import page_modes
from batchjob.process.groups import PAGES_PER_GROUP
from batchjob.settings import Settings

EXTRACTOR_VERSION = 5
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
