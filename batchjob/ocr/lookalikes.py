"""Maps characters that the recogniser takes for their look-alikes back, where the neighbours prove it."""

import re

_KANA = re.compile("[ぁ-ゖァ-ヺ]")
_OLDER_FORMS = str.maketrans("鄕郞黑靑淸賴瀨悅惠拔粹", "郷郎黒青清頼瀬悦恵抜粋")
"""Forms that the recogniser's alphabet keeps for names; in print they are nearly always the newer ones misread."""
_KATAKANA = str.maketrans("才夕力口卜工二一千八", "オタカロトエニーチハ")
_AMBIGUOUS = "才夕力口卜工二一千八"
_NO_NUMERALS = "才夕力口卜工"
_KATA = "ァ-ヺー"
_RULES: tuple[tuple[re.Pattern[str], str | None], ...] = (
    # Between katakana; or after them, with no ideograph or hiragana to follow ("カラー" and "コード一覧").
    (re.compile(f"(?<=[{_KATA}])[{_AMBIGUOUS}]+(?=[{_KATA}])"), None),
    (re.compile(f"(?<=[{_KATA}])[{_AMBIGUOUS}]+(?![一-龠々ぁ-ゖ])"), None),
    # Before katakana, where no ideograph stands before it: "力メラ", not "人力モーター".
    (re.compile(f"(?<![一-龠々0-9０-９])[{_NO_NUMERALS}]+(?=[{_KATA}])"), None),
    # Three in a row make no word of ideographs.
    (re.compile(f"[{_NO_NUMERALS}]{{3,}}"), None),
    (re.compile("(?<![ァ-ヺー])デ(?=[0-9]{3}[-‐－ー][0-9]{4})"), "〒"),
    # No word begins with a small ッ or with these, so that this is no particle before a word.
    (re.compile("へ(?=ッ[ァ-ヺ]|ルプ|ルメット|リコプ|クタール)"), "ヘ"),
    (re.compile("[栖捆](?=包)"), "梱"),
    (re.compile("(?<=[ぁ-ヺー一-龠])·(?=[ぁ-ヺー一-龠])"), "・"),
    (re.compile("(?<=[0-9ぁ-ヺー一-龠年月日時分])[~～](?=[0-9ぁ-ヺー一-龠 ]|$)"), "〜"),
)


def restore(text: str) -> str:
    """A page's text; one without kana is not Japanese and stays as it is."""
    if not _KANA.search(text):
        return text
    text = text.translate(_OLDER_FORMS)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement or (lambda found: found[0].translate(_KATAKANA)), text)
    return text
