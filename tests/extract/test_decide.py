"""The rules of a page, over a grid of every combination of measures around the thresholds."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchjob.extract.decide import BLANK, BOTH, LAYER, OCR, PageMeasure, count_characters, decide

CHARACTERS = (0, 1, 15, 16, 199, 200, 2000)
SHARES = (0.0, 0.005, 0.011, 0.05, 0.06, 0.2, 1.0)
PICTURES = (0.0, 0.02, 0.05, 0.06, 0.5, 0.51, 1.0)


def pages() -> list[PageMeasure]:
    return [
        PageMeasure(
            characters=n,
            controls=round(controls * n),
            odd=round(odd * n),
            readable=round(readable * n),
            text_objects=10,
            invisible=invisible,
            pictures=pictures,
            paths=paths,
        )
        for n, controls, odd, readable, invisible, pictures, paths in product(
            CHARACTERS, (0.0, 0.02), SHARES, (0.5, 0.84, 0.86, 1.0), (0, 5, 6, 10), PICTURES, (0, 50, 51)
        )
    ]


def test_every_page_is_decided_by_the_first_rule_that_fits() -> None:
    for page in pages():
        n = page.characters
        broken = n >= 16 and (page.controls > 0.01 * n or page.odd > 0.05 * n or page.readable < 0.85 * n)
        earlier_ocr = n > 0 and page.invisible > 5
        reading = decide(page)
        if broken:
            assert reading == OCR, page
        elif earlier_ocr:
            assert reading == LAYER, page
        elif n < 16 and (page.pictures or page.paths > 50):
            assert reading == OCR, page
        elif n == 0:
            assert reading == BLANK, page
        elif page.pictures > 0.5 and n < 200:
            assert reading == OCR, page
        elif page.pictures > 0.05 and n >= 16:
            assert reading == BOTH, page
        else:
            assert reading == LAYER, page


@pytest.mark.parametrize(
    "text",
    [
        "請求書\r\n請求番号: INV-2026-23153 ご請求金額 ¥7,210,863（税込）㈱ ① ～ 〒",
        "The pump’s “inner” seal – 5 µm, ±0.1 °C, €20, naïve café",
        "中华人民共和国合同法第一章",
        "αβγ Привет",
    ],
)
def test_true_text_is_readable(text: str) -> None:
    characters, controls, odd, readable = count_characters(text)
    assert (controls, odd) == (0, 0)
    assert readable == characters


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        (",QWHUQDO\x030HPRUDQGXP\x031R\x11\x1a\x1b\x17", "controls"),
        ("\ue000\ue001請求\ue002", "odd"),
        ("請求\ufffd書", "odd"),
        ("緓˙˟妅ˇ捬嫘垈", "unreadable"),
        ("\u0378\u0379", "odd"),
    ],
)
def test_signs_of_a_broken_layer(text: str, sign: str) -> None:
    characters, controls, odd, readable = count_characters(text)
    assert {"controls": controls, "odd": odd, "unreadable": characters - readable}[sign] >= 1


@given(st.text())
def test_the_counts_are_parts_of_the_whole(text: str) -> None:
    characters, controls, odd, readable = count_characters(text)
    assert 0 <= controls + odd + readable <= characters <= len(text)
