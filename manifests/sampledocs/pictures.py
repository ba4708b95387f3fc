"""The sample documents whose text is (partly) in pictures, so that it can only be read by OCR."""

import re
from io import BytesIO

import pikepdf
from reportlab.platypus import PageBreak

from sampledocs import camera
from sampledocs.drawn import screenshot, vertical_page
from sampledocs.paper import gap, heading, paragraphs, print_pdf, right, ruled_table, title


def inspection_report() -> bytes:
    """受入検査報告書: two scanned pages."""
    results = [
        ["測定項目", "規格値", "実測値", "判定"],
        ["外径", "25.0", "25.1", "合格"],
        ["全長", "120.0", "119.8", "合格"],
        ["表面硬度", "58", "60", "合格"],
    ]
    story = [
        title("受入検査報告書"),
        right("2026年3月18日 品質保証課"),
        *paragraphs(
            [
                "架空精機株式会社から納入された軸受部品について、受入検査を実施した。抜き取り数は五十個である。",
                "外観に傷や錆は認められず、寸法はすべて規格の範囲に収まっていた。",
            ],
            size=13,
        ),
        gap(4),
        ruled_table(results, [45, 35, 35, 35], size=13),
        PageBreak(),
        heading("考察と今後の対応"),
        *paragraphs(
            [
                "前回の検査で指摘した梱包材の不足は改善されている。輸送中の振動による変形は見られなかった。",
                "次回の納入から検査水準を緩和し、抜き取り数を二十個とする。測定器の校正期限は六月末であるため、五月中に校正を依頼する。",
            ],
            size=13,
        ),
    ]
    printed = print_pdf(story, "受入検査報告書")
    pages = [
        camera.scan(camera.render(printed, 0), seed=1, skew_degrees=0.4),
        camera.scan(camera.render(printed, 1), seed=2, skew_degrees=-0.3),
    ]
    return camera.scanned_pdf(pages, "受入検査報告書")


def nonconformity_report() -> bytes:
    """不適合報告書: a text page, then a scanned page of handled paper."""
    story = [
        title("不適合報告書"),
        right("報告番号 NC-2026-009"),
        *paragraphs(
            [
                "組立工程において、締付トルクが規定値を下回る製品が三台見つかった。該当製品はすでに隔離し、出荷は行われていない。",
                "原因は、電動ドライバーの設定値が段取り替えの際に戻されなかったことである。詳しい調査結果は次ページの写しに示す。",
            ]
        ),
    ]
    attachment = [
        title("原因調査の記録"),
        *paragraphs(
            [
                "作業者への聞き取りの結果、設定値の確認欄が点検表に無いことが分かった。",
                "再発防止策として、始業前点検に設定値の確認を加え、班長が毎日署名する。",
                "対策の効果は一か月後に確認する。",
            ],
            size=13,
        ),
    ]
    first = print_pdf(story, "不適合報告書")
    copy = camera.scan(camera.render(print_pdf(attachment, "原因調査の記録")), seed=3)
    scanned = camera.scanned_pdf([copy], "原因調査の記録")
    with pikepdf.open(BytesIO(first)) as pdf, pikepdf.open(BytesIO(scanned)) as other:
        pdf.pages.extend(other.pages)
        return _saved(pdf)


def garbled_delivery_note() -> bytes:
    """納品書 that looks right, while its text layer decodes to private-use characters (U+E000 and up)."""
    story = [
        title("納品書"),
        right("納品番号 D-2026-0331"),
        *paragraphs(
            [
                "架空精機株式会社 資材課 御中",
                "ご注文いただいた下記の商品を納品いたします。内容をご確認のうえ、受領書にご捺印ください。",
            ],
            size=13,
        ),
        ruled_table(
            [
                ["商品名", "数量", "備考"],
                ["作業用手袋", "200", "滑り止め加工"],
                ["防塵マスク", "150", "使い捨て"],
                ["安全靴", "12", "寸法別に梱包"],
            ],
            [60, 30, 60],
            size=13,
        ),
    ]
    with pikepdf.open(BytesIO(print_pdf(story, "納品書"))) as pdf:
        for item in pdf.objects:
            if isinstance(item, pikepdf.Dictionary) and "/ToUnicode" in item:
                item.ToUnicode.write(_to_private_use(item.ToUnicode.read_bytes()))
        return _saved(pdf)


def _to_private_use(cmap: bytes) -> bytes:
    """The same character map with U+E000 + n in the place of its n-th target."""
    counter = iter(range(0xE000, 0xF8FF))
    return re.sub(rb"(?<=> )<[0-9A-Fa-f]{4}>(?=\s)", lambda _: b"<%04X>" % next(counter), cmap)


def _saved(pdf: pikepdf.Pdf) -> bytes:
    out = BytesIO()
    pdf.save(out, deterministic_id=True)
    return out.getvalue()


def drill_notice() -> bytes:
    """避難訓練のお知らせ: a photograph of a notice, stored on its side with an EXIF orientation."""
    story = [
        title("避難訓練のお知らせ", size=24),
        *paragraphs(
            [
                "九月一日の午前十時から、全館で避難訓練を行います。",
                "非常ベルが鳴ったら作業を中止し、係員の誘導に従って正面駐車場へ集合してください。",
                "エレベーターは使用できません。雨天の場合は翌日に延期します。",
            ],
            size=17,
        ),
        right("総務部 防災担当"),
    ]
    photo = camera.photograph(camera.render(print_pdf(story, "避難訓練のお知らせ")), seed=4)
    return camera.jpeg(photo, turned=True)


