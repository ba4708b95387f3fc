"""The engine on real pages; these tests need Tesseract with the data that the default settings name."""

from pathlib import Path

import pytest
from PIL import Image

from batchjob.ocr.engine import OcrError, OcrPage, open_engine
from batchjob.ocr.tesseract import page_of
from tests.extract.pdfs import printed

TABLE_HEAD = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n"


def row(line: int, confidence: float, text: str, level: int = 5) -> str:
    return f"{level}\t1\t1\t1\t{line}\t1\t0\t0\t9\t9\t{confidence}\t{text}\n"


def test_text_and_table_are_put_together() -> None:
    table = (
        TABLE_HEAD
        + row(0, -1, "", 4)
        + row(0, 90, "請求")
        + row(0, 60, "書")
        + row(1, 30, "A-1")
        + row(1, 95, " ")
    )
    page = page_of("請求書\n\nA-1\n\f", table)
    assert page.text == "請求書\n\nA-1"
    assert page.lines == (("請求書", 80.0), ("A-1", 30.0))
    assert page.confidence == 55.0


def test_lines_come_from_the_table_where_the_text_has_others() -> None:
    assert page_of("x\ny\nz", TABLE_HEAD + row(0, 90, "a") + row(0, 90, "b")).lines == (("a b", 90.0),)


def test_rules_of_a_table_are_no_words() -> None:
    table = TABLE_HEAD + row(0, 90, "||") + row(1, 90, "a|b") + row(1, 20, "|")
    page = page_of("||\n\na|b |\n", table)
    assert (page.text, page.confidence, page.lines) == ("a|b", 90.0, (("a|b", 90.0),))


def test_an_empty_page() -> None:
    assert page_of("\f", TABLE_HEAD) == OcrPage("", 0.0)


TEXT = (
    "Inspection report for pump A",
    "The shaft seal was replaced on Monday",
    "Next visit planned in October",
)


def test_a_page_of_few_dots_per_inch_is_read_as_well(tmp_path: Path) -> None:
    page = Image.new("L", (1654, 2339), 255)
    page.paste(printed(*TEXT * 3), (120, 150))
    path = tmp_path / "page.pgm"
    page.resize((413, 584), Image.Resampling.LANCZOS).save(path)
    found = open_engine("tesseract", "Japanese", "Japanese_vert").recognise(path, 50)
    assert [found.text.count(line) for line in TEXT] == [3, 3, 3]


@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_a_page_is_read_however_it_lies(turned: int, tmp_path: Path) -> None:
    page = Image.new("L", (1654, 2339), 255)
    page.paste(printed(*TEXT * 3), (120, 150))
    path = tmp_path / "page.pgm"
    page.rotate(turned, expand=True).save(path)
    found = open_engine("tesseract", "Japanese", "Japanese_vert").recognise(path, 200)
    assert "seal was replaced on Monday" in found.text
    assert found.confidence > 60
    assert sorted(path.parent.iterdir()) == [path]


def test_a_blank_page_has_no_text(tmp_path: Path) -> None:
    path = tmp_path / "page.pgm"
    Image.new("L", (800, 1000), 255).save(path)
    assert open_engine("tesseract", "Japanese", "Japanese_vert").recognise(path, 100).text == ""


def test_missing_data_is_told(tmp_path: Path) -> None:
    path = tmp_path / "page.pgm"
    Image.new("L", (100, 100), 255).save(path)
    with pytest.raises(OcrError, match="no_such_language"):
        open_engine("tesseract", "no_such_language", "").recognise(path, 200)


def test_unknown_engine() -> None:
    with pytest.raises(ValueError, match="no OCR engine"):
        open_engine("crystal ball", "", "")
