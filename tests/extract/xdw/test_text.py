"""Text of printed pages, annotations, page forms, names and properties."""

from pathlib import Path

import pytest

from tests.extract.xdw.reading import read
from tests.support import docuworks as dw
from tests.support.metafiles import Emf, Wmf

WORDS = "請求書の合計は金１２，０００円。"
CHARSETS = {128: "cp932", 129: "cp949", 134: "gbk", 136: "big5", 204: "cp1251", 161: "cp1253"}


def printed(emf: Emf) -> bytes:
    return dw.body(4, emf.bytes(), packed=True)


def one_page(*objects: dw.Object) -> bytes:
    return dw.write(dw.document(dw.page(*objects)))


def test_both_kinds_of_text_records_are_read_in_drawing_order(tmp_path: Path) -> None:
    emf = Emf().font(128).text_8bit(WORDS.encode("cp932"), 100, 100).text("second line", 100, 200)
    emf.comment(b"DW06" + bytes(16)).small_text(b"third", 100, 300)
    found = read(one_page(dw.content(printed(emf))), tmp_path)
    assert found.methods == ["text"]
    assert found.texts == [f"{WORDS}\nsecond line\nthird"]
    assert found.document is not None
    assert found.document["page_count"] == 1


@pytest.mark.parametrize("packed", [True, False])
def test_a_drawing_may_lie_in_an_entry(packed: bool, tmp_path: Path) -> None:
    entries = dw.Entries()
    reference = entries.add(dw.body(4, Emf().text(WORDS, 0, 0).bytes(), packed=packed))
    found = read(dw.write(dw.document(dw.page(dw.content(reference))), entries), tmp_path)
    assert found.texts == [WORDS]


@pytest.mark.parametrize(("charset", "codec"), CHARSETS.items())
def test_8_bit_text_is_read_by_the_fonts_character_set(charset: int, codec: str, tmp_path: Path) -> None:
    words = {"cp1251": "Счёт на оплату", "cp1253": "Τιμολόγιο", "cp949": "청구서"}.get(codec, "中文一二三")
    emf = Emf().font(charset).text_8bit(words.encode(codec), 0, 0)
    assert read(one_page(dw.content(printed(emf))), tmp_path).texts == [words]


@pytest.mark.parametrize("charset", [0, 1, 255])
def test_where_the_set_leaves_it_open_text_is_japanese_else_western(charset: int, tmp_path: Path) -> None:
    emf = Emf().font(charset).text_8bit(WORDS.encode("cp932"), 0, 0).text_8bit(b"caf\xe9 \xa9.", 0, 99)
    assert read(one_page(dw.content(printed(emf))), tmp_path).texts == [f"{WORDS}\ncafé ©."]


def test_runs_on_a_line_are_parted_by_their_distance(tmp_path: Path) -> None:
    emf = Emf().font(128, -50)
    emf.text("uni", 0, 0, step=25).text("on", 75, 0, step=25).text("next", 160, 0, step=25)
    emf.text("cell", 900, 0, step=25).text("cell", 901, 0, step=25)  # again, to look bold
    assert read(one_page(dw.content(printed(emf))), tmp_path).texts == ["union next  cell"]


def test_vertical_lines_go_from_right_to_left(tmp_path: Path) -> None:
    emf = Emf().font(128, -50, escapement=2700).text("吾輩は", 900, 0, step=50)
    emf.text("猫である", 900, 150, step=50).text("名前は", 800, 0, step=50)
    assert read(one_page(dw.content(printed(emf))), tmp_path).texts == ["吾輩は猫である\n名前は"]


def test_glyph_numbers_are_told_as_lost(tmp_path: Path) -> None:
    emf = Emf().text("shown", 0, 0).text("\x12\x13", 0, 99, options=0x10)
    found = read(one_page(dw.content(printed(emf))), tmp_path)
    assert found.texts == ["shown"]
    assert found.pages[0]["error"]["category"] == "unsupported"
    assert "1 runs of text are stored as shapes of a font" in found.pages[0]["error"]["message"]


def test_symbols_are_no_text(tmp_path: Path) -> None:
    emf = Emf().font(2).text_8bit(b"\xa8\xa8", 0, 0).font(128).text_8bit(b"text", 0, 99)
    assert read(one_page(dw.content(printed(emf))), tmp_path).texts == ["text"]


def test_a_restored_context_has_its_font_again(tmp_path: Path) -> None:
    emf = Emf().font(128).record(33).font(204).record(34, (-1).to_bytes(4, "little", signed=True))
    emf.text_8bit(WORDS.encode("cp932"), 0, 0)
    assert read(one_page(dw.content(printed(emf))), tmp_path).texts == [WORDS]


