"""First step of every sample document: fonts, styles, and a printed PDF of the same bytes on every run."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from reportlab import rl_config
from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER, TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

FONT_FILES = {
    "Gothic": Path("/usr/share/fonts/opentype/ipaexfont-gothic/ipaexg.ttf"),
    "Mincho": Path("/usr/share/fonts/opentype/ipaexfont-mincho/ipaexm.ttf"),
}
MARGIN = 22 * mm
SEPARATORS = str.maketrans("", "", ",.")


def register_fonts() -> None:
    """Makes "Gothic" and "Mincho" known to reportlab, and PDF streams binary instead of ASCII85."""
    for name, path in FONT_FILES.items():
        if not path.is_file():
            raise SystemExit(f"{path} is missing: install the Debian package fonts-ipaexfont")
        pdfmetrics.registerFont(TTFont(name, str(path)))
    rl_config.useA85 = 0


def body(japanese: bool, size: float = 11) -> ParagraphStyle:
    """Running text; Japanese may break between any two characters."""
    return ParagraphStyle(
        "body",
        fontName="Mincho" if japanese else "Times-Roman",
        fontSize=size,
        leading=size * 1.6 if japanese else size * 1.35,
        spaceAfter=size * 0.7,
        wordWrap="CJK" if japanese else None,
    )


def title(text: str, japanese: bool = True, size: float = 18) -> Paragraph:
    """The centred head line of a paper."""
    font = "Gothic" if japanese else "Helvetica-Bold"
    style = ParagraphStyle(
        "title", fontName=font, fontSize=size, leading=size * 1.5, alignment=TA_CENTER, spaceAfter=14
    )
    return Paragraph(text, style)


def heading(text: str, japanese: bool = True) -> Paragraph:
    """The head line of a section."""
    font = "Gothic" if japanese else "Helvetica-Bold"
    style = ParagraphStyle("heading", fontName=font, fontSize=12.5, leading=18, spaceBefore=8, spaceAfter=4)
    return Paragraph(text, style)


def right(text: str, japanese: bool = True) -> Paragraph:
    """A line at the right margin: date, number, sender."""
    style = body(japanese)
    style.alignment = TA_RIGHT
    style.spaceAfter = 2
    return Paragraph(text, style)


def paragraphs(texts: Sequence[str], japanese: bool = True, size: float = 11) -> list[Flowable]:
    """One paragraph a string."""
    style = body(japanese, size)
    return [Paragraph(text, style) for text in texts]


def gap(height_mm: float = 4) -> Spacer:
    """White space of that many millimetres."""
    return Spacer(1, height_mm * mm)


def ruled_table(
    rows: Sequence[Sequence[str]], widths_mm: Sequence[float], japanese: bool = True, size: float = 10.5
) -> Table:
    """A table with a rule round every cell and a grey head row; digits stand at the right."""
    font = "Gothic" if japanese else "Helvetica"
    table = Table([list(row) for row in rows], colWidths=[width * mm for width in widths_mm])
    commands: list[tuple[object, ...]] = [
        ("FONT", (0, 0), (-1, -1), font, size),
        ("GRID", (0, 0), (-1, -1), 0.6, colors.black),
        ("BACKGROUND", (0, 0), (-1, 0), colors.Color(0.9, 0.9, 0.9)),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("TOPPADDING", (0, 0), (-1, -1), 5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
    ]
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            if cell and cell.lstrip("-").translate(SEPARATORS).isdigit():
                commands.append(("ALIGN", (x, y), (x, y), "RIGHT"))
    table.setStyle(TableStyle(commands))
    return table


def print_pdf(
    story: Sequence[Flowable],
    document_title: str,
    author: str = "見本商事株式会社",
    columns: int = 1,
    encrypt: object | None = None,
) -> bytes:
    """Lays the story out on A4 in one or more columns and returns the PDF file.

    `encrypt` is reportlab's: an encryption object of `reportlab.lib.pdfencrypt`.
    """
    out = BytesIO()
    document = BaseDocTemplate(
        out, pagesize=A4, title=document_title, author=author, invariant=1, encrypt=encrypt
    )
    gutter = 8 * mm
    width = (A4[0] - 2 * MARGIN - gutter * (columns - 1)) / columns
    frames = [
        Frame(MARGIN + i * (width + gutter), MARGIN, width, A4[1] - 2 * MARGIN, 0, 0, 0, 0)
        for i in range(columns)
    ]
    document.addPageTemplates([PageTemplate(id="page", frames=frames)])
    document.build(list(story))
    return out.getvalue()
