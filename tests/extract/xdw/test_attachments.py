"""Attached files are read as further pages; what cannot be is named."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.extract.xdw.reading import read
from tests.support import docuworks as dw
from tests.support.documents import text_pdf
from tests.support.lh5 import bomb

SENTENCE = "The shaft seal was replaced on Monday"


def picture() -> bytes:
    image = Image.new("L", (800, 1100), 255)
    image.paste(0, (100, 100, 400, 200))
    file = BytesIO()
    image.save(file, "PNG", dpi=(100, 100))
    return file.getvalue()


def with_files(*files: tuple[str, bytes], packed: bool = True) -> bytes:
    entries = dw.Entries()
    originals = [entries.attached(name, data, packed=packed) for name, data in files]
    return dw.write(dw.document(dw.page(dw.note("本紙")), originals=originals), entries)


def test_attached_files_of_all_kinds_follow_the_documents_pages(tmp_path: Path) -> None:
    inner = with_files(("inner.pdf", text_pdf(SENTENCE)))
    found = read(
        with_files(
            ("報告書.pdf", text_pdf(SENTENCE, SENTENCE)), ("写真.png", picture()), ("中身.xdw", inner)
        ),
        tmp_path,
    )
    assert found.document is not None
    assert found.document["page_count"] == 6
    assert found.methods == ["text", "text", "text", "ocr", "text", "text"]
    assert found.texts[0] == "本紙"
    assert found.texts[1].startswith("報告書.pdf\n")
    assert found.texts[2] == SENTENCE
    assert found.texts[3] == "写真.png"
    assert found.texts[4] == "中身.xdw\n本紙"
    assert found.texts[5].split("\n") == ["inner.pdf", SENTENCE]
    assert found.pages[1]["note"] == "attached file '報告書.pdf', page 1"
    with found.picture(4) as image:
        assert image.size == (1600, 2200)


def test_a_file_of_a_kind_that_is_not_read_is_found_by_its_name(tmp_path: Path) -> None:
    found = read(with_files(("見積.xlsx", b"PK\3\4" + bytes(50))), tmp_path)
    assert found.texts == ["本紙", "見積.xlsx"]
    error = found.pages[1]["error"]
    assert error["category"] == "unsupported"
    assert "見積.xlsx" in error["message"]


def test_a_damaged_attached_file_is_told(tmp_path: Path) -> None:
    found = read(with_files(("a.pdf", b"%PDF-1.7\nnothing")), tmp_path)
    assert found.pages[1]["error"]["category"] == "corrupt"
    assert found.texts[1] == "a.pdf"


def test_a_stored_file_and_one_that_only_claims_to_be_packed(tmp_path: Path) -> None:
    assert read(with_files(("a.pdf", text_pdf(SENTENCE)), packed=False), tmp_path).texts[1].endswith(SENTENCE)
    entries = dw.Entries()
    data = text_pdf(SENTENCE)
    entries.bodies.append(data)
    reference = dw.Ref(dw.element(0x81, b"\0") + dw.element(0x82, dw.integer(9 * len(data))))
    held = dw.Object(0x1307, {}, [dw.Named("nd", reference), dw.text("nf", "a.pdf")])
    found = read(dw.write(dw.document(dw.page(), originals=[held]), entries), tmp_path)
    assert found.texts[1].endswith(SENTENCE)


def test_names_are_never_paths(tmp_path: Path) -> None:
    found = read(with_files(("..\\..\\秘\\x.pdf", text_pdf(SENTENCE)), ("../../etc/y.pdf", b"?")), tmp_path)
    assert found.texts[1].startswith("x.pdf\n")
    assert found.texts[2] == "y.pdf"
    assert not [path for path in tmp_path.parent.iterdir() if path.suffix == ".pdf"]


def test_files_beyond_the_limits_are_told(tmp_path: Path) -> None:
    found = read(with_files(*[(f"{number}.bin", b"?") for number in range(103)]), tmp_path, pages=200)
    assert len(found.pages) == 1 + 101
    assert "beyond the first 100" in found.pages[-1]["error"]["message"]


def test_nested_files_beyond_three_are_told(tmp_path: Path) -> None:
    data = with_files(("0.pdf", text_pdf(SENTENCE)))
    for number in range(1, 5):
        data = with_files((f"{number}.xdw", data))
    found = read(data, tmp_path)
    assert "3 deep" in found.pages[-1]["error"]["message"]


def test_an_entry_of_the_list_without_a_file_is_found_by_its_name_and_told(tmp_path: Path) -> None:
    held = dw.Object(0x1307, {}, [dw.text("nf", "見積.pdf")])
    found = read(dw.write(dw.document(dw.page(), originals=[held])), tmp_path)
    assert found.texts[1] == "見積.pdf"
    assert found.pages[1]["error"]["category"] == "empty"


def test_files_of_two_attached_documents_do_not_take_each_others_place(tmp_path: Path) -> None:
    inner = [with_files((f"{name}.pdf", text_pdf(f"This is the file {name}"))) for name in "ab"]
    found = read(with_files(("1.xdw", inner[0]), ("2.xdw", inner[1])), tmp_path)
    assert [text.split("\n")[-1] for text in found.texts[1:]] == [
        "本紙",
        "This is the file a",
        "本紙",
        "This is the file b",
    ]


def test_the_limit_of_files_holds_for_all_that_are_attached_to_each_other(tmp_path: Path) -> None:
    inner = with_files(*[(f"{number}.bin", b"?") for number in range(60)])
    found = read(with_files(("1.xdw", inner), ("2.xdw", inner)), tmp_path, pages=400)
    told = [page["error"]["message"] for page in found.pages if "error" in page]
    assert sum("beyond the first 100" in message for message in told) == 1
    assert len(told) == 98 + 1


@pytest.mark.slow
def test_the_limit_of_bytes_holds_for_all_that_are_attached_to_each_other(tmp_path: Path) -> None:
    size = 60 * 1024 * 1024
    parts = (dw.element(0x80, b"\4"), dw.element(0x81, dw.integer(size)), dw.element(0x8A, b"\1"))
    body = b"".join([*parts, dw.element(0x86, bomb(4))])
    inner = dw.write(dw.document(*[dw.page(dw.content(body))] * 4))
    found = read(with_files(*[(f"{number}.xdw", inner) for number in range(4)]), tmp_path)
    categories = [page["error"]["category"] for page in found.pages if "error" in page]
    assert categories == ["corrupt"] * 8 + ["too_large"] * 8