def test_older_metafiles_are_read(tmp_path: Path) -> None:
    wmf = Wmf().font(128, 0).text(WORDS.encode("cp932"), 0, 0, options=2)
    wmf.plain_text("支払期限".encode("cp932"), 0, 100)
    found = read(one_page(dw.content(dw.body(1, wmf.bytes(), packed=True))), tmp_path)
    assert found.texts == [f"{WORDS}\n支払期限"]


@pytest.mark.parametrize("wide", [True, False])
def test_a_notes_text_is_not_repeated_from_its_drawing(wide: bool, tmp_path: Path) -> None:
    drawing = printed(Emf().text("確認済み", 0, 0))
    found = read(one_page(dw.note("確認済み", wide=wide, drawing=drawing)), tmp_path)
    assert found.texts == ["確認済み"]


def test_a_note_without_text_of_its_own_is_read_from_its_drawing(tmp_path: Path) -> None:
    found = read(one_page(dw.Object(0x8011, {7: printed(Emf().text("確認済み", 0, 0))})), tmp_path)
    assert found.texts == ["確認済み"]


def test_annotations_of_all_kinds_are_read(tmp_path: Path) -> None:
    sticky = dw.Object(0x801A, {}, [], [dw.placed(dw.note("付箋のメモ"))])
    stamp = dw.Object(
        0x8033,
        {7: printed(Emf().text("2026.11.24", 0, 0))},
        [dw.text("%TopField", "受付"), dw.wide_text("STAMPATT_NAME", "総務部")],
    )
    link = dw.Object(0xC02F, {}, [dw.text("%Caption", "目次へ"), dw.text("%Url", "http://example.com/a")])
    shape = dw.Object(0x8045, {}, [dw.Named("%annotation_customdata", b"\7\0\0\0\x63\x83")])
    found = read(one_page(sticky, stamp, link, shape), tmp_path)
    text = found.texts[0]
    for words in ("付箋のメモ", "受付", "総務部", "2026.11.24", "目次へ", "http://example.com/a"):
        assert text.count(words) == 1
    assert found.methods == ["text"]


def test_page_forms_and_properties_stand_on_the_first_page(tmp_path: Path) -> None:
    form = dw.Object(
        0x802E, {}, [dw.text("%107", "社外秘"), dw.text("%207", "第一工場"), dw.text("%307", "x")]
    )
    named = [
        dw.text("%Title", "月次報告"),
        dw.text("%Author", "経理課"),
        dw.wide_text("%Keywords", "予算 実績"),
        dw.text("案件番号", "A-17"),
        dw.Named("%CCP_案件番号", dw.numbers(932), dw.NUMBER),
    ]
    named = [item if item.name.isascii() else item._replace(name="%Case") for item in named]
    pages = [dw.page(dw.note("一")), dw.page(dw.note("二"))]
    found = read(dw.write(dw.document(*pages, forms=[form], named=named)), tmp_path)
    assert found.document is not None
    assert (found.document["title"], found.document["author"]) == ("月次報告", "経理課")
    for words in ("一", "社外秘", "第一工場", "予算 実績", "A-17"):
        assert words in found.texts[0]
    assert found.texts[1] == "二"


def test_a_binders_documents_come_in_order_with_their_names(tmp_path: Path) -> None:
    first = dw.document(dw.page(dw.note("一")), dw.page(), attributes={4: "契約".encode("cp932") + b"\0"})
    second = dw.document(
        dw.page(dw.note("三")),
        attributes={4: b"old\0", 70: "見積".encode("utf-16-le") + b"\0"},
    )
    found = read(dw.write(dw.binder(first, second, name="案件ファイル")), tmp_path)
    assert found.document is not None
    assert found.document["title"] == "案件ファイル"
    assert found.document["mime_type"] == "application/vnd.fujixerox.docuworks.binder"
    assert found.texts == ["契約\n\n一", "", "見積\n\n三"]
    assert found.methods == ["text", "blank", "text"]


def test_attributes_held_by_an_entry_are_found(tmp_path: Path) -> None:
    entries = dw.Entries()
    plain = dw.note("メモ")
    record = plain.named[0]
    name = record.name.encode() + b"\0"
    names = dw.numbers(2001, dw.BYTES, -1, len(name)) + bytes([len(name)]) + name
    held = dw.Object(0x8011, {51: entries.add(names), 2001: record.value})
    assert read(dw.write(dw.document(dw.page(held)), entries), tmp_path).texts == ["メモ"]