def build_status() -> bytes:
    """A screenshot of a monitoring page in two languages."""
    image = screenshot(
        "Batch monitor - 夜間処理の状況",
        [
            ["Job", "Started", "Status"],
            ["daily backup", "2026-05-07 01:00", "completed"],
            ["stock import", "2026-05-07 02:30", "completed"],
            ["label printing", "2026-05-07 03:15", "waiting"],
            ["price update", "2026-05-07 04:00", "failed"],
        ],
        [
            "The price update stopped because the disk quota was exceeded.",
            "担当者は空き容量を確認してください。",
        ],
    )
    return camera.png(image)


def faxed_order() -> bytes:
    """注文書: a fax of two pages."""
    story = [
        title("注文書"),
        right("2026年5月20日"),
        *paragraphs(
            ["見本商事株式会社 営業部 御中", "次の商品を注文いたします。納入先は当社第二倉庫です。"], size=14
        ),
        ruled_table(
            [["品名", "数量", "希望納期"], ["段ボール箱", "500", "6月1日"], ["緩衝材", "80", "6月1日"]],
            [60, 35, 45],
            size=14,
        ),
        PageBreak(),
        heading("注文条件"),
        *paragraphs(
            [
                "納入は平日の午前九時から午後四時までにお願いします。",
                "検収後、月末締め翌月末払いとします。不良品は無償で交換してください。",
                "本注文に関するお問い合わせは購買課までご連絡ください。",
            ],
            size=14,
        ),
    ]
    printed = print_pdf(story, "注文書")
    return camera.tiff_g4([camera.fax(camera.render(printed, page)) for page in (0, 1)])


def upside_down_minutes() -> bytes:
    """安全衛生委員会 議事録: scanned upside down."""
    story = [
        title("安全衛生委員会 議事録"),
        *paragraphs(
            [
                "日時 2026年2月10日 午後三時から 場所 第一会議室",
                "一月の労働災害は発生しなかった。ヒヤリハットの報告は七件あり、通路の段差に関するものが最も多かった。",
                "巡視の結果、消火器の前に台車が置かれていたため、置き場所を変更した。",
                "換気設備の点検を三月に実施する。騒音の測定結果は次回の委員会で報告する。",
                "次回は三月十日に開催し、熱中症対策の計画を審議する。",
            ],
            size=14,
        ),
    ]
    page = camera.scan(camera.render(print_pdf(story, "議事録")), seed=5, skew_degrees=0.2)
    return camera.scanned_pdf([page.rotate(180)], "scan0007")


def company_history() -> bytes:
    """社史の一頁: vertical writing, scanned."""
    page = vertical_page(
        "創業のころ",
        [
            "当社は小さな町工場から始まりました。創業者は自宅の納屋に旋盤を一台置き、近所の農家から頼まれた農機具の修理を引き受けていました。",
            "やがて評判が広まり、ポンプやモーターの部品を作るようになります。十年後には社員が三十名を超え、川沿いの土地に新しい工場を建てました。",
            "洪水で機械が水につかった年もありました。それでも全員で泥をかき出し、一か月で生産を再開したと伝えられています。",
        ],
    )
    return camera.png(camera.fax(camera.scan(page, seed=9, skew_degrees=0.2)))


def letter() -> bytes:
    """A business letter in English that exists only as a picture."""
    story = [
        *paragraphs(["Example Valve Works Ltd.", "14 Imaginary Lane, Sample City"], japanese=False, size=13),
        right("9 March 2026", japanese=False),
        gap(8),
        *paragraphs(
            [
                "Dear customer,",
                (
                    "Thank you for your letter of 27 February about the leaking butterfly valve. We "
                    "have examined the returned part in our laboratory and found a casting defect "
                    "near the lower bearing."
                ),
                (
                    "We will replace the valve free of charge. The replacement leaves our factory on "
                    "16 March and should reach you within five working days. Please keep the "
                    "defective seat ring until our engineer has visited your plant."
                ),
                "We apologise for the inconvenience.",
                "Yours faithfully,",
                "Customer Service",
            ],
            japanese=False,
            size=14,
        ),
    ]
    page = camera.render(print_pdf(story, "Letter", author="Example Valve Works Ltd."))
    return camera.jpeg(camera.scan(page, seed=6, skew_degrees=-0.2))


def stamped_receipt() -> bytes:
    """領収書: a scan with a short typed stamp over it, so the page has a text layer but not its text."""
    story = [
        title("領収書"),
        *paragraphs(
            [
                "架空精機株式会社 御中",
                "金額 四万八千円",
                "会議室の使用料として、上記の金額を正に領収いたしました。",
                "この領収書の再発行はできませんので、大切に保管してください。",
                "みほん市民会館 管理事務所",
            ],
            size=15,
        ),
    ]
    page = camera.scan(camera.render(print_pdf(story, "領収書")), seed=7)
    return camera.scanned_pdf([page], "領収書", stamp="経理部 2026-04-03 受付")


def searchable_contract() -> bytes:
    """A scan that went through OCR before: its invisible text is right and needs no second reading."""
    lines = [
        "Maintenance Contract",
        "This contract covers the annual maintenance of two elevators",
        "in the head office of Sample Trading Co. The contractor visits",
        "the site four times a year and answers an emergency call within",
        "ninety minutes. Spare parts are charged at list price.",
        "The notice period is three months to the end of a quarter.",
    ]
    story = [title(lines[0], japanese=False), *paragraphs([" ".join(lines[1:])], japanese=False, size=14)]
    page = camera.scan(camera.render(print_pdf(story, lines[0])), seed=8, skew_degrees=0.1)
    return camera.scanned_pdf([page], "Maintenance Contract", hidden_text=lines)
