"""Content that PDFium passes over in silence, and pages that are only blank."""

import random
import zlib
from contextlib import closing
from pathlib import Path

import pikepdf
import pytest

from batchjob.errors import FailureCategory
from batchjob.extract.pdf import open_pdf, read_page
from tests.extract.pdfs import pdf, words
from tests.extract.test_pdf import one_page

Name, Stream, Dictionary = pikepdf.Name, pikepdf.Stream, pikepdf.Dictionary
TEXT = b"BT /F0 12 Tf 10 50 Td (The shaft seal was replaced on Monday.) Tj ET " * 20
PACKED = zlib.compress(TEXT)
DEEP = b"[" * 1000
"""More than PDFium follows: it draws nothing of what comes after."""
DEEP_IDS = ["deep", "deep array", "deep digits", "deep lines", "deep form"]
BLANK = zlib.compress(b"q\n" * 400 + b"Q\n" * 400)


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
        (b"/Fm Do", None, b"garbage!" + PACKED[8:]),
        (DEEP + TEXT, None, None),
        (DEEP + b"BT /F0 -12 Tf [ 5 (The shaft seal was replaced.) -9.5 ] TJ ET", None, None),
        (DEEP + TEXT.replace(b"(The shaft seal was replaced on Monday.)", b"<54 6865>"), None, None),
        (DEEP + TEXT.replace(b"Tj", b"'"), None, None),
        (b"/Fm Do", None, zlib.compress(DEEP + TEXT)),
    ],
    ids=["head", "middle", "cut off", "ascii", "overwritten", "gone", "form", *DEEP_IDS],
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
        (b"BT /F0 12 Tf [-100]TJ [-200 300] TJ [()-100()]TJ ET", None, None),
        (b"% Do nothing, not so much as /Gone Do\nq Q", None, None),
        (b"/Span <</ActualText (/Gone Do)>> BDC EMC", None, None),
        (b"BT 10 10 Td (said in no font) Tj ET", None, None),
        (b"q BT /F0 12 Tf ET Q BT 10 10 Td (said in no font) Tj ET", None, None),
        (DEEP + b"BT /F0 12 Tf (((a) (b) Tj) c) ' ) ET", None, None),
        (DEEP + b"% " + TEXT, None, None),
        (b"(\\" * 2_000_000, None, None),
        (BLANK[:-4], "FlateDecode", None),
        (BLANK[:-4] + b"oops", "FlateDecode", None),
        (b"/Fm Do", None, BLANK[:-2]),
        (b"q Q", None, b"garbage!" + PACKED[8:]),
    ],
    ids=[
        "empty",
        "nothing packed",
        "space",
        "state",
        "artifact",
        "no words",
        "empty form",
        "other packing",
        "moves",
        "comment",
        "string",
        "no font",
        "no font any more",
        "words inside words",
        "words in a comment",
        "words without an end",
        "no checksum",
        "wrong checksum",
        "form without checksum",
        "undrawn form",
    ],
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


def with_shared_resources(path: Path, pages: int, pictures: int) -> Path:
    """Blank pages that inherit a letterhead, which they do not draw, and pictures of a megabyte each."""
    document = pikepdf.new()
    form = Stream(document, TEXT, Type=Name.XObject, Subtype=Name.Form, BBox=[0, 0, 300, 300])
    for _ in range(pages):
        document.add_blank_page(page_size=(300, 300))
    shared = {"/Letterhead": form}
    for number in range(pictures):
        data = random.Random(number).randbytes(1_000_000)
        size = {"Width": 1000, "Height": 1000, "BitsPerComponent": 8, "ColorSpace": Name.DeviceGray}
        shared[f"/Im{number}"] = Stream(document, data, Type=Name.XObject, Subtype=Name.Image, **size)
    document.Root.Pages.Resources = Dictionary(XObject=Dictionary(shared))
    for made in document.pages:
        del made.obj["/Resources"]
        made.Contents = Stream(document, b"q Q")
    document.save(path, compress_streams=False)
    return path


def test_what_a_blank_page_inherits_is_not_on_it(tmp_path: Path) -> None:
    assert "error" not in one_page(with_shared_resources(tmp_path / "a.pdf", 1, 0), tmp_path)


def test_a_stamp_is_no_content_of_the_page(tmp_path: Path) -> None:
    path = page(tmp_path / "a.pdf", b"q Q")
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        drawn = Stream(document, TEXT, Type=Name.XObject, Subtype=Name.Form, BBox=[0, 0, 300, 300])
        stamp = Dictionary(Type=Name.Annot, Subtype=Name.Stamp, Rect=[0, 0, 300, 300], AP=Dictionary(N=drawn))
        document.pages[0].Annots = pikepdf.Array([document.make_indirect(stamp)])
        document.save(path)
    assert "error" not in one_page(path, tmp_path)


@pytest.mark.parametrize("name", [b"9 0 R", b"[9 0 R]"])
def test_a_packing_that_is_named_elsewhere_is_no_damage(name: bytes, tmp_path: Path) -> None:
    path = page(tmp_path / "a.pdf", BLANK, "FlateDecode")
    data = path.read_bytes()
    assert b"/Filter /FlateDecode" in data
    path.write_bytes(
        data.replace(b"/Filter /FlateDecode", b"/Filter " + name) + b"9 0 obj/FlateDecode endobj"
    )
    assert "error" not in one_page(path, tmp_path)


def test_what_many_blank_pages_share_is_copied_only_so_often(tmp_path: Path) -> None:
    """Seen by what is said of later pages, which are not looked at any more."""
    path = with_shared_resources(tmp_path / "a.pdf", 3, 40)
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        for made in document.pages:
            made.Contents = Stream(document, b"/Gone Do")
        document.save(path)
    with closing(open_pdf(path)) as opened:
        found = [read_page(opened, number, tmp_path, 100) for number in (1, 2, 3)]
    assert [page["method"] for page in found] == ["failed", "blank", "blank"]
