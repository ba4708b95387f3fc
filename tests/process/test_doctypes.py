"""Types of documents: from manifest or key, as far as Tesseract's command line, and in the cache's keys."""

import csv
import json
import os
import shutil
from pathlib import Path

import pytest

from batchjob.process.doctypes import page_modes, type_of, typed, typed_fingerprint
from batchjob.process.extraction import NoCache, extract_file
from batchjob.process.fingerprint import extraction_fingerprint
from batchjob.process.readers import Readers
from batchjob.records import ManifestRow
from batchjob.settings import Settings
from tests.extract.pdfs import HEIGHT, WIDTH, pdf, picture, printed

MODES = "invoice=6,handwritten=11,mixed_layout=1"
ORIGINAL = Settings(ocr_engine="tesseract", ocr_languages="jpn+eng", ocr_page_modes=MODES)
MANIFESTS = Path(__file__).parents[2] / "manifests"
TYPES = {
    "請求書": "invoice",
    "納品書": "invoice",
    "領収書": "invoice",
    "社史": "mixed_layout",
    "掲示": "handwritten",
}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("経理/2026/請求 1.pdf", "invoice"),
        ("経理/memo.pdf", "handwritten"),
        ("memo.pdf", None),
        ("other/memo/x.pdf", "mixed_layout"),
    ],
)
def test_the_first_pattern_that_fits(key: str, expected: str | None) -> None:
    settings = Settings(doc_types="*/請求*=invoice, 経理/*.pdf=handwritten, other/*=mixed_layout")
    assert type_of(key, settings) == expected
    assert typed(ManifestRow("b", key), settings).doc_type == expected
    assert typed(ManifestRow("b", key, doc_type="contract"), settings).doc_type == "contract"


def test_only_what_changes_the_reading_changes_the_fingerprint() -> None:
    assert page_modes(ORIGINAL) == {"invoice": 6, "handwritten": 11, "mixed_layout": 1}
    assert page_modes(Settings(ocr_page_modes=MODES)) == {}
    assert typed_fingerprint("f", "invoice", ORIGINAL) == "f-psm6"
    assert typed_fingerprint("f", "contract", ORIGINAL) == typed_fingerprint("f", None, ORIGINAL) == "f"

    plain = extraction_fingerprint(Settings())
    assert extraction_fingerprint(Settings(doc_types="a=b", ocr_page_modes=MODES)) == plain
    tesseract = Settings(ocr_engine="tesseract", ocr_languages="jpn+eng")
    with_types = ORIGINAL.model_copy(update={"doc_types": "a*=invoice"})
    assert len({extraction_fingerprint(chosen) for chosen in (tesseract, ORIGINAL, with_types)}) == 3


def test_the_mode_reaches_tesseract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real Tesseract behind a script that writes down how it is called."""
    programs, calls, scratch = (tmp_path / name for name in ("bin", "calls", "scratch"))
    programs.mkdir()
    scratch.mkdir()
    wrapper = programs / "tesseract"
    wrapper.write_text(f'#!/bin/sh\necho "$@" >>"{calls}"\nexec "{shutil.which("tesseract")}" "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    scan = pdf(tmp_path / "a.pdf", picture(printed("Torque curve"), 0, HEIGHT - 200, WIDTH, 100))
    used = {}
    with Readers(ORIGINAL, 1, tmp_path) as ocr:
        for doc_type in ("invoice", "contract", None):
            found = extract_file(scan, ORIGINAL, scratch, NoCache(), ocr, doc_type)
            assert "Torque" in found.text
            used[doc_type] = calls.read_text().splitlines()[0].split()
            calls.unlink()
    assert [words[words.index("--psm") + 1] for words in used.values()] == ["6", "3", "3"]
    assert used["invoice"][used["invoice"].index("-l") + 1] == "jpn+eng"


@pytest.mark.slow
def test_the_whole_sample_under_the_original_settings(tmp_path: Path) -> None:
    """jpn+eng, the mode by type: every document ends as with the default settings, most words are found."""
    expected = json.loads((MANIFESTS / "sample-expected.json").read_text(encoding="utf-8"))
    with (MANIFESTS / "sample.csv").open(encoding="utf-8-sig", newline="") as file:
        types = {row["path"]: TYPES.get(row["doc_type"]) for row in csv.DictReader(file)}
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    phrases = found_phrases = 0
    with Readers(ORIGINAL, 2, tmp_path) as ocr:
        for name, facts in expected.items():
            found = extract_file(MANIFESTS / name, ORIGINAL, scratch, NoCache(), ocr, types.get(name))
            assert (found.status, found.ocr_pages) == (facts["status"], facts["ocr_pages"]), name
            phrases += len(facts["phrases"])
            found_phrases += sum(phrase in found.text for phrase in facts["phrases"])
    assert found_phrases >= 0.9 * phrases
