"""The form of the sample: a PDF whose answers stand in AcroForm fields, not in the page's content."""

from io import BytesIO

import pikepdf
from pikepdf import Array, Dictionary, Name, String
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

FIELD_LEFT, FIELD_WIDTH, FIELD_HEIGHT = 70 * mm, 110 * mm, 9 * mm
FIELDS = (
    ("department", "所属部署", "製造部 第二課"),
    ("period", "休暇期間", "2026年8月10日から8月14日まで"),
    ("kind", "休暇の種類", "夏季特別休暇"),
    ("reason", "理由", "家族旅行のため"),
    ("contact", "緊急連絡先", "内線 0000"),
)


def leave_request() -> bytes:
    """休暇申請書 with five text fields, each with a value and its appearance."""
    with pikepdf.open(BytesIO(_printed())) as pdf:
        form, drawings = pdf.pages[0], pdf.pages[1].Resources.XObject
        widgets = [
            pdf.make_indirect(_field(form, name, value, row, drawings[f"/FormXob.{name}"]))
            for row, (name, _, value) in enumerate(FIELDS)
        ]
        form.Annots = Array(widgets)
        pdf.Root.AcroForm = Dictionary(
            Fields=Array(widgets), DA=String("/Helv 11 Tf 0 g"), DR=Dictionary(Font=_helvetica(pdf))
        )
        del pdf.pages[1]
        out = BytesIO()
        pdf.save(out, deterministic_id=True)
    return out.getvalue()


def _printed() -> bytes:
    """Page 1 is the empty form; page 2 only carries the drawn values, as form XObjects, to be moved."""
    out = BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1)
    canvas.setTitle("休暇申請書")
    canvas.setFont("Gothic", 20)
    canvas.drawCentredString(A4[0] / 2, A4[1] - 35 * mm, "休暇申請書")
    canvas.setFont("Mincho", 11)
    canvas.drawString(
        25 * mm, A4[1] - 50 * mm, "休暇を取得するときは、開始日の一週間前までに所属長へ提出してください。"
    )
    for row, (_, label, _) in enumerate(FIELDS):
        canvas.setFont("Gothic", 11)
        canvas.drawString(25 * mm, _bottom(row) + 3 * mm, label)
        canvas.rect(FIELD_LEFT, _bottom(row), FIELD_WIDTH, FIELD_HEIGHT)
    canvas.setFont("Mincho", 11)
    canvas.drawString(25 * mm, _bottom(6), "承認後、この用紙は人事課で三年間保管します。")
    canvas.showPage()
    for name, _, value in FIELDS:
        canvas.beginForm(name, 0, 0, FIELD_WIDTH, FIELD_HEIGHT)
        canvas.setFont("Gothic", 11)
        canvas.drawString(2 * mm, 3 * mm, value)
        canvas.endForm()
        canvas.doForm(name)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def _bottom(row: int) -> float:
    return float(A4[1] - (75 + 14 * row) * mm)


def _field(page: pikepdf.Page, name: str, value: str, row: int, drawing: pikepdf.Object) -> Dictionary:
    bottom = _bottom(row)
    return Dictionary(
        Type=Name.Annot,
        Subtype=Name.Widget,
        FT=Name.Tx,
        T=String(name),
        V=String(value),
        DA=String("/Helv 11 Tf 0 g"),
        F=4,  # printed (ISO 32000-1, table 165)
        P=page.obj,
        Rect=Array(
            [round(x, 2) for x in (FIELD_LEFT, bottom, FIELD_LEFT + FIELD_WIDTH, bottom + FIELD_HEIGHT)]
        ),
        AP=Dictionary(N=drawing),
    )


def _helvetica(pdf: pikepdf.Pdf) -> Dictionary:
    font = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
    return Dictionary(Helv=pdf.make_indirect(font))
