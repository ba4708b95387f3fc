"""`extract` on real files: the text, and how each page was read."""

import json
from pathlib import Path

import pytest
from PIL import Image

from batchjob.errors import ExitCode
from tests.extract.pdfs import HEIGHT, WIDTH, pdf, picture, printed, words
from tests.support.command import batchjob, environment

LINE = "The shaft seal of the second pump was replaced."


@pytest.fixture
def document(tmp_path: Path) -> Path:
    scan = Image.new("L", (1400, 1980), 255)
    scan.paste(printed("Torque curve", "Figure 12"), (0, 100))
    return pdf(tmp_path / "a.pdf", words(LINE), picture(scan, 0, 0, WIDTH, HEIGHT))


def test_each_page_says_how_it_was_read(document: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.bmp"
    Image.effect_noise((800, 1200), 60).save(cut)
    cut.write_bytes(cut.read_bytes()[:-100_000])
    done = batchjob("extract", document, cut)
    assert done.code == ExitCode.DONE
    first, second, damaged = (line for line in done.stderr.splitlines() if line.startswith("— page"))
    assert first.startswith("— page 1: text, ")
    assert second.startswith("— page 2: ocr, paddle, own image at 200 dpi, confidence ")
    assert "image of 800 x 1,200 pixels" in damaged
    assert "corrupt: the image is damaged" in damaged
    assert LINE in done.stdout
    assert "Torque curve" in done.stdout


def test_json_says_the_same_for_machines(document: Path) -> None:
    done = batchjob("extract", document, "--json", "--doc-type", "drawing")
    told = json.loads(done.stdout)
    assert [page["note"] for page in told["pages"]] == [None, "own image at 200 dpi"]
    assert [page["engine"] for page in told["pages"]] == [None, "paddle"]


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("doc_types", "invoices/*", "PATTERN=TYPE"),
        ("ocr_page_modes", "invoice=0", "invoice=0"),
        ("ocr_page_modes", "invoice=six", "invoice=six"),
    ],
)
def test_settings_that_are_none(name: str, value: str, word: str, document: Path) -> None:
    done = batchjob("extract", document, env=environment(**{name: value}))
    assert done.code == ExitCode.USAGE
    assert f"BATCHJOB_{name.upper()}" in done.stderr
    assert word in done.stderr
    assert "Traceback" not in done.stderr
