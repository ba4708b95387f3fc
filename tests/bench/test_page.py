"""The page keeps one section a title; long runs are summed up second by second."""

from pathlib import Path

import pytest

from tests.bench.long_scan import busy, quarters
from tests.bench.page import Section, write
from tests.bench.watch import Look


def test_a_new_answer_takes_the_place_of_the_old_one_and_the_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for title, answer in (("First", "| 1 |"), ("Second", "| 2 |"), ("First", "| 3 |")):
        write(page, Section(title, "What is it?", answer), "Measured today")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Measurements\n")
    assert [text.count(word) for word in ("## First\n", "## Second\n", "| 1 |", "| 2 |", "| 3 |")] == [
        1,
        1,
        0,
        1,
        1,
    ]
    assert text.index("| 3 |") < text.index("| 2 |")


def looks(*cpu: float) -> list[Look]:
    return [Look(float(second), used, 100 * second, idle=0.0) for second, used in enumerate(cpu)]


def test_busy_leaves_out_the_start_and_nothing_later() -> None:
    found = busy(looks(0, 0.5, 1.5, 3.5, 5.5, 6.5), workers=2)
    assert found.startup == 2
    assert found.used == pytest.approx([1.0, 1.0, 0.5])


def test_memory_is_told_quarter_by_quarter() -> None:
    assert quarters(looks(*range(9))) == [50, 250, 450, 700]
