"""The committed sample: manifest, documents and expectations agree, and each file is what it claims."""

import csv
import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from PIL import Image, ImageSequence

MANIFESTS = Path(__file__).parents[2] / "manifests"
FONT = Path("/usr/share/fonts/opentype/ipaexfont-gothic/ipaexg.ttf")
EXPECTED: dict[str, dict[str, Any]] = json.loads((MANIFESTS / "sample-expected.json").read_text("utf-8"))
READABLE = [path for path, expected in EXPECTED.items() if expected["status"] == "ok"]


def rows() -> list[dict[str, str]]:
    with (MANIFESTS / "sample.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def files() -> set[str]:
    return {
        path.relative_to(MANIFESTS).as_posix() for path in (MANIFESTS / "sample").rglob("*") if path.is_file()
    }


def bytes_of(name: str) -> bytes:
    return (MANIFESTS / "sample" / name).read_bytes()


def text_of_page(document: pypdfium2.PdfDocument, number: int) -> str:
    """The page's text with the values of its form fields, without white space."""
    page = document[number]
    if page.formenv:
        page.flatten()
        page.close()  # the flattened content is seen by a page that is loaded anew
        page = document[number]
    return "".join(page.get_textpage().get_text_range().split())


def test_manifest_files_and_expectations_name_the_same_documents() -> None:
    paths = [row["path"] for row in rows()]
    assert len(paths) == len(set(paths)) >= 25
    assert set(paths) == files() == set(EXPECTED)
    assert set(rows()[0]) == {"path", "department", "project", "tags", "doc_type"}


def test_readme_names_every_document() -> None:
    readme = (MANIFESTS / "README.md").read_text("utf-8")
    assert [path for path in files() if path.removeprefix("sample/") not in readme] == []


def test_sample_stays_small() -> None:
    assert sum((MANIFESTS / path).stat().st_size for path in files()) < 6_000_000
    assert sum(expected["ocr_pages"] for expected in EXPECTED.values()) <= 14


@pytest.mark.parametrize("path", READABLE)
def test_readable_document_has_the_pages_and_the_text_layer_it_claims(path: str) -> None:
    expected = EXPECTED[path]
    data = (MANIFESTS / path).read_bytes()
    if not data.startswith(b"%PDF"):
        with Image.open(BytesIO(data)) as image:
            pages = [frame.size for frame in ImageSequence.Iterator(image)]
        assert len(pages) == expected["pages"] == expected["ocr_pages"]
        return
    document = pypdfium2.PdfDocument(data)
    document.init_forms()
    text = "".join(text_of_page(document, number) for number in range(len(document)))
    assert len(document) == expected["pages"]
    missing = [phrase for phrase in expected["phrases"] if "".join(phrase.split()) not in text]
    assert bool(missing) == bool(expected["ocr_pages"])


def test_same_bytes_under_two_names() -> None:
    assert bytes_of("総務/出張旅費規程.pdf") == bytes_of("経理/出張旅費規程 (コピー).pdf")


def test_photograph_lies_on_its_side() -> None:
    with Image.open(MANIFESTS / "sample/総務/避難訓練のお知らせ.jpg") as image:
        assert image.width > image.height
        assert image.getexif()[0x0112] == 6


def test_garbage_text_layer_is_private_use() -> None:
    page = pypdfium2.PdfDocument(bytes_of("経理/納品書 2026-03.pdf"))[0]
    text = "".join(page.get_textpage().get_text_range().split())
    assert len(text) > 100
    assert all("\ue000" <= character <= "\uf8ff" for character in text)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("truncated.pdf", "Data format"),
        ("人事評価表 (要パスワード).pdf", "password"),
        ("plain-text.pdf", "format"),
    ],
)
def test_pdfium_refuses(name: str, reason: str) -> None:
    with pytest.raises(pypdfium2.PdfiumError, match=reason):
        pypdfium2.PdfDocument(bytes_of(f"broken/{name}"))


def test_protected_pdf_opens_with_its_password() -> None:
    data = bytes_of("broken/人事評価表 (要パスワード).pdf")
    assert len(pypdfium2.PdfDocument(data, password="sample-user")) == 1


def test_pillow_refuses_absurd_dimensions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 89_478_485)  # Pillow's own limit, which readers may lift
    assert len(bytes_of("broken/huge-dimensions.png")) < 200
    with pytest.raises(Image.DecompressionBombError, match="3600000000"):
        Image.open(BytesIO(bytes_of("broken/huge-dimensions.png")))


def test_empty_file_is_empty() -> None:
    assert bytes_of("broken/empty.pdf") == b""


@pytest.mark.skipif(not FONT.is_file(), reason="needs the Debian package fonts-ipaexfont")
def test_script_makes_the_committed_manifest(tmp_path: Path) -> None:
    subprocess.run([sys.executable, MANIFESTS / "make_sample.py", tmp_path], check=True)
    for name in ("sample.csv", "sample-expected.json"):
        assert (tmp_path / name).read_bytes() == (MANIFESTS / name).read_bytes()
    made = {
        path.relative_to(tmp_path).as_posix() for path in (tmp_path / "sample").rglob("*") if path.is_file()
    }
    assert made == files()
