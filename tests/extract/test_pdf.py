"""PDF pages as the parse child reads them: measures, decisions, images for OCR, damage."""

import re
from pathlib import Path
from typing import Any, cast

import pikepdf
import pypdfium2
import pytest
from PIL import Image
from reportlab import rl_config
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from batchjob.errors import FailureCategory
from batchjob.extract.child import DONE, events
from batchjob.extract.pdf import MAX_RENDERED, measure
from tests.extract.pdfs import HEIGHT, WIDTH, pdf, picture, printed, together, words

BODY = ("定期保守点検の実施結果を報告します。", "次回の点検は十月を予定しています。")
GRAY = Image.linear_gradient("L").resize((50, 50))
ONE_SHADE = Image.new("L", (50, 50), 128)


def read(path: Path, out: Path, **changes: Any) -> list[dict[str, Any]]:
    arguments = {
        "path": str(path),
        "pages": list(range(1, 33)),
        "dpi": 100,
        "max_pixels": 10**8,
        "out": str(out),
    }
    asked = {**arguments, "thumbnail": False, **changes}
    *found, done = events(asked, [asked])
    assert done == DONE
    return [dict(event) for event in found]


def one_page(path: Path, out: Path) -> dict[str, Any]:
    _, page = read(path, out)
    return page


def pictures_on(path: Path) -> float:
    with pypdfium2.PdfDocument(path) as document:
        return measure(document[0], "").pictures


def test_a_text_layer_is_taken_as_it_is(tmp_path: Path) -> None:
    def titled(canvas: Canvas) -> None:
        canvas.setTitle("点検\n報告")
        canvas.setAuthor("設備課")
        words(*BODY)(canvas)

    document, page = read(pdf(tmp_path / "a.pdf", titled), tmp_path)
    assert (document["title"], document["author"], document["page_count"]) == ("点検 報告", "設備課", 1)
    assert page["text"].split("\n") == list(BODY)
    assert (page["method"], "image" in page) == ("text", False)


@pytest.mark.parametrize(
    ("page", "method"),
    [
        (words(), "blank"),
        (words("Page 1"), "text"),
        (picture(GRAY, 0, 0, WIDTH, HEIGHT), "ocr"),
        (picture(ONE_SHADE, 0, 0, WIDTH, HEIGHT), "blank"),
        (together(picture(GRAY, 0, 0, WIDTH, HEIGHT), words("RECEIVED 2026-05-12")), "ocr"),
        (together(picture(GRAY, 0, 0, WIDTH, HEIGHT), words(*BODY * 8, mode=3)), "text"),
        (together(picture(GRAY, 0, 0, WIDTH / 2, HEIGHT / 2), words(*BODY)), "text+ocr"),
        (together(picture(GRAY, 0, 0, 60, 60), words(*BODY)), "text"),
    ],
    ids=["blank", "few", "scan", "empty-scan", "stamp", "earlier-ocr", "figure", "logo"],
)
def test_each_kind_of_page(page: Any, method: str, tmp_path: Path) -> None:
    found = one_page(pdf(tmp_path / "a.pdf", page), tmp_path)
    assert found["method"] == method
    assert ("image" in found) == ("ocr" in method)


@pytest.mark.parametrize(("beside", "method"), [((), "failed"), (BODY, "text")], ids=["nothing else", "text"])
def test_a_picture_that_cannot_be_decoded_is_told(
    beside: tuple[str, ...], method: str, tmp_path: Path
) -> None:
    page = together(picture(GRAY, 0, 0, WIDTH, HEIGHT / 2), words(*beside))
    with pikepdf.open(pdf(tmp_path / "a.pdf", page)) as document:
        [image] = document.pages[0].get_images().values()
        image.write(b"no JPEG 2000", filter=pikepdf.Name.JPXDecode)
        document.save(tmp_path / "b.pdf")
    found = one_page(tmp_path / "b.pdf", tmp_path)
    assert (found["method"], found["text"]) == (method, "\n".join(beside))
    assert found["error"]["category"] is FailureCategory.CORRUPT
    assert "cannot be drawn" in found["error"]["message"]


