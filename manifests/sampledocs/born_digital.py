"""The born-digital papers of the sample: PDF files whose text layer says what the page shows."""

from io import BytesIO

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import FrameBreak, PageBreak

from sampledocs.paper import gap, heading, paragraphs, print_pdf, right, ruled_table, title


def invoice() -> bytes:
    """請求書: a ruled table with sums."""
    items = [
        ["品名", "数量", "単価(円)", "金額(円)"],
        ["定期保守点検 4月分", "1", "180,000", "180,000"],
        ["圧力センサー PS-204 交換", "3", "24,500", "73,500"],
        ["電磁弁パッキン一式", "12", "1,200", "14,400"],
        ["出張費(架空市工場)", "1", "18,000", "18,000"],
        ["小計", "", "", "285,900"],
        ["消費税 10%", "", "", "28,590"],
        ["合計", "", "", "314,490"],
    ]
    story = [
        title("請求書"),
        right("請求番号 INV-2026-0417"),
        right("発行日 2026年4月30日"),
        *paragraphs(["架空精機株式会社 経理部 御中", "下記のとおりご請求申し上げます。"]),
        right("見本商事株式会社"),
        right("架空県見本市中央一丁目2番3号"),
        gap(6),
        ruled_table(items, [74, 22, 32, 36]),
        gap(6),
        *paragraphs(
            [
                "お支払期限は2026年5月31日です。振込手数料は貴社にてご負担をお願いいたします。",
                "振込先 みほん銀行 本店営業部 普通預金 0000000",
            ]
        ),
    ]
    return print_pdf(story, "請求書 2026-04")


def travel_rules() -> bytes:
    """出張旅費規程: one column of running Japanese text."""
    articles = [
        (
            "第1条(目的)",
            "この規程は、社員が業務のために出張する場合の旅費の支給基準と手続きを定め、経費の適正な支出を図ることを目的とする。",
        ),
        (
            "第2条(出張の申請)",
            "出張を行う者は、出発の三営業日前までに出張申請書を所属長へ提出し、承認を受けなければならない。緊急の場合は口頭で承認を受け、帰社後速やかに書面を提出する。",
        ),
        (
            "第3条(交通費)",
            "交通費は、最も経済的かつ合理的な経路により計算した実費を支給する。新幹線は普通車指定席を原則とし、片道百キロメートル未満の区間では自由席とする。",
        ),
        (
            "第4条(日当および宿泊料)",
            "国内出張の日当は一日につき二千五百円、宿泊料は一泊一万二千円を上限とする実費とする。深夜に及ぶ移動については管理部長が別に定める。",
        ),
        (
            "第5条(精算)",
            "出張者は帰社後七日以内に旅費精算書と領収書を経理部へ提出し、仮払金の過不足を精算する。",
        ),
    ]
    story = [title("出張旅費規程"), right("2026年4月1日 改定")]
    for head, text in articles:
        story += [heading(head), *paragraphs([text])]
    return print_pdf(story, "出張旅費規程", author="見本商事株式会社 総務部")


def safety_instructions() -> bytes:
    """Safety instructions: one column of running English text."""
    story = [
        title("Safety Instructions: Coolant Pump CP-40", japanese=False),
        right("Document SI-0040, revision C, 2 March 2026", japanese=False),
        heading("1. Before you start", japanese=False),
        *paragraphs(
            [
                (
                    "Isolate the pump from the mains and attach a lockout tag to the main switch. "
                    "Wait five minutes until the pressure gauge shows zero. Never open the housing "
                    "while the shaft is turning."
                ),
                (
                    "Wear safety goggles, cut-resistant gloves and closed shoes. Coolant on the floor "
                    "must be wiped up at once, because it makes the walkway slippery."
                ),
            ],
            japanese=False,
        ),
        heading("2. Changing the shaft seal", japanese=False),
        *paragraphs(
            [
                (
                    "Drain the coolant into a marked container. Loosen the four bolts crosswise, pull "
                    "the impeller and replace the shaft seal together with its spring. Tighten the "
                    "bolts to 24 newton metres."
                ),
            ],
            japanese=False,
        ),
        heading("3. After the work", japanese=False),
        *paragraphs(
            [
                (
                    "Bleed the air from the suction line, run the pump dry for no more than three "
                    "seconds and check for leaks. Record the date in the maintenance log and remove "
                    "the lockout tag."
                ),
            ],
            japanese=False,
        ),
    ]
    return print_pdf(story, "Safety Instructions: Coolant Pump CP-40", author="Example Pump Works Ltd.")


