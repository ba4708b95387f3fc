"""Damage that PDFium passes over in silence, and pages that are only blank."""

import zlib
from pathlib import Path

import pikepdf
import pytest
from PIL import Image

from batchjob.errors import FailureCategory
from tests.extract.pdfs import HEIGHT, WIDTH, pdf, picture, printed, together, words
from tests.extract.test_pdf import one_page
from tests.extract.test_scan import scan

Name, Stream, Dictionary = pikepdf.Name, pikepdf.Stream, pikepdf.Dictionary
TEXT = b"BT /F0 12 Tf 10 50 Td (The shaft seal was replaced on Monday.) Tj ET " * 20
PACKED = zlib.compress(TEXT)
FAX = Image.new("1", (1728, 2200), 1)


def page(path: Path, content: bytes, packing: str | None = None, form: bytes | None = None) -> Path:
    """A page whose content is these bytes, said to be packed in that way; `form` is that of a form `Fm`."""
    document = pikepdf.new()
    made = document.add_blank_page(page_size=(300, 300))
    made.Resources = Dictionary(
        Font=Dictionary(F0=Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica))
    )
    if form is not None:
        wrapped = Stream(document, b"", Type=Name.XObject, Subtype=Name.Form, BBox=[0, 0, 300, 300])
        wrapped.write(form, filter=Name.FlateDecode)
        made.Resources.XObject = Dictionary(Fm=wrapped)
    stream = Stream(document, b"")
    stream.write(content, filter=None if packing is None else Name("/" + packing))
    made.Contents = document.make_indirect(stream)
    document.save(path, stream_decode_level=pikepdf.StreamDecodeLevel.none, compress_streams=False)
    return path


@pytest.mark.parametrize(
    ("content", "packing", "form"),
    [
        (b"garbage!" + PACKED[8:], "FlateDecode", None),
        (PACKED[:12] + b"\xff\x00\xff\x00" + PACKED[16:], "FlateDecode", None),
        (PACKED[:8], "FlateDecode", None),
        (b"}z" * 40, "ASCII85Decode", None),
        (bytes(range(128, 256)) * 4, None, None),
        (b"q 100 0 0 100 0 0 cm /Gone Do Q", None, None),
        (b"BT 10 10 Td (said in no font) Tj ET", None, None),
        (b"/Fm Do", None, b"garbage!" + PACKED[8:]),
    ],
    ids=["head", "middle", "cut off", "ascii", "overwritten", "gone", "no font", "form"],
)
def test_lost_content_is_told(
    content: bytes, packing: str | None, form: bytes | None, tmp_path: Path
) -> None:
    found = one_page(page(tmp_path / "a.pdf", content, packing, form), tmp_path)
    assert (found["method"], found["text"]) == ("failed", "")
    assert found["error"]["category"] is FailureCategory.CORRUPT
    assert "page" in found["error"]["message"]


@pytest.mark.parametrize(
    ("content", "packing", "form"),
    [
        (b"", None, None),
        (b"", "FlateDecode", None),
        (b" \n", None, None),
        (b"q Q", None, None),
        (zlib.compress(b"q 0.1 w /Artifact BMC EMC 1 0 0 1 0 0 cm Q"), "FlateDecode", None),
        (b"BT /F0 12 Tf 10 10 Td () Tj [] TJ ( ) Tj ET", None, None),
        (b"/Fm Do", None, zlib.compress(b"q Q")),
        (b"80 0b 80", "LZWDecode", None),
    ],
    ids=["empty", "nothing packed", "space", "state", "artifact", "no words", "empty form", "other packing"],
)
def test_a_blank_page_is_only_blank(
    content: bytes, packing: str | None, form: bytes | None, tmp_path: Path
) -> None:
    found = one_page(page(tmp_path / "a.pdf", content, packing, form), tmp_path)
    assert (found["method"], "error" in found) == ("blank", False)


def test_blank_pages_of_a_program_that_writes_arrays_of_contents(tmp_path: Path) -> None:
    with pikepdf.open(pdf(tmp_path / "a.pdf", words())) as document:
        contents = [document.make_indirect(Stream(document, data)) for data in (b"q", b" Q")]
        document.pages[0].Contents = document.make_indirect(pikepdf.Array(contents))
        document.save(tmp_path / "b.pdf")
    assert "error" not in one_page(tmp_path / "b.pdf", tmp_path)


def fax(path: Path, image: Image.Image, damage: bytes = b"") -> Path:
    """A scan whose data begins with `damage`."""
    path = scan(path, image, how="g4")
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        stream = document.pages[0].Resources.XObject.Im
        data = stream.read_raw_bytes()
        damaged = (damage + data[len(damage) :])[: len(data)]
        stream.write(damaged, filter=stream.Filter, decode_parms=stream.DecodeParms)
        document.save(path)
    return path


@pytest.mark.parametrize("damage", [b"\xff" * 3000, bytes(10**6)], ids=["head", "all"])
def test_a_damaged_fax_is_no_blank_page(damage: bytes, tmp_path: Path) -> None:
    print_ = printed(*["The shaft seal of the second pump was replaced."] * 20).convert("1")
    found = one_page(fax(tmp_path / "a.pdf", print_, damage), tmp_path)
    assert found["error"]["category"] is FailureCategory.CORRUPT
    assert found["method"] == "failed"


@pytest.mark.parametrize("shade", [0, 1])
@pytest.mark.parametrize("how", ["g4", "flate", "jpeg"])
def test_an_empty_scan_is_blank_however_it_is_packed(how: str, shade: int, tmp_path: Path) -> None:
    image = Image.new("L" if how == "jpeg" else "1", FAX.size, shade * (255 if how == "jpeg" else 1))
    found = one_page(scan(tmp_path / "a.pdf", image, how=how), tmp_path)
    assert (found["method"], "error" in found) == ("blank", False)


@pytest.mark.parametrize("plain", [True, False])
def test_an_empty_scan_without_packing_is_blank(plain: bool, tmp_path: Path) -> None:
    path = scan(tmp_path / "a.pdf", Image.new("RGB", (1700, 2200), (250, 251, 252)))
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        document.save(path, compress_streams=not plain)
    assert "error" not in one_page(path, tmp_path)


def test_a_lost_picture_beside_others_is_told(tmp_path: Path) -> None:
    path = pdf(
        tmp_path / "a.pdf",
        together(
            picture(printed("HELLO"), 0, HEIGHT / 2, WIDTH, HEIGHT / 2),
            picture(printed("WORLD"), 0, 0, WIDTH, HEIGHT / 2),
        ),
    )
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        first, _ = document.pages[0].get_images().values()
        first.write(b"no JPEG 2000", filter=Name.JPXDecode)
        document.save(path)
    found = one_page(path, tmp_path)
    assert (found["method"], "image" in found) == ("ocr", True)
    assert "cannot be drawn" in found["error"]["message"]
