"""Whether the chosen OCR engine can run here, and what it is; asked by the parent before any work."""

from batchjob.ocr import models, tessdata
from batchjob.settings import Settings

PADDLE_VERSION = 5
"""Raise it with every change of the paddle engine that changes its text."""


def check(settings: Settings) -> None:
    """Raises UsageError with what to install or to set."""
    if settings.ocr_engine == "paddle":
        models.check()
    else:
        tessdata.check(settings)


def identity(settings: Settings) -> str:
    """Engine and models that decide what is read, for the fingerprint. Raises UsageError.

    What the networks run on is left out: a few characters in ten thousand differ between kinds of CPU, and
    shards of one run may meet several.
    """
    if settings.ocr_engine == "tesseract":
        return tessdata.identity(settings)
    hashes = [f"{name}={models.digest(name)}" for name in (models.DETECTION, models.RECOGNITION)]
    return " ".join([f"paddle {PADDLE_VERSION}", *hashes])
