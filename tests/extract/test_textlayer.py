"""Text layers that are missing, wrong, outlined, mixed with pictures, or a stamp: the true text comes from each."""

from pathlib import Path

import pytest

from batchjob.process.extraction import extract_file
from batchjob.process.groups import NoCache
from batchjob.process.readers import Readers
from batchjob.records import Extraction
from batchjob.settings import Settings
from tests.bench.scores import score

_SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples" / "ocr"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (_SAMPLES / "textlayer").is_dir(), reason="the samples are not here"),
]
_MOST_ERRORS = 0.4
"""In per cent; they come from OCR."""


def extracted(name: str, folder: Path) -> Extraction:
    settings = Settings()
    with Readers(settings, 1, folder) as readers:
        found = extract_file(_SAMPLES / "textlayer" / f"{name}.pdf", settings, folder, NoCache(), readers)
    assert (found.status, found.failure) == ("ok", None)
    return found


@pytest.mark.parametrize(
    ("name", "true", "before"),
    [
        ("notounicode_en", "eng00", ""),
        ("notounicode_ja", "min01", ""),
        ("wrongtounicode", "min01", ""),
        ("outlined", "min01", ""),
        ("stamped_scan", "law00", "CONFIDENTIAL Scanned 2024-06-07 Page 1"),
    ],
)
def test_the_true_text_is_found(name: str, true: str, before: str, tmp_path: Path) -> None:
    text = before + (_SAMPLES / "gt" / f"{true}.txt").read_text(encoding="utf-8")
    assert score(text, extracted(name, tmp_path).pages[0].text).error_rate <= _MOST_ERRORS


def test_a_picture_beside_a_layer_adds_to_it(tmp_path: Path) -> None:
    line = "This half of the page is born digital text line number {} of the report.\n"
    layer = "".join(map(line.format, range(30)))
    text = extracted("mixed", tmp_path).pages[0].text
    assert score(layer, text[: len(layer)]).error_rate == 0
    assert all(words in text[len(layer) :] for words in ("INV-2024-23153", "7,210,863", "セキュリティ診断"))


@pytest.mark.parametrize("path", sorted((_SAMPLES / "pdf").glob("*.pdf")), ids=lambda path: path.stem)
def test_a_true_layer_is_taken_without_an_error(path: Path, tmp_path: Path) -> None:
    settings = Settings()
    with Readers(settings, 1, tmp_path) as readers:
        found = extract_file(path, settings, tmp_path, NoCache(), readers)
    true = (_SAMPLES / "gt" / f"{path.stem}.txt").read_text(encoding="utf-8")
    assert score(true, "\n".join(page.text for page in found.pages)).error_rate == 0
