"""Vertical print is laid out as a line: every glyph once, in order, and real print is read to the last sign."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from batchjob.extract.image import prepare
from batchjob.ocr.paddle import PaddleEngine
from batchjob.ocr.vertical import as_line

SAMPLE = Path(__file__).parents[2] / "manifests" / "sample" / "総務" / "社史 縦書き.png"


def test_signs_that_vertical_print_turns_are_read(tmp_path: Path) -> None:
    with Image.open(SAMPLE) as image:
        gray, dpi = prepare(image, 200)
    gray.save(tmp_path / "page.pgm")
    text = PaddleEngine().recognise(tmp_path / "page.pgm", dpi).text.replace("\n", "")
    assert "広まり、ポンプやモーターの部品を作るようになります。十年後" in text
    assert "水につかった年もありました。それでも全員で泥をかき出し、" in text


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(0, 20))
def test_every_glyph_comes_once_and_in_order(shades: list[int], margin: int) -> None:
    column = np.full((30 * len(shades) + 10, 24 + 2 * margin), 250, np.uint8)
    for number, shade in enumerate(shades):
        column[30 * number + 8 : 30 * number + 32, margin : margin + 24] = 20 * shade
    line = as_line(column)
    size = line.shape[0]
    assert line.shape[1] == size * len(shades)
    middles = [line[size // 2, size * number + size // 2] for number in range(len(shades))]
    assert middles == [20 * shade for shade in shades]


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3000, 3)])
def test_any_size_of_paper_or_noise_is_survived(shape: tuple[int, int]) -> None:
    paper = np.full(shape, 255, np.uint8)
    assert (as_line(paper) == paper).all()
    assert as_line(np.random.default_rng(1).integers(0, 255, shape, np.uint8)).size
