"""What is printed for people: text of unknown origin cannot steer the terminal."""

from hypothesis import given
from hypothesis import strategies as st

from batchjob.cli.operate import mark
from batchjob.cli.output import printable
from batchjob.operate.search import HIT_END, HIT_START


def test_escapes_and_line_breaks_are_shown_and_not_obeyed() -> None:
    assert printable("a\x1b[31mb\nc\u202ed") == "a\\x1b[31mb\\nc\\u202ed"


@given(st.text())
def test_what_is_printed_has_no_controls_and_japanese_stays(text: str) -> None:
    shown = printable(text)
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in shown)
    assert printable("請求書　2026年（控）") == "請求書　2026年（控）"


def test_hits_are_marked_between_their_words() -> None:
    assert (
        mark(f"the {HIT_START}first{HIT_END} and {HIT_START}last{HIT_END}", "«", "»")
        == "the «first» and «last»"
    )
