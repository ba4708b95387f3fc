"""What Tesseract this machine has; asked by the parent before any work, and for the fingerprint."""

import hashlib
import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from batchjob.errors import UsageError
from batchjob.settings import Settings

_TURNING = "osd"
"""The data by which Tesseract tells how a page is turned."""
_SCRIPT_PACKAGES = {"Japanese": "jpan", "Latin": "latn", "HanS": "hans", "HanT": "hant", "Hangul": "hang"}


class Tessdata(NamedTuple):
    """`languages` as `tesseract -l` takes them."""

    version: str
    folder: Path
    languages: frozenset[str]


def check(settings: Settings) -> None:
    """Makes sure that OCR can work as the settings say. Raises UsageError with what to install or to set."""
    installed = find_tessdata()
    wanted = [
        ("BATCHJOB_OCR_LANGUAGES", settings.ocr_languages),
        ("BATCHJOB_OCR_LANGUAGES_VERTICAL", settings.ocr_languages_vertical),
    ]
    for variable, value in wanted:
        for language in _split(value):
            if language not in installed.languages:
                raise UsageError(_missing(language, installed, variable))
    if _TURNING not in installed.languages:
        raise UsageError(_missing(_TURNING, installed, None))


def _missing(language: str, installed: Tessdata, variable: str | None) -> str:
    setting = f", or set {variable} to some of: {', '.join(sorted(installed.languages))}" if variable else ""
    return (
        f"Tesseract has no data for {language!r} in {installed.folder}. "
        f"Install it (Debian package {_package(language)}){setting}."
    )


def _package(language: str) -> str:
    """The Debian package of a language or script: `jpn_vert` is in tesseract-ocr-jpn-vert."""
    script, *rest = language.removeprefix("script/").split("_")
    if script in _SCRIPT_PACKAGES:
        return "-".join(["tesseract-ocr-script", _SCRIPT_PACKAGES[script], *rest])
    return "tesseract-ocr-" + "-".join([script, *rest])


def identity(settings: Settings) -> str:
    """Version and data that decide what Tesseract reads, for the fingerprint. Raises UsageError."""
    installed = find_tessdata()
    names = sorted({*_split(settings.ocr_languages), *_split(settings.ocr_languages_vertical), _TURNING})
    hashes = [f"{name}={_data_hash(installed.folder / f'{name}.traineddata')}" for name in names]
    return " ".join([f"tesseract {installed.version}", *hashes])


def _data_hash(path: Path) -> str:
    try:
        stat = path.stat()
        return _hash_once(path, stat.st_size, stat.st_mtime_ns)
    except OSError:
        return "missing"


@lru_cache(maxsize=32)
def _hash_once(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _split(languages: str) -> list[str]:
    return [language for language in languages.split("+") if language]


def find_tessdata() -> Tessdata:
    """Raises UsageError where there is no working Tesseract."""
    program = shutil.which("tesseract")
    if program is None:
        raise UsageError(
            "Tesseract is not installed or not in PATH. Install it (Debian package tesseract-ocr, and "
            "tesseract-ocr-script-jpan with tesseract-ocr-script-jpan-vert for Japanese)."
        )
    version = re.search(r"tesseract v?(\S+)", _ask(program, "--version"))
    listing = _ask(program, "--list-langs")
    folder = re.search(r'"(.+)"', listing.splitlines()[0])
    if version is None or folder is None:
        raise UsageError(f"{program} does not answer as Tesseract 4 or 5 does; install Tesseract 5.")
    return Tessdata(version[1], Path(folder[1]), frozenset(listing.split("\n")[1:]) - {""})


def _ask(program: str, option: str) -> str:
    try:
        answer = subprocess.run(
            [program, option], capture_output=True, text=True, timeout=30, check=True, encoding="utf-8"
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(f"{program} {option} fails: {error}. Repair or reinstall Tesseract.") from None
    return answer.stdout or answer.stderr
