"""Maps characters that the recogniser takes for their look-alikes back, where the neighbours prove it."""

import re

_KANA = re.compile("[ぁ-ゖァ-ヺ]")
_OUTSIDE_JAPANESE = str.maketrans(
    "单惠报题议场录錄揭拔粹价设计务员证书质险费价导专业产应该说请认识译词语读费贸贵购财负责败货贷资赔门问间闻关阅队"
    "阶际陆陈险随难领频预题颜风飞饭馆驻验鱼鸟龙级约红纸细织终给统继续维编缩总线练组绍经结绝网罗义习书买乱亚从仓众优传伤",
    "単恵報題議場録録掲抜粋価設計務員証書質険費価導専業産応該説請認識訳詞語読費貿貴購財負責敗貨貸資賠門問間聞関閲隊"
    "階際陸陳険随難領頻預題顔風飛飯館駐験魚鳥竜級約紅紙細織終給統継続維編縮総線練組紹経結絶網羅義習書買乱亜従倉衆優伝傷",
)
"""Forms that Chinese has and today's Japanese does not, to the forms that Japanese has."""
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
    (re.compile("(?<=[ぁ-ヺー一-龠])·(?=[ぁ-ヺー一-龠])"), "・"),
    (re.compile("(?<=[0-9ぁ-ヺー一-龠年月日時分])[~～](?=[0-9ぁ-ヺー一-龠 ]|$)"), "〜"),
)


def restore(text: str) -> str:
    """A page's text; one without kana is not Japanese and stays as it is."""
    if not _KANA.search(text):
        return text
    text = text.translate(_OUTSIDE_JAPANESE)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement or (lambda found: found[0].translate(_KATAKANA)), text)
    return text
