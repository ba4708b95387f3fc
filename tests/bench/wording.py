"""Random sentences of fictitious offices, Japanese and English: text that no engine has seen and everyone knows."""

from random import Random

_WHO = (
    "品質管理部", "経理部", "情報システム部", "物流センター", "製造第二課", "設計担当者", "委託先", "監査室",
    "見本商事株式会社", "架空精機株式会社", "購買責任者", "総務課長", "現場監督", "保全班",
)  # fmt: skip
_WHAT = (
    "検査成績書", "契約更新の申請書", "月次の在庫報告", "出荷前点検の記録", "請求書の控え", "設備の保全計画",
    "部品表の改訂案", "輸送中の損傷報告", "図面の最新版", "安全衛生委員会の議事録", "見積書", "棚卸差異の一覧",
    "研修の受講履歴", "廃棄物の管理票",
)  # fmt: skip
_WHEN = (
    "緊急の場合を除き", "前年度の実績に基づき", "担当役員の指示により", "毎月末までに", "納入後七日以内に",
    "変更があったときは", "必要に応じて", "取引先の求めに応じ", "年二回の定期点検に合わせて",
)  # fmt: skip
_DOES = (
    "提出しなければならない", "確認したうえで承認する", "電子的に保管する", "関係部門へ通知する", "再度作成する",
    "五年間保存するものとする", "速やかに是正する", "所定の様式に記入する", "複写して配布する",
)  # fmt: skip
_HEADS = (
    "目的",
    "適用範囲",
    "手続き",
    "記録の保存",
    "責任と権限",
    "教育訓練",
    "例外の扱い",
    "改廃",
    "費用の負担",
)
_GOODS = (
    "圧力センサー", "電磁弁", "六角ボルト", "減速機", "制御盤", "樹脂パッキン", "搬送ローラー", "冷却ファン",
    "温度計", "端子台", "安全カバー", "潤滑油", "光電スイッチ", "配線ダクト",
)  # fmt: skip
_EN_WHO = (
    "The maintenance team", "Each supplier", "The warehouse manager", "Our auditor", "The project office",
    "Example Pump Works", "The site engineer", "A certified electrician", "The customer",
)  # fmt: skip
_EN_DOES = (
    "shall inspect", "has to replace", "will document", "must not modify", "records", "approves in writing",
    "returns", "should calibrate", "may reject",
)  # fmt: skip
_EN_WHAT = (
    "the pressure relief valve", "every delivery note", "the spare parts inventory", "the signed agreement",
    "all test certificates", "the emergency shutdown procedure", "the quarterly budget", "the gearbox housing",
    "any damaged packaging", "the shipping schedule",
)  # fmt: skip
_EN_WHEN = (
    "before the line is started", "within ten working days", "unless agreed otherwise", "at the end of each shift",
    "after the annual review", "whenever a fault is reported", "as soon as the goods have arrived",
)  # fmt: skip
_EN_HEADS = (
    "Scope",
    "Responsibilities",
    "Before you start",
    "Procedure",
    "Records",
    "Warranty",
    "Termination",
)


def sentence(random: Random) -> str:
    who, what, when, does = (random.choice(words) for words in (_WHO, _WHAT, _WHEN, _DOES))
    return random.choice(
        (
            f"{who}は、{when}、{what}を{does}。",
            f"第{random.randint(2, 40)}条に定める{what}については、{who}の承認を得て{does}。",
            f"{what}は{random.randint(3, 980)}件で、前月より{random.randint(1, 48)}パーセント増えた。",
            f"{when}、{who}が{what}を扱う場合の上限は{random.randint(3, 999) * 1000:,}円とする。",
        )
    )


def english_sentence(random: Random) -> str:
    who, does, what, when = (random.choice(words) for words in (_EN_WHO, _EN_DOES, _EN_WHAT, _EN_WHEN))
    return random.choice(
        (
            f"{who} {does} {what} {when}.",
            f"{who} {does} {what} and {random.choice(_EN_WHAT)} {when}.",
            f"The limit for {what} is {random.randint(2, 950)} units ({random.randint(3, 99)}%) {when}.",
        )
    )


def sentences(random: Random, count: int, japanese: bool = True) -> str:
    if japanese:
        return "".join(sentence(random) for _ in range(count))
    return " ".join(english_sentence(random) for _ in range(count))


def head(random: Random, number: int, japanese: bool = True) -> str:
    return f"第{number}条({random.choice(_HEADS)})" if japanese else f"{number}. {random.choice(_EN_HEADS)}"


def item(random: Random) -> str:
    return f"{random.choice(_GOODS)} {random.choice('ABCDHKPS')}{random.choice('LMRTX')}-{random.randint(10, 999)}"


def company(random: Random) -> str:
    return random.choice(("見本商事株式会社", "架空精機株式会社", "例示物流株式会社", "仮名電子工業株式会社"))


def date(random: Random) -> str:
    return f"{random.randint(2019, 2026)}年{random.randint(1, 12)}月{random.randint(1, 28)}日"