def newsletter() -> bytes:
    """社内報: two columns; reading them across would mix the sentences."""
    story = [
        heading("社内報みほん 第12号"),
        *paragraphs(
            [
                "新しい物流倉庫が完成しました。延べ床面積は従来の二倍となり、自動搬送台車十六台が棚と出荷口の間を走ります。",
                "稼働開始は五月十一日です。当面は日用品の出荷から始め、夏までに全品目を移管する計画です。",
                "見学会は毎週水曜日の午後に行います。参加を希望する方は、所属と人数を添えて物流部へ申し込んでください。",
            ]
        ),
        heading("省エネ活動の成果"),
        *paragraphs(
            ["昨年度の電力使用量は前年より八パーセント減りました。照明の交換と空調の時間管理が主な理由です。"]
        ),
        FrameBreak(),
        heading("健康診断のご案内"),
        *paragraphs(
            [
                "今年の定期健康診断は六月一日から十二日まで、本社三階の大会議室で実施します。受診票は各部門の庶務担当から配布します。",
                "前日の夜九時以降は食事を控え、当日は水以外の飲み物をとらないでください。",
            ]
        ),
        heading("社員食堂の新メニュー"),
        *paragraphs(
            [
                "利用者の声を受けて、野菜を多く使った日替わり定食を始めました。減塩みそ汁も選べます。",
                "混雑を避けるため、製造部は十一時半から、事務部門は十二時十五分からの利用にご協力ください。",
            ]
        ),
    ]
    return print_pdf(story, "社内報みほん 第12号", columns=2)


def requirements() -> bytes:
    """要件定義書: four pages, among them a table."""
    functions = [
        ["番号", "機能", "優先度"],
        ["F-01", "入庫時にバーコードを読み取り在庫へ反映する", "高"],
        ["F-02", "ロット番号から出荷先を追跡できる", "高"],
        ["F-03", "棚卸差異を一覧で表示し承認できる", "中"],
        ["F-04", "在庫が下限を下回ったとき担当者へ通知する", "中"],
        ["F-05", "月次の在庫回転率を帳票に出力する", "低"],
    ]
    story = [
        gap(60),
        title("要件定義書", size=26),
        title("在庫管理システム更新プロジェクト", size=15),
        gap(30),
        *paragraphs(
            [
                "文書番号 REQ-2026-03 第1.2版",
                "作成 見本商事株式会社 情報システム部",
                "本書は、老朽化した在庫管理システムの更新にあたり、利用部門と合意した要件を記す。",
            ]
        ),
        PageBreak(),
        heading("1. 背景と目的"),
        *paragraphs(
            [
                "現行システムは導入から十五年が経過し、部品の供給が終了している。また、倉庫ごとに在庫の単位が異なるため、全社の在庫を正しく把握できない。",
                "更新の目的は、在庫の可視化、棚卸作業の短縮、誤出荷の削減の三つである。棚卸に要する時間を半減させることを目標とする。",
            ]
        ),
        heading("2. 対象範囲"),
        *paragraphs(
            [
                "対象は国内三か所の倉庫とし、海外拠点は次の段階で検討する。会計システムとの連携は夜間の一括処理で行う。"
            ]
        ),
        PageBreak(),
        heading("3. 機能要件"),
        ruled_table(functions, [20, 114, 24]),
        gap(4),
        *paragraphs(["優先度が高い機能は第一期の稼働までに必ず実装する。"]),
        PageBreak(),
        heading("4. 非機能要件"),
        *paragraphs(
            [
                "画面の応答時間は、通常時に二秒以内、月末の繁忙期でも五秒以内とする。稼働率は年間九十九・五パーセント以上とする。",
                "バックアップは毎日取得し、目標復旧時間は四時間とする。操作の記録は七年間保存する。",
            ]
        ),
        heading("5. 移行計画"),
        *paragraphs(
            ["移行は八月の連休に実施し、並行稼働期間を二週間設ける。切り戻しの判断は情報システム部長が行う。"]
        ),
    ]
    return print_pdf(story, "要件定義書 在庫管理システム更新", author="見本商事株式会社 情報システム部")


