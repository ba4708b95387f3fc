"""Text of printed pages, annotations, page forms, names and properties."""

import random
import struct
from pathlib import Path

import pytest

from tests.extract.xdw.reading import read
from tests.support import docuworks as dw
from tests.support.metafiles import Emf, Wmf

WORDS = "請求書の合計は金１２，０００円。"
CHARSETS = {128: "cp932", 129: "cp949", 134: "gbk", 136: "cp950", 204: "cp1251", 161: "cp1253"}


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
    words = {"cp1251": "Счёт на оплату", "cp1253": "Τιμολόγιο", "cp949": "청구서", "cp950": "恒裏粧碁"}.get(
        codec, "中文一二三"
    )
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


def test_signs_of_symbol_fonts_are_read_where_they_are_known(tmp_path: Path) -> None:
    emf = Emf().font(2, face="Symbol").text("\uf061 \uf0b3", 0, 0).text_8bit(b"\xb7", 0, 200)
    emf.font(2, face="Wingdings").text("\uf06c", 0, 400)
    found = read(one_page(dw.content(printed(emf))), tmp_path)
    assert found.texts == ["α ≥\n•\n●"]
    assert "error" not in found.pages[0]


@pytest.mark.parametrize("face", ["Wingdings 3", ""])
def test_other_signs_are_counted_and_named(face: str, tmp_path: Path) -> None:
    emf = Emf().font(2, face=face).text_8bit(b"\xa8\xa8", 0, 0).text("\uf0a8", 0, 50)
    emf.font(128).text_8bit(b"text", 0, 99)
    found = read(one_page(dw.content(printed(emf))), tmp_path)
    assert found.texts == ["text"]
    assert found.pages[0]["error"]["category"] == "unsupported"
    message = f"2 runs of text in the symbol font {face!r}, whose signs are not known"
    assert found.pages[0]["error"]["message"] == message
    wmf = Wmf().font(2, 0, face=face.encode()).text(b"\xa8", 0, 0)
    found = read(one_page(dw.content(dw.body(1, wmf.bytes()))), tmp_path)
    assert found.methods == ["failed"]
    assert "1 runs of text in the symbol font" in found.pages[0]["error"]["message"]


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def pair(x: int, y: int) -> bytes:
    return struct.pack("<2i", x, y)


LETTER = ["請求書", "合計は金１２，０００円", "支払期限は月末"]


def letter(emf: Emf, *, step: int, size: int) -> Emf:
    emf.font(128, -size)
    for row, words in enumerate(LETTER):
        emf.text(words, size, step * (row + 1), step=size)
    return emf


@pytest.mark.parametrize("scale", [0.01, 1.0, 40.0])
def test_lines_are_told_apart_whatever_unit_the_drawing_counts_in(scale: float, tmp_path: Path) -> None:
    moved = Emf().record(35, floats(scale, 0, 0, scale, 5, 7))
    found = read(one_page(dw.content(printed(letter(moved, step=75, size=50)))), tmp_path)
    assert found.texts == ["\n".join(LETTER)]
    windowed = Emf().record(17, struct.pack("<i", 8)).record(9, pair(round(100 / scale), round(100 / scale)))
    windowed.record(11, pair(100, 100))
    found = read(one_page(dw.content(printed(letter(windowed, step=75, size=50)))), tmp_path)
    assert found.texts == ["\n".join(LETTER)]


def test_each_run_lies_where_its_own_transformation_puts_it(tmp_path: Path) -> None:
    """As some drivers write: every run at 0, 0 of a world of its own."""
    emf = Emf().font(128, -10)
    for row, words in enumerate(LETTER):
        emf.record(35, floats(5, 0, 0, 5, 200, 100 * row)).text(words, 0, 0, step=10)
    emf.record(35, floats(5, 0, 0, 5, 200 + 50 * len(LETTER[0]), 0)).text("控え", 0, 0, step=10)
    found = read(one_page(dw.content(printed(emf))), tmp_path)
    assert found.texts == [f"{LETTER[0]}控え\n{LETTER[1]}\n{LETTER[2]}"]


@pytest.mark.parametrize("mode", [2, 3, 4, 5, 6])
def test_where_y_counts_upwards_lines_still_go_down(mode: int, tmp_path: Path) -> None:
    emf = Emf().record(17, struct.pack("<i", mode)).font(128, -50)
    for row, words in enumerate(LETTER):
        emf.text(words, 0, -90 * row, step=50)
    assert read(one_page(dw.content(printed(emf))), tmp_path).texts == ["\n".join(LETTER)]


