"""The paddle engine on made pages, on both runtimes: upright, turned, tilted, blank, and beyond its sizes."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from batchjob.ocr import models
from batchjob.ocr.engine import OcrError
from batchjob.ocr.models import RUNTIMES, find_runtime
from batchjob.ocr.networks import open_classifier, open_network
from batchjob.ocr.paddle import PaddleEngine, is_in_japanese_print, tilt
from batchjob.ocr.ppocr import MOST_LINES, Reader, decode, find_lines
from tests.extract.pdfs import printed

TEXT = ("Inspection report for pump A", "The shaft seal was replaced on Monday", "Next visit in October")


@cache
def engine(runtime: str | None = None) -> PaddleEngine:
    return PaddleEngine(runtime)


def page(*lines: str) -> Image.Image:
    image = Image.new("L", (1000, 700), 255)
    image.paste(printed(*lines), (60, 80))
    return image


def recognise(
    image: Image.Image, folder: Path, runtime: str | None = None, dpi: int = 200
) -> tuple[str, float]:
    path = folder / "page.pgm"
    image.save(path)
    found = engine(runtime).recognise(path, dpi)
    assert [line.text for line in found.lines] == [
        cell for row in found.text.split("\n") for cell in row.split("  ") if cell
    ]
    return found.text, found.confidence


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_lines_are_read_on_every_runtime(runtime: str, tmp_path: Path) -> None:
    if find_runtime() != RUNTIMES[0] and runtime == RUNTIMES[0]:
        pytest.skip(f"no {runtime} here")
    text, confidence = recognise(page(*TEXT), tmp_path, runtime)
    assert text.split("\n") == list(TEXT)
    assert confidence > 90


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_a_turned_page_is_turned_back(turned: int, tmp_path: Path) -> None:
    text, confidence = recognise(page(*TEXT).rotate(turned, expand=True), tmp_path)
    assert text.split("\n") == list(TEXT)
    assert confidence > 90


def test_rows_of_a_tilted_page_stay_together(tmp_path: Path) -> None:
    sheet = Image.new("L", (1600, 700), 255)
    for row in range(5):
        sheet.paste(printed(f"Item {row}"), (60, 60 + 100 * row))
        sheet.paste(printed(f"Price {row}00"), (1200, 60 + 100 * row))
    text, _ = recognise(sheet.rotate(2.5, Image.Resampling.BICUBIC, fillcolor=255), tmp_path)
    assert text.split("\n") == [f"Item {row}  Price {row}00" for row in range(5)]


@pytest.mark.parametrize("size", [(800, 1000), (1, 1), (9, 6000), (7000, 40)])
def test_empty_pages_of_any_size_have_no_text(size: tuple[int, int], tmp_path: Path) -> None:
    assert recognise(Image.new("L", size, 255), tmp_path) == ("", 0.0)


def test_noise_of_any_resolution_is_survived(tmp_path: Path) -> None:
    noise = Image.effect_noise((700, 500), 120)
    for dpi in (1, 72, 600, 100_000):
        recognise(noise, tmp_path, dpi=dpi)


def test_what_is_no_image_is_told(tmp_path: Path) -> None:
    (tmp_path / "page.pgm").write_bytes(b"P5\n9 9\n255\nxx")
    with pytest.raises(OcrError, match="paddle engine failed"):
        engine().recognise(tmp_path / "page.pgm", 200)


def test_no_runtime_of_that_name() -> None:
    with pytest.raises(ImportError):
        open_network(Path("model"), "abacus")


def test_a_page_without_wide_lines_is_taken_as_level() -> None:
    assert tilt([]) == 0.0


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_repeats_and_blanks_are_left_out(classes: list[int]) -> None:
    found = decode(np.log(np.eye(4, dtype=np.float32)[classes] + np.float32(1e-30)), ["", "a", "b", "c"])
    kept = [now for before, now in zip([0, *classes], classes, strict=False) if now != before and now]
    assert found.text == "".join("-abc"[index] for index in kept)
    assert found.score == (1.0 if kept else 0.0)


def test_only_what_japanese_print_has_is_read() -> None:
    assert all(map(is_in_japanese_print, "単価検査値髙﨑ァｱAé–™①㈱〜 "))
    assert not any(map(is_in_japanese_print, "单检值한ạ"))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_alphabet_cut_down_reads_what_is_left_of_it(runtime: str) -> None:
    if find_runtime() != RUNTIMES[0] and runtime == RUNTIMES[0]:
        pytest.skip(f"no {runtime} here")
    digits = open_classifier(models.model(models.RECOGNITION), str.isdecimal, runtime)
    assert set(digits.characters) >= set("0123456789")
    line = np.asarray(printed("80015"))
    answer = digits(np.zeros((1, 3, 48, 96), np.float32))
    assert answer.shape[-1] == len(digits.characters) + 1
    assert Reader(digits).read([line])[0].text == "80015"
    letters = open_classifier(models.model(models.RECOGNITION), str.isalpha, runtime)
    assert not any(character.isdecimal() for character in Reader(letters).read([line])[0].text)


def test_dense_print_after_wide_print_is_read_as_if_it_came_alone() -> None:
    network = open_classifier(models.model(models.RECOGNITION), is_in_japanese_print)
    dense = np.asarray(printed("minimum illustration of little widths, fifty-nine lines"))
    alone = Reader(network).read([dense])[0].text
    page = Reader(network)
    for _ in range(6):
        page.read([np.asarray(printed("W W W W"))])
    assert page.read([dense])[0].text == alone


def test_of_too_many_lines_the_largest_are_read_and_the_rest_is_told() -> None:
    sheet = Image.new("L", (2400, 3300), 255)
    draw = ImageDraw.Draw(sheet)
    for row in range(45):
        for column in range(26):
            draw.text((40 + 90 * column, 40 + 72 * row), "12", fill=0, font_size=40 if row < 5 else 22)
    found = find_lines(open_network(models.model(models.DETECTION)), np.asarray(sheet), 200)
    assert len(found.boxes) == MOST_LINES
    assert found.left_out > 0
    assert sum(box[:, 1].mean() < 40 + 72 * 5 for box in found.boxes) >= 5 * 26 * 0.95


def test_specks_do_not_displace_lines() -> None:
    probability = np.zeros((1, 1, 1056, 768), np.float32)
    probability[0, 0, 20:30, 20:200] = 1
    probability[0, 0, 100:1000:4, 20:740:8] = 1
    found = find_lines(lambda values: probability, np.full((1056, 768), 255, np.uint8), 90)
    assert (len(found.boxes), found.left_out) == (1, 0)
