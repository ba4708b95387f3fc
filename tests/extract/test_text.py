import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batchjob.extract.text import clean, clean_line, merge_ocr, says_the_same

DROPPED = {"Cc", "Cs"}
tricky = st.text(
    alphabet="あいう漢字、。「」 \n\t\r\x02\u3000\u3099abc12.)第条一・\ufffe\ud800\x0b\x1c", max_size=200
)
paragraphs = st.lists(st.text(alphabet="あ漢い、。 A1\u3000\u3099", max_size=30), max_size=14).map("\n".join)
any_text = tricky | paragraphs | st.text()


def solid(text: str) -> str:
    kept = [
        character
        for character in text
        if not character.isspace()
        and unicodedata.category(character) not in DROPPED
        and character not in "\ufffe\uffff"
    ]
    return unicodedata.normalize("NFC", "".join(kept))


@settings(max_examples=500, deadline=None)
@given(any_text, st.booleans())
def test_cleaning_twice_changes_nothing_more(text: str, ocr: bool) -> None:
    once = clean(text, ocr=ocr)
    assert clean(once, ocr=ocr) == once


@settings(max_examples=500, deadline=None)
@given(any_text, st.booleans())
@example("a\ufffeb\r\nc\x02d", False)
def test_only_spaces_controls_and_lone_surrogates_are_lost(text: str, ocr: bool) -> None:
    cleaned = clean(text, ocr=ocr)
    assert solid(cleaned) == solid(text)
    cleaned.encode()
    assert not any(unicodedata.category(character) in DROPPED for character in cleaned.replace("\n", ""))


WRAPPED = (
    "使用者は、就業規則の作成又は変更について、当該事業場に、労働者の過半数で組織する労働組",
    "合がある場合においてはその労働組合、労働者の過半数で組織する労働組合がない場合において",
    "は労働者の過半数を代表する者の意見を聴かなければならない。",
)


def test_a_word_broken_over_two_lines_is_whole_again() -> None:
    assert clean("\r\n".join(WRAPPED)) == "".join(WRAPPED)


def test_a_line_that_ends_on_a_particle_goes_on_in_latin() -> None:
    first = "検索エンジンには広く使われている公開のもの、日本語の解析には辞書によるものを採用し、構成は"
    assert clean(f"{first}\nOpenSearch とする。") == f"{first}OpenSearch とする。"


@pytest.mark.parametrize(
    "following",
    [
        "１．目的と範囲",
        "2) 対象となる文書",
        "・対象となる文書の一覧",
        "第十二条 使用者は届け出る",
        "(3) そのほかの事項",
        "　字下げで始まる新しい段落の文",
        "①一つめの事項",
    ],
)
def test_headings_lists_and_new_paragraphs_stay_apart(following: str) -> None:
    line = "前各号に掲げるもののほか、当該事業場の労働者のすべてに適用される定めの事項"
    assert clean(f"{line}\n{following}").split("\n") == [line, following]


def test_table_rows_and_short_lines_stay_apart() -> None:
    rows = [
        "品名 数量 単位 備考欄",
        "作業用手袋 二十 双 至急でお願いします",
        "防塵マスク 三十 枚 次回の便でよい",
    ]
    address = ["株式会社みどり商会 御中", "総務部 施設係", "東京都中央区一丁目"]
    gaps = ["棚卸作業の短縮と在庫の削減  必須の要件", "在庫回転率を上げるための仕組み  任意の要件"]
    for lines in (rows, address, gaps):
        assert clean("\n".join(lines)).split("\n") == lines


def test_lines_of_another_column_width_do_not_hide_a_wrapped_paragraph() -> None:
    title = (
        "全社の在庫管理を見直すにあたり各部門から集めた意見と、それを踏まえた今後の進め方についての報告書。"
    )
    body = [
        "倉庫での棚卸に三日かかっている現状を改め、毎",
        "週の循環棚卸へ移すことで、決算期の負担を減ら",
        "す。",
    ]
    assert "".join(body) in clean("\n".join([title, *["\n"], *body]))


def test_spaces() -> None:
    assert clean("情 報 シス テム、 部  長 AWS の 設定", ocr=True) == "情報システム、部  長 AWS の設定"
    assert clean("氏 名\t山田\u00a0太郎     様") == "氏 名 山田 太郎  様"
    assert clean("がき\r\n\r\n\r\n\r\nくけ  \n") == "がき\n\nくけ"


def test_a_hyphen_at_the_end_of_a_line() -> None:
    assert clean("an exam\x02\r\nple of exam\ufffe\nples") == "an example of examples"


def test_titles() -> None:
    assert clean_line(" 議事録\r\n 第3回\x00 ") == "議事録 第3回"
    assert clean_line("\x00\n") is None


def test_lines_from_a_picture_are_added_once() -> None:
    layer = "図1 売上の推移\n本文はここにある。"
    lines = [("図 1 売上の推移", 95.0), ("２０２６年度", 90.0), ("｜ー", 20.0), ("-", 99.0), ("", 99.0)]
    assert merge_ocr(layer, lines) == "図1 売上の推移\n本文はここにある。\n\n２０２６年度"
    assert merge_ocr(layer, [("本文はここにある", 99.0)]) == layer


def test_a_page_is_known_again_whatever_read_it() -> None:
    page = "設備点検の結果 12 件\n".join(WRAPPED)
    assert says_the_same(page, "\r\n".join(reversed(page.split("\n"))) + "\f")
    assert not says_the_same(page, page.replace("12", "19"))
    assert not says_the_same("", "")
