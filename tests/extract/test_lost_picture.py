"""Pictures that are damaged, which PDFium passes over in silence, and pictures that are whole."""

import random
import zlib
from io import BytesIO
from pathlib import Path

import pikepdf
import pytest
from PIL import Image

from batchjob.errors import FailureCategory
from tests.extract.pdfs import HEIGHT, WIDTH, image_bytes, pdf, picture, printed, together
from tests.extract.test_pdf import one_page
from tests.extract.test_scan import scan

Name, Stream, Dictionary = pikepdf.Name, pikepdf.Stream, pikepdf.Dictionary
FAX = Image.new("1", (1728, 2200), 1)


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


def huge_page(path: Path) -> Path:
    """A page that is one damaged picture of 121 million pixels."""
    return picture_page(path, b"no JPEG 2000", Width=11_000, Height=11_000, Filter=Name.JPXDecode)


def test_a_huge_picture_that_does_not_show_is_told(tmp_path: Path) -> None:
    found = one_page(huge_page(tmp_path / "a.pdf"), tmp_path)
    assert (found["method"], found["error"]["category"]) == ("failed", FailureCategory.TOO_LARGE)
    assert "11,000 x 11,000 pixels" in found["error"]["message"]


def test_a_huge_picture_is_not_unpacked_again_where_something_shows(tmp_path: Path) -> None:
    path = huge_page(tmp_path / "a.pdf")
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        document.pages[0].Contents = Stream(document, b"10 10 50 50 re f q 99 0 0 99 0 0 cm /Im Do Q")
        document.save(path)
    assert "error" not in one_page(path, tmp_path)


@pytest.mark.parametrize(
    ("packing", "data"),
    [(None, b"x" * 900), ("FlateDecode", zlib.compress(b"")), ("CCITTFaxDecode", b"\0\x10\x01")],
    ids=["plain", "flate", "fax"],
)
def test_a_picture_with_hardly_any_data_is_told(packing: str | None, data: bytes, tmp_path: Path) -> None:
    about = {"Filter": Name("/" + packing)} if packing else {}
    path = picture_page(tmp_path / "a.pdf", data, BitsPerComponent=1, **about)
    error = one_page(path, tmp_path)["error"]
    assert (error["category"], "cut off" in error["message"]) == (FailureCategory.CORRUPT, True)


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