@pytest.mark.parametrize(
    "world", [(0, 1, -1, 0, 4000, 0), (0, -1, 1, 0, 0, 4000), (-1, 0, 0, -1, 4000, 4000)]
)
def test_a_page_printed_turned_is_read_as_it_is_meant(world: tuple[float, ...], tmp_path: Path) -> None:
    turned = letter(Emf().record(35, floats(*world)), step=80, size=50)
    assert read(one_page(dw.content(printed(turned))), tmp_path).texts == ["\n".join(LETTER)]


@pytest.mark.parametrize("upwards", [False, True])
def test_the_window_of_an_older_metafile_counts(upwards: bool, tmp_path: Path) -> None:
    sign = -1 if upwards else 1
    wmf = Wmf().record(0x020B, struct.pack("<hh", 500 * sign, 0))
    wmf.record(0x020C, struct.pack("<hh", 1000 * sign, 1000)).font(128, 0)
    wmf.text("一行目".encode("cp932"), 0, 600 * sign).text("二行目".encode("cp932"), 0, 700 * sign)
    wmf.record(0x020C, struct.pack("<hh", 100 * sign, 100)).record(0x020B, struct.pack("<hh", 0, 0))
    wmf.text("三行目".encode("cp932"), 0, 45 * sign)
    found = read(one_page(dw.content(dw.body(1, wmf.bytes()))), tmp_path)
    assert found.texts[0].split() == ["一行目", "二行目", "三行目"]


def test_aligned_runs_lie_where_they_begin(tmp_path: Path) -> None:
    emf = Emf().font(128, -50).record(22, struct.pack("<I", 0x18 | 0x2)).text("品名", 300, 143, step=50)
    emf.record(22, struct.pack("<I", 0)).text("減速機", 400, 100, step=50)
    emf.record(22, struct.pack("<I", 0x8 | 0x6)).text("三個", 700, 150, step=50)
    assert read(one_page(dw.content(printed(emf))), tmp_path).texts == ["品名  減速機  三個"]


def test_text_is_read_in_order_whatever_order_it_is_drawn_in(tmp_path: Path) -> None:
    rows = [f"第{row}条の定めにより記録を五年間保存する" for row in range(12)]
    drawn = [*enumerate(rows)]
    random.Random(3).shuffle(drawn)
    emf = Emf().font(128, -50)
    for row, words in drawn:
        emf.text(words, 100, 100 + 75 * row, step=50)
    assert read(one_page(dw.content(printed(emf))), tmp_path).texts == ["\n".join(rows)]


def test_columns_and_tables_are_read_as_on_other_pages(tmp_path: Path) -> None:
    emf = Emf().font(128, -50)
    for row in range(5):  # across both columns, as some drivers sort
        for column, name in enumerate("左右"):
            emf.text(f"{name}の段の{row}行目。本文はここに続く", 100 + 1500 * column, 100 + 75 * row, step=50)
    found = read(one_page(dw.content(printed(emf))), tmp_path)
    rows = [f"{name}の段の{row}行目。本文はここに続く" for name in "左右" for row in range(5)]
    assert found.texts[0].replace("\n", "") == "".join(rows)
    emf = Emf().font(128, -50)
    cells = [[f"品{column}{row}" for column in range(3)] for row in range(4)]
    for column in range(3):
        for row in range(4):
            emf.text(cells[row][column], 100 + 600 * column, 100 + 75 * row, step=50)
    found = read(one_page(dw.content(printed(emf))), tmp_path)
    assert found.texts == ["\n".join("  ".join(row) for row in cells)]


COLUMNS = ["吾輩は猫である。", "名前はまだ無い。", "どこで生れたか", "とんと見当が"]


@pytest.mark.parametrize("shuffled", [False, True])
def test_columns_of_single_characters_are_read_from_the_right(shuffled: bool, tmp_path: Path) -> None:
    emf = Emf().font(128, -50)
    drawn = [
        (sign, 1000 - 90 * column, 100 + 52 * row)
        for column, words in enumerate(COLUMNS)
        for row, sign in enumerate(words)
    ]
    if shuffled:
        random.Random(5).shuffle(drawn)
    for sign, x, y in drawn:
        emf.text(sign, x, y, step=50)
    found = read(one_page(dw.content(printed(emf))), tmp_path)
    assert found.texts[0].split("\n") == COLUMNS


def test_marks_below_each_other_in_a_table_are_no_words(tmp_path: Path) -> None:
    emf = Emf().font(128, -50)
    for row, (name, mark) in enumerate([("外観", "○"), ("寸法", "×"), ("重量", "○")]):
        emf.text(name, 100, 100 + 58 * row, step=50).text(mark, 500, 100 + 58 * row, step=50)
    assert read(one_page(dw.content(printed(emf))), tmp_path).texts == ["外観  ○\n寸法  ×\n重量  ○"]


