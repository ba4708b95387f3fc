"""Reading order as a pure function: every line once, whatever the order given; columns, tables, vertical text."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchjob.extract.reading_order import Line, as_text, in_order, is_vertical


def line(text: str, left: float, top: float, width: float, height: float = 20) -> Line:
    return Line(text, 0.9, left, top, left + width, top + height)


def read(*lines: Line) -> list[str]:
    return as_text(in_order(random.Random(7).sample(lines, len(lines)))).split("\n")


def column(name: str, left: float, rows: int, top: float = 0, width: float = 400) -> list[Line]:
    return [line(f"{name}{row}", left, top + 30 * row, width) for row in range(rows)]


BOXES = st.builds(
    line,
    st.text("ab字", min_size=1, max_size=5),
    *[st.integers(0, 900)] * 2,
    st.integers(5, 600),
    st.integers(5, 90),
)


@given(st.lists(BOXES, max_size=25), st.randoms())
def test_every_line_comes_once_whatever_the_order_given(lines: list[Line], chance: random.Random) -> None:
    rows = in_order(lines)
    assert sorted(found for row in rows for found in row) == sorted(lines)
    shuffled = [*lines]
    chance.shuffle(shuffled)
    assert in_order(shuffled) == rows


@given(st.integers(3, 12), st.integers(3, 12), st.integers(0, 25))
def test_columns_of_running_text_are_read_one_after_the_other(left: int, right: int, shift: int) -> None:
    text = read(*column("l", 0, left), *column("r", 440, right, shift))
    assert [row for row in text if row] == [f"l{n}" for n in range(left)] + [f"r{n}" for n in range(right)]


def test_a_title_above_and_a_note_below_two_columns_keep_their_places() -> None:
    title, note = line("title", 100, -60, 600), line("note", 0, 200, 840)
    assert read(title, *column("l", 0, 5), *column("r", 440, 5), note) == [
        "title", "", "l0", "l1", "l2", "l3", "l4", "", "r0", "r1", "r2", "r3", "r4", "", "note",
    ]  # fmt: skip


@given(st.integers(2, 12), st.integers(2, 6))
def test_rows_of_a_table_are_read_across_with_cells_apart(rows: int, cells: int) -> None:
    table = [line(f"{r}{c}", 150 * c, 30 * r, 60) for r in range(rows) for c in range(cells)]
    assert read(*table) == ["  ".join(f"{r}{c}" for c in range(cells)) for r in range(rows)]


def test_a_table_with_one_wide_column_is_read_across() -> None:
    table = [
        *column("id", 0, 6, width=70),
        *column("text", 120, 6, width=500),
        *column("ok", 660, 6, width=40),
    ]
    assert read(*table) == [f"id{n}  text{n}  ok{n}" for n in range(6)]


def test_an_empty_line_stands_between_blocks() -> None:
    assert read(*column("a", 0, 3), *column("b", 0, 3, top=180)) == ["a0", "a1", "a2", "", "b0", "b1", "b2"]


def test_words_of_a_row_are_parted_by_their_gap() -> None:
    assert read(line("日付", 0, 0, 40), line("2026", 50, 2, 60), line("A", 160, 1, 20)) == ["日付 2026  A"]


def test_vertical_text_is_read_from_right_to_left() -> None:
    lines = [line(f"縦書き{n}", 300 - 40 * n, 50, 20, 400) for n in range(6)]
    assert is_vertical(lines)
    assert read(*lines) == [f"縦書き{n}" for n in range(6)]


def test_tiers_of_vertical_text_are_read_from_the_top() -> None:
    lines = [
        line(f"{tier}{n}", 300 - 40 * n, 440 * "上下".index(tier), 20, 400)
        for tier in "上下"
        for n in range(4)
    ]
    assert [row for row in read(*lines) if row] == [f"{tier}{n}" for tier in "上下" for n in range(4)]


@pytest.mark.parametrize("lines", [[], [line("a", 0, 0, 10)]])
def test_few_lines(lines: list[Line]) -> None:
    assert in_order(lines) == ([lines] if lines else [])