def minutes() -> bytes:
    """Minutes of a meeting in English."""
    actions = [
        ["No.", "Action", "Owner", "Due"],
        ["1", "Send the revised test plan", "Test lead", "19 May"],
        ["2", "Order spare torque sensors", "Purchasing", "22 May"],
        ["3", "Update the risk register", "Project office", "26 May"],
    ]
    story = [
        title("Meeting Minutes: Conveyor Project", japanese=False),
        *paragraphs(
            [
                "Date: 12 May 2026, 10:00 to 11:15. Place: Room 4B and online.",
                "Present: project manager, test lead, mechanical engineer, purchasing, quality.",
            ],
            japanese=False,
        ),
        heading("Decisions", japanese=False),
        *paragraphs(
            [
                (
                    "The prototype passed the endurance test after 400 hours. The belt speed stays at "
                    "1.2 metres per second. The supplier of the gearbox will be changed because of "
                    "late deliveries."
                ),
                (
                    "The pilot installation at the Sample City plant is moved to the first week of "
                    "July. Training for operators takes place two days earlier."
                ),
            ],
            japanese=False,
        ),
        heading("Action items", japanese=False),
        ruled_table(actions, [14, 78, 38, 28], japanese=False),
    ]
    return print_pdf(story, "Meeting Minutes: Conveyor Project", author="Example Conveyor Ltd.")


def quotation() -> bytes:
    """御見積書: its file name holds Japanese, spaces, + and %."""
    items = [
        ["品名", "数量", "金額(円)"],
        ["A案 卓上測定器 本体", "2", "640,000"],
        ["B案 校正サービス 三年", "1", "210,000"],
        ["特別値引き 10%", "", "-85,000"],
        ["合計(税抜)", "", "765,000"],
    ]
    story = [
        title("御見積書"),
        right("見積番号 Q-2026-118"),
        right("有効期限 発行日より30日"),
        *paragraphs(
            [
                "架空精機株式会社 設備課 御中",
                "A案とB案を同時にご採用いただく場合、合計額から一割をお値引きいたします。納期は受注後四週間を予定しております。",
            ]
        ),
        ruled_table(items, [90, 26, 42]),
    ]
    return print_pdf(story, "御見積書 A+B")


def delivery_note() -> bytes:
    """A delivery note in English; the sample keeps this PDF under a name that ends in .tif."""
    items = [
        ["Item", "Description", "Qty"],
        ["10", "Stainless ball valve, DN 25", "40"],
        ["20", "Gasket kit, graphite", "40"],
        ["30", "Inspection certificate 3.1", "1"],
    ]
    story = [
        title("Delivery Note", japanese=False),
        right("No. DN-88213, 6 April 2026", japanese=False),
        *paragraphs(
            [
                "Deliver to: Sample Trading Co., Warehouse 2, Imaginary Harbour.",
                (
                    "Please check the goods on arrival and report any damage to the carrier within "
                    "two working days. The pallets remain our property and are collected with the "
                    "next shipment. The invoice follows by separate mail."
                ),
            ],
            japanese=False,
        ),
        ruled_table(items, [20, 104, 26], japanese=False),
    ]
    return print_pdf(story, "Delivery Note DN-88213", author="Example Valve Works Ltd.")


def blank() -> bytes:
    """One white page with nothing on it."""
    out = BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1)
    canvas.showPage()
    canvas.save()
    return out.getvalue()