def test_places_that_no_page_has_do_no_harm(tmp_path: Path) -> None:
    emf = Emf().font(128)
    for value in (float("inf"), float("nan"), 3e38):
        emf.record(35, floats(value, 0, 0, value, value, 1)).text("本文", 5, 5)
        emf.text("other", 2**31 - 1, -(2**31), step=2**30)
    assert "本文" in read(one_page(dw.content(printed(emf))), tmp_path).texts[0]


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


@pytest.mark.parametrize(
    ("page", "words"), [(936, "简体中文文件"), (949, "청구서"), (1251, "Счёт"), (1, "覚書")]
)
def test_8_bit_texts_are_read_by_their_code_page(page: int, words: str, tmp_path: Path) -> None:
    stored = words.encode("cp932" if page == 1 else f"cp{page}") + b"\0"
    named = [dw.Named("%Text", stored), dw.Named("%CCP_%Text", dw.numbers(page), dw.NUMBER)]
    assert read(one_page(dw.Object(0x8011, {}, named)), tmp_path).texts == [words]


def test_an_empty_wide_text_does_not_hide_the_other(tmp_path: Path) -> None:
    note = dw.Object(0x8011, {}, [dw.text("%Text", "至急"), dw.wide_text("%Text", "")])
    assert read(one_page(note), tmp_path).texts == ["至急"]


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


@pytest.mark.parametrize("packed", [True, False])
def test_texts_names_and_sizes_held_by_entries_are_read(packed: bool, tmp_path: Path) -> None:
    entries = dw.Entries()
    hold = entries.add_packed if packed else entries.add
    note = dw.Object(0x8011, {}, [dw.Named("%Text(w", hold("メモ".encode("utf-16-le") * 40))])
    member = dw.document(dw.page(note), attributes={4: hold("契約".encode("cp932") * 40)})
    found = read(dw.write(dw.binder(member), entries), tmp_path)
    assert found.texts == [f"{'契約' * 40}\n\n{'メモ' * 40}"]


def test_a_text_whose_entry_is_not_there_is_told(tmp_path: Path) -> None:
    note = dw.Object(0x8011, {}, [dw.Named("%Text(w", dw.Ref(dw.element(0x81, b"\7")))])
    found = read(one_page(note, dw.note("二つ目")), tmp_path)
    assert found.texts == ["二つ目"]
    assert found.pages[0]["error"]["message"] == "a reference leads to no entry"


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        (dw.Object(0x8010, {}, [dw.text("pf", "WindowsXP")]), "an object without a drawing"),
        (dw.Object(0x803F), "an object without a drawing"),
        (dw.Object(0x8011, {}, [dw.text("%Tex_", "lost")]), "a text note without its text"),
        (dw.Object(0x800F, {}, [dw.Named("%OLE_CONTENT_FILE", bytes(60))]), "an embedded object (OLE)"),
        (dw.Object(0x80AB, {}, [dw.text("%Unheard", "?")]), "an object of kind 80ab, which is not known"),
    ],
)
def test_objects_of_which_nothing_is_read_are_counted_and_named(
    lost: dw.Object, message: str, tmp_path: Path
) -> None:
    found = read(one_page(lost, dw.note("メモ"), lost), tmp_path)
    assert (found.texts, found.methods) == (["メモ"], ["text"])
    assert found.pages[0]["error"]["category"] == "unsupported"
    assert message in found.pages[0]["error"]["message"]
    assert "(2 times)" in found.pages[0]["error"]["message"]
    assert read(one_page(lost), tmp_path).methods == ["failed"]


def test_objects_without_text_by_their_nature_are_no_loss(tmp_path: Path) -> None:
    shapes = [
        dw.Object(kind, {52: dw.numbers(1)}) for kind in (0x801B, 0x803C, 0x803D, 0x803E, 0x8042, 0x8045)
    ]
    shapes.append(dw.note(""))
    drawn = dw.Object(0x80AB, {7: printed(Emf().text("図", 0, 0))})
    found = read(one_page(*shapes, drawn), tmp_path)
    assert found.texts == ["図"]
    assert "error" not in found.pages[0]


@pytest.mark.parametrize("first", [True, False])
def test_a_binders_document_without_pages_is_found_by_its_name_and_told(first: bool, tmp_path: Path) -> None:
    empty = dw.document(
        attributes={4: "空の契約".encode("cp932") + b"\0"}, named=[dw.text("%Keywords", "予算")]
    )
    full = dw.document(dw.page(dw.note("一")), attributes={4: "見積".encode("cp932") + b"\0"})
    found = read(dw.write(dw.binder(*((empty, full) if first else (full, empty)))), tmp_path)
    assert len(found.pages) == 1
    assert {"空の契約", "見積", "一", "予算"} <= set(found.texts[0].split("\n"))
    message = "the binder's document '空の契約' holds no pages"
    assert found.pages[0]["error"] == {"category": "empty", "message": message}
