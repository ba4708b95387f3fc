"""The figures of quality, against definitions that are slow and plain."""

from hypothesis import given
from hypothesis import strategies as st

from tests.bench.scores import Score, distance, score

LETTERS = st.text(alphabet="abcあいう、", max_size=24)


def by_the_book(true: str, read: str) -> int:
    """Levenshtein's recursion, a row at a time."""
    row = list(range(len(read) + 1))
    for i, a in enumerate(true, 1):
        above, row = row, [i]
        for j, b in enumerate(read, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b)))
    return row[-1]


@given(LETTERS, LETTERS)
def test_distance_is_levenshteins(true: str, read: str) -> None:
    assert distance(true, read) == by_the_book(true, read)


def test_white_space_and_width_are_no_errors_but_letters_are() -> None:
    assert score("請求書 ＡＢＣ\n123", "請求書ABC １２３") == Score(9, 0, 8, 8)
    assert score("請求書", "請水書") == Score(3, 1, 2, 0)


def test_a_search_finds_pairs_in_any_order_but_each_only_as_often_as_it_was_read() -> None:
    assert score("上下左右", "左右上下").found == 2
    assert score("ababab", "ab").found == 1


def test_rates_are_of_the_sum_of_all_pages() -> None:
    both = score("あいうえおかきくけこ", "あいうえおかきくけ") + score("さし", "さし")
    assert both.error_rate == 100 / 12
    assert both.bigram_recall == 100 * 9 / 10
