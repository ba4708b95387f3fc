"""Business papers of known text, printed to PDF; a seed gives the same papers again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from random import Random
from typing import NamedTuple

from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.units import mm
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    FrameBreak,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
)

from manifests.sampledocs import paper
from tests.bench import wording

A3_ACROSS = landscape((297 * mm, 420 * mm))
CARD = (91 * mm, 55 * mm)
RECEIPT = (80 * mm, 600 * mm)
_GUTTER = 8 * mm


@dataclass
class _Story:
    """What is printed, and the same as text."""

    random: Random
    flowables: list[Flowable] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    def title(self, text: str, japanese: bool = True, size: float = 18) -> None:
        self._add(text, paper.title(text, japanese, size))

    def heading(self, text: str, japanese: bool = True) -> None:
        self._add(text, paper.heading(text, japanese))

    def right(self, text: str) -> None:
        self._add(text, paper.right(text))

    def body(self, text: str, japanese: bool = True, size: float = 10.5) -> None:
        self._add(text, *paper.paragraphs([text], japanese, size))

    def table(self, rows: Sequence[Sequence[str]], widths_mm: Sequence[float], size: float = 10) -> None:
        self._add("\n".join(" ".join(row) for row in rows), paper.ruled_table(rows, widths_mm, size=size))

    def _add(self, text: str, *flowables: Flowable) -> None:
        self.text.append(text)
        self.flowables += flowables


def _rules(story: _Story) -> None:
    random = story.random
    story.title("業務管理規程")
    story.right(f"{wording.date(random)} 改定")
    for number in range(1, random.randint(7, 9)):
        story.heading(wording.head(random, number))
        story.body(wording.sentences(random, random.randint(2, 4)))


def _minutes(story: _Story) -> None:
    random = story.random
    story.title("定例会議 議事録")
    story.right(wording.date(random))
    story.body(f"出席 {wording.company(random)} 技術部、{wording.company(random)} 営業部")
    for number in range(1, random.randint(9, 12)):
        story.body(f"({number}) {wording.sentences(random, random.randint(1, 3))}")


def _invoice(story: _Story) -> None:
    random = story.random
    story.title("請求書")
    story.right(f"請求番号 INV-{random.randint(2020, 2026)}-{random.randint(1, 9999):04d}")
    story.right(f"発行日 {wording.date(random)}")
    story.body(f"{wording.company(random)} 経理部 御中")
    rows, total = [["品名", "数量", "単価(円)", "金額(円)"]], 0
    for _ in range(random.randint(6, 16)):
        count, price = random.randint(1, 60), random.randint(2, 900) * 100
        total += count * price
        rows.append([wording.item(random), str(count), f"{price:,}", f"{count * price:,}"])
    story.table([*rows, ["合計", "", "", f"{total:,}"]], (74, 22, 32, 36))
    story.body(wording.sentences(random, 2))


def _specification(story: _Story) -> None:
    random = story.random
    story.title("要件一覧表")
    story.body(wording.sentences(random, 2))
    rows = [["番号", "要件", "優先度", "担当"]]
    for number in range(1, random.randint(10, 18)):
        needs = f"{wording.item(random)}の{random.choice(('状態を記録', '数量を集計', '異常を通知'))}する"
        rows.append(
            [f"R-{number:02d}", needs, random.choice("高中低"), random.choice(("営業", "製造", "保全"))]
        )
    story.table(rows, (20, 92, 22, 26))


def _letter(story: _Story) -> None:
    story.title("Supply Agreement", japanese=False)
    for number in range(1, story.random.randint(5, 6)):
        story.heading(wording.head(story.random, number, japanese=False), japanese=False)
        story.body(
            wording.sentences(story.random, story.random.randint(3, 6), japanese=False), japanese=False
        )


def _newsletter(story: _Story, columns: int = 2) -> None:
    for column in range(columns):
        if column:
            story.flowables.append(FrameBreak())
        for _ in range(2):
            story.heading(f"{wording.company(story.random)} 社内報")
            for _ in range(3):
                story.body(wording.sentences(story.random, story.random.randint(2, 3)))


def _card(story: _Story) -> None:
    story.heading(wording.company(story.random))
    story.body(f"担当 {wording.item(story.random)}", size=9)


def _receipt(story: _Story) -> None:
    story.title("領収書", size=14)
    for _ in range(60):
        story.body(f"{wording.item(story.random)} {story.random.randint(1, 99) * 100:,}円", size=9)


class Kind(NamedTuple):
    """A sort of paper: its page, and what writes it."""

    write: Callable[[_Story], None]
    size: tuple[float, float] = A4
    columns: int = 1
    margin: float = 22 * mm


RULES, MINUTES, INVOICE, SPECIFICATION, LETTER = map(
    Kind, (_rules, _minutes, _invoice, _specification, _letter)
)
NEWSLETTER = Kind(_newsletter, columns=2)
OFFICE = (RULES, INVOICE, LETTER, SPECIFICATION, MINUTES)
"""The usual ones, one column on A4."""
SHAPES = (
    *OFFICE,
    NEWSLETTER,
    Kind(partial(_newsletter, columns=3), A3_ACROSS, columns=3),
    Kind(_specification, A3_ACROSS),
    Kind(_letter, landscape(A4)),
    Kind(_card, CARD, margin=6 * mm),
    Kind(_receipt, RECEIPT, margin=5 * mm),
)
"""Any size and form of page."""


class Printed(NamedTuple):
    """A PDF, and the text of each of its papers."""

    pdf: bytes
    texts: tuple[str, ...]


def print_papers(kinds: Sequence[Kind], seed: int) -> Printed:
    """One PDF of papers, each on a page of its own (or more, where its text does not fit)."""
    random = Random(seed)
    templates = {kind: _template(kind, str(number)) for number, kind in enumerate(dict.fromkeys(kinds))}
    out, story, texts = BytesIO(), [], []
    for kind in kinds:
        one = _Story(random)
        kind.write(one)
        if story:
            story += [NextPageTemplate(templates[kind].id), PageBreak()]
        story += one.flowables
        texts.append("\n".join(one.text))
    document = BaseDocTemplate(out, title=f"Papers {seed}", author="Example Ltd.", invariant=1)
    document.addPageTemplates([*templates.values()])
    document.build(story)
    return Printed(out.getvalue(), tuple(texts))


def _template(kind: Kind, name: str) -> PageTemplate:
    (width, height), margin = kind.size, kind.margin
    column = (width - 2 * margin - _GUTTER * (kind.columns - 1)) / kind.columns
    frames = [
        Frame(margin + i * (column + _GUTTER), margin, column, height - 2 * margin, 0, 0, 0, 0)
        for i in range(kind.columns)
    ]
    return PageTemplate(name, frames, pagesize=kind.size)
