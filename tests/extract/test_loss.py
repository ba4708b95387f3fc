"""Damage that PDFium passes over in silence, and pages that are only blank."""

import random
import zlib
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pikepdf
import pytest
from PIL import Image

from batchjob.errors import FailureCategory
from batchjob.extract.pdf import open_pdf, read_page
from tests.extract.pdfs import HEIGHT, WIDTH, image_bytes, pdf, picture, printed, together, words
from tests.extract.test_pdf import one_page
from tests.extract.test_scan import scan

Name, Stream, Dictionary = pikepdf.Name, pikepdf.Stream, pikepdf.Dictionary
TEXT = b"BT /F0 12 Tf 10 50 Td (The shaft seal was replaced on Monday.) Tj ET " * 20
PACKED = zlib.compress(TEXT)
BLANK = zlib.compress(b"q\n" * 400 + b"Q\n" * 400)
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
        (b"/Fm Do", None, b"garbage!" + PACKED[8:]),
    ],
    ids=["head", "middle", "cut off", "ascii", "overwritten", "gone", "form"],
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


def test_a_packing_that_is_named_elsewhere_is_no_damage(tmp_path: Path) -> None:
    path = page(tmp_path / "a.pdf", BLANK, "FlateDecode")
    data = path.read_bytes()
    assert b"/Filter /FlateDecode" in data
    path.write_bytes(data.replace(b"/Filter /FlateDecode", b"/Filter 9 0 R") + b"9 0 obj/FlateDecode endobj")
    assert "error" not in one_page(path, tmp_path)


def test_what_many_blank_pages_share_is_copied_once_at_most(tmp_path: Path) -> None:
    """Seen by what is said of a page after it, which is not looked at any more."""
    path = with_shared_resources(tmp_path / "a.pdf", 3, 70)
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        for made in document.pages:
            made.Contents = Stream(document, b"/Gone Do")
        document.save(path)
    with closing(open_pdf(path)) as opened:
        found = [read_page(opened, number, tmp_path, 100) for number in (1, 2, 3)]
    assert [page["method"] for page in found] == ["blank"] * 3


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


def picture_page(path: Path, data: bytes, **about: object) -> Path:
    """A page that is one picture, with this data and these keys."""
    document = pikepdf.new()
    made = document.add_blank_page(page_size=(300, 300))
    keys = {"Width": 400, "Height": 400, "BitsPerComponent": 8, "ColorSpace": Name.DeviceGray} | about
    image = Stream(document, data, Type=Name.XObject, Subtype=Name.Image, **keys)
    made.Resources = Dictionary(XObject=Dictionary(Im=image))
    made.Contents = Stream(document, b"q 300 0 0 300 0 0 cm /Im Do Q")
    document.save(path, stream_decode_level=pikepdf.StreamDecodeLevel.none, compress_streams=False)
    return path


NOISE = random.Random(1).randbytes(400 * 400)
ONE_SHADE = pikepdf.Array([Name.Indexed, Name.DeviceGray, 255, pikepdf.String(b"\xff" * 256)])


@pytest.mark.parametrize(
    "about",
    [{"Decode": [1, 1]}, {"ColorSpace": ONE_SHADE}],
    ids=["flattened", "palette of one shade"],
)
@pytest.mark.parametrize("packed", [True, False])
def test_a_picture_that_shows_one_shade_of_many_values_is_whole(
    about: dict[str, object], packed: bool, tmp_path: Path
) -> None:
    about = about | ({"Filter": Name.FlateDecode} if packed else {})
    path = picture_page(tmp_path / "a.pdf", zlib.compress(NOISE) if packed else NOISE, **about)
    assert "error" not in one_page(path, tmp_path)


def test_a_damaged_flate_picture_is_told(tmp_path: Path) -> None:
    path = picture_page(tmp_path / "a.pdf", bytes(len(NOISE)), Filter=Name.FlateDecode)
    assert one_page(path, tmp_path)["method"] == "failed"


def test_a_picture_of_very_many_pixels_is_not_unpacked_again(tmp_path: Path) -> None:
    path = picture_page(
        tmp_path / "a.pdf", b"no JPEG 2000", Width=11_000, Height=11_000, Filter=Name.JPXDecode
    )
    assert "error" not in one_page(path, tmp_path)


PRINT = image_bytes(printed(*["The shaft seal of the second pump was replaced."] * 20), "JPEG")


def jpeg_page(path: Path, data: bytes, **about: object) -> Path:
    with Image.open(BytesIO(PRINT)) as image:
        width, height = image.size
    return picture_page(path, data, Width=width, Height=height, Filter=Name.DCTDecode, **about)


@pytest.mark.parametrize("about", [{}, {"Decode": [1, 0]}], ids=["own image", "rendered or own pixels"])
@pytest.mark.parametrize("length", [400, len(PRINT) // 2, len(PRINT) - 1000])
def test_a_jpeg_that_is_cut_off_is_read_and_told(
    length: int, about: dict[str, object], tmp_path: Path
) -> None:
    found = one_page(jpeg_page(tmp_path / "a.pdf", PRINT[:length], **about), tmp_path)
    assert found["error"]["category"] is FailureCategory.CORRUPT
    assert "cut off" in found["error"]["message"]
    assert (found["method"], "image" in found) == ("ocr", True) or length == 400


@pytest.mark.parametrize("end", [b"", b"\xff", b"\xff\xd9" + bytes(3000)], ids=["none", "half", "padded"])
def test_a_jpeg_that_lacks_only_its_end_mark_is_whole(end: bytes, tmp_path: Path) -> None:
    assert "error" not in one_page(jpeg_page(tmp_path / "a.pdf", PRINT[:-2] + end), tmp_path)


def test_a_jpeg_that_claims_more_pixels_than_anyone_opens(tmp_path: Path) -> None:
    at = PRINT.index(b"\xff\xc0") + 5
    claims = PRINT[:at] + b"\xff\xff\xff\xff" + PRINT[at + 4 : len(PRINT) // 2]
    assert one_page(jpeg_page(tmp_path / "a.pdf", claims), tmp_path)["page"] == 1