def test_letters_drawn_as_outlines_need_ocr(tmp_path: Path) -> None:
    def outlines(canvas: Canvas) -> None:
        for step in range(60):
            canvas.circle(100 + step * 5, 400, 2)

    assert one_page(pdf(tmp_path / "a.pdf", outlines), tmp_path)["method"] == "ocr"


def test_pictures_inside_forms_are_measured_where_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        rl_config, "useA85", 1
    )  # an inline picture in a form must be text; others switch it off

    def nested(canvas: Canvas) -> None:
        canvas.beginForm("inner", 0, 0, 10, 10)
        canvas.drawInlineImage(GRAY, 0, 0, 10, 10)
        canvas.endForm()
        canvas.beginForm("outer", 0, 0, 100, 100)
        canvas.scale(2, 2)
        canvas.doForm("inner")
        canvas.endForm()
        canvas.translate(100, 100)
        canvas.scale(10, 20)
        canvas.doForm("outer")

    assert pictures_on(pdf(tmp_path / "a.pdf", nested)) == pytest.approx(
        200 * 400 / (WIDTH * HEIGHT), rel=0.01
    )


def test_only_what_shows_of_a_picture_counts(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", picture(GRAY, -WIDTH, -HEIGHT, WIDTH * 1.5, HEIGHT * 1.5))
    assert pictures_on(path) == pytest.approx(0.25, rel=0.01)


def test_ocr_beside_a_text_layer_sees_no_text(tmp_path: Path) -> None:
    page = together(picture(Image.new("L", (50, 50), 255), 0, 0, WIDTH, HEIGHT / 2), words(*BODY))
    event = one_page(pdf(tmp_path / "a.pdf", page), tmp_path)
    assert event["method"] == "text"
    assert "image" not in event


@pytest.mark.parametrize("angle", [0, 90, 270])
def test_images_for_ocr_stand_as_a_viewer_shows_the_page(angle: int, tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", picture(printed("HELLO"), 0, 0, WIDTH, HEIGHT))
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        document.pages[0].Rotate = angle
        document.save(path)
    event = one_page(path, tmp_path)
    with Image.open(tmp_path / event["image"]) as image:
        assert (image.mode, image.width > image.height) == ("L", angle != 0)
        assert event["dpi"] == 100


@pytest.mark.parametrize(("shade", "mode"), [((60, 60, 60), "L"), ((60, 60, 61), "RGB")])
def test_the_small_picture_has_colour_where_the_page_has(
    shade: tuple[int, int, int], mode: str, tmp_path: Path
) -> None:
    path = pdf(tmp_path / "a.pdf", picture(Image.new("RGB", (50, 50), shade), 0, 0, WIDTH, HEIGHT))
    assert read(path, tmp_path, thumbnail=True)[-1]["file"] == "thumbnail.jpg"
    with Image.open(tmp_path / "thumbnail.jpg") as image:
        assert (image.mode, image.width) == (mode, 600)


def test_huge_pages_are_rendered_coarsely(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", picture(GRAY, 0, 0, WIDTH, HEIGHT))
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        document.pages[0].MediaBox = [0, 0, 14400, 14400]
        document.save(path)
    event = one_page(path, tmp_path)
    with Image.open(tmp_path / event["image"]) as image:
        assert 0.9 * MAX_RENDERED < image.width * image.height < 1.01 * MAX_RENDERED


def test_characters_beyond_the_basic_plane_survive(tmp_path: Path) -> None:
    """The text maps a glyph to U+20BB7, which PDF writes as a pair of surrogates."""
    path = pdf(tmp_path / "a.pdf", words("X野家の請求書について、ご確認をお願いします。", font="Helvetica"))
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        font = next(iter(document.pages[0].Resources.Font.values()))
        font.ToUnicode = document.make_stream(
            b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
            b"1 begincodespacerange <00> <ff> endcodespacerange\n"
            b"1 beginbfchar <58> <D842DFB7> endbfchar\nendcmap end end"
        )
        document.save(path)
    assert one_page(path, tmp_path)["text"].startswith("𠮷")


VERTICAL = UnicodeCIDFont("HeiseiKakuGo-W5", isVertical=True)
pdfmetrics.registerFont(VERTICAL)
COLUMNS = (
    "昭和五十年に小さな町工場と",
    "して始まった会社であるから",
    "農機具の修理を引き受けてい",
    "たことを知る人は多くない。",
)


@pytest.mark.parametrize("tiers", [1, 2])
@pytest.mark.parametrize("backwards", [False, True])
def test_columns_of_vertical_writing_go_from_right_to_left(
    backwards: bool, tiers: int, tmp_path: Path
) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setFont(VERTICAL.fontName, 12)
        places = [(tier, column) for tier in range(tiers) for column in range(len(COLUMNS) // tiers)]
        drawn = list(zip(COLUMNS, places, strict=True))
        for text, (tier, column) in reversed(drawn) if backwards else drawn:
            canvas.drawString(500 - column * 24, 750 - tier * 300, text)

    text = one_page(pdf(tmp_path / "a.pdf", draw), tmp_path)["text"]
    assert "".join(text.split()) == "".join(COLUMNS)


def test_horizontal_writing_keeps_its_order(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        words(*BODY)(canvas)
        canvas.setFont(VERTICAL.fontName, 9)
        canvas.drawString(30, 500, "社外秘")

    text = one_page(pdf(tmp_path / "a.pdf", draw), tmp_path)["text"]
    assert "".join(text.split()).startswith("".join(BODY))


def test_form_fields_are_part_of_the_page(tmp_path: Path) -> None:
    def form(canvas: Canvas) -> None:
        words(*BODY)(canvas)
        canvas.acroForm.textfield(name="reason", value="Family holiday in August", x=100, y=300, width=200)

    assert "Family holiday in August" in one_page(pdf(tmp_path / "a.pdf", form), tmp_path)["text"]


@pytest.mark.parametrize("password", ["", "secret"])
@pytest.mark.parametrize("revision", [2, 3, 4, 6])
def test_passwords(revision: int, password: str, tmp_path: Path) -> None:
    """RC4 with 40 and 128 bits, AES with 128 and 256 (ISO 32000-2, 7.6.4)."""
    path = pdf(tmp_path / "a.pdf", words(*BODY))
    has_aes = revision >= 4
    encryption = pikepdf.Encryption(
        user=password, owner="owner", R=cast("Any", revision), aes=has_aes, metadata=has_aes
    )
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        document.save(path, encryption=encryption)
    found = read(path, tmp_path)
    if password:
        assert [(event["event"], event["category"]) for event in found] == [
            ("failure", FailureCategory.PROTECTED)
        ]
    else:
        assert found[1]["text"].split("\n") == list(BODY)


def test_an_encrypted_scan_gives_its_own_image(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", picture(printed("HELLO"), 0, 0, WIDTH, HEIGHT))
    plain = one_page(path, tmp_path)
    expected = (tmp_path / plain["image"]).read_bytes()
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        document.save(path, encryption=pikepdf.Encryption(user="", owner="owner"))
    assert (tmp_path / one_page(path, tmp_path)["image"]).read_bytes() == expected


def test_a_damaged_file_and_a_damaged_page(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7\n" + b"nothing" * 100)
    [failure] = read(broken, tmp_path)
    assert (failure["category"], failure["mime_type"]) == (FailureCategory.CORRUPT, "application/pdf")

    path = pdf(tmp_path / "a.pdf", words(*BODY), words(*BODY), words(*BODY))
    kids = re.compile(rb"(/Kids \[ \d+ 0 R )\d( 0 R)")
    broken_kid, times = kids.subn(rb"\g<1>0\2", path.read_bytes())
    assert times == 1
    path.write_bytes(broken_kid)
    document_event, *pages = read(path, tmp_path)
    assert document_event["page_count"] == 3
    assert [page["method"] for page in pages] == ["text", "failed", "text"]
    assert pages[1]["error"]["category"] == FailureCategory.CORRUPT
