"""Look-alikes are mapped back where their neighbours prove it, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchjob.ocr.lookalikes import restore


@pytest.mark.parametrize(
    ("read", "meant"),
    [
        ("粹を拔く靑い", "粋を抜く青い"),
        ("カ夕ログの才プション", "カタログのオプション"),
        ("プリン夕", "プリンタ"),
        ("力メラと口ゴ", "カメラとロゴ"),
        ("カラ一100枚", "カラー100枚"),
        ("ユ二ット", "ユニット"),
        ("株式会社才才夕製作所のポンプ", "株式会社オオタ製作所のポンプ"),
        ("デ100-0005 東京都にて", "〒100-0005 東京都にて"),
        ("情報システム部へルプデスク", "情報システム部ヘルプデスク"),
        ("栖包材の不足", "梱包材の不足"),
        ("予算·契約について", "予算・契約について"),
        ("14:00~15:30の会議", "14:00〜15:30の会議"),
    ],
)
def test_what_was_meant(read: str, meant: str) -> None:
    assert restore(read) == meant


@pytest.mark.parametrize(
    "text",
    [
        "コード一覧を見る",
        "サーバー二台とモーター八個",
        "人力モーターと能力テスト",
        "本社へメールを送る",
        "入口のドアは十二時に開く",
        "夕方の会議、才能、工場、千葉のオフィス",
        "データ 100件",
        "会议报告 设计单",  # Chinese
        "ls ~/src a·b",
    ],
)
def test_what_proves_nothing_stays(text: str) -> None:
    assert restore(text) == text


@given(st.text("才夕力口卜工二一千八オタカロあ部1 ~へルプー", max_size=30))
def test_length_stays_and_a_second_pass_of_a_result_adds_no_line(text: str) -> None:
    found = restore(text)
    assert len(found) == len(text)
    assert restore(text + "\n") == found + "\n"
