"""A query is found where it stands, whatever was misread, and nowhere else."""

from hypothesis import given
from hypothesis import strategies as st

from batchjob.operate.nearness import Query

LETTERS = st.text(alphabet="請求書見積abcdefXYZ0123456789", min_size=2, max_size=14)


def found(query: str, text: str) -> tuple[str, float]:
    place = Query(query).nearest(text)
    assert place is not None
    return text[place.start : place.end], round(place.share, 2)


def test_spaces_width_and_case_do_not_matter() -> None:
    assert found("請求書", "これは 請 求\u3000書 です") == ("請 求\u3000書", 1.0)
    assert found("abc12", "x ＡＢＣ１２ y") == ("ＡＢＣ１２", 1.0)
    assert found("INVOICE", "an Invoice of") == ("Invoice", 1.0)


def test_one_misread_character_takes_two_pairs_away() -> None:
    text, share = found("前月より増えた", "昨日の前月よリ増えた分、前月の")
    assert (text, share) == ("前月よリ増えた", 0.67)


def test_the_first_of_equal_places_counts() -> None:
    place = Query("同じ文").nearest("同じ文、同じ文")
    assert place is not None
    assert place.start == 0


def test_what_is_not_there_is_nowhere() -> None:
    assert Query("請求書").nearest("an invoice") is None
    assert Query("請求書").nearest("") is None
    assert Query("書").nearest("請求書") is None


@given(LETTERS, st.text(), st.text())
def test_a_text_that_holds_it_is_told_to_hold_all_of_it(query: str, before: str, after: str) -> None:
    place = Query(query).nearest(before + query + after)
    assert place is not None
    assert place.share == 1.0
    assert 0 <= place.start < place.end <= len(before + query + after)
