"""A page's own image against PDFium's rendering of the page, however the image lies and is stored."""

import math
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pikepdf
import pypdfium2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from batchjob.extract.scan import MAX_PIXELS, ImageKeys, own_picture
from tests.extract.pdfs import printed

Name, Stream, Dictionary, Array = pikepdf.Name, pikepdf.Stream, pikepdf.Dictionary, pikepdf.Array
COLOURS = {"1": Name.DeviceGray, "L": Name.DeviceGray, "RGB": Name.DeviceRGB, "CMYK": Name.DeviceCMYK}
UPRIGHT = "1 0 0 1 0 0"
PAGE = (120, 160)
WHOLE = "q 120 0 0 160 0 0 cm /Im Do Q"


def scene(width: int, height: int) -> Image.Image:
    """Gray with a different light in each corner, so that any turning shows."""
    corners = Image.new("L", (2, 2))
    corners.putdata([10, 90, 170, 250])
    return corners.resize((width, height), Image.Resampling.BICUBIC)


def coded(image: Image.Image, how: str) -> tuple[bytes, dict[str, object]]:
    """The data of an image and the keys that say how it is packed."""
    if how == "jpeg":
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=90)
        return buffer.getvalue(), {"/Filter": Name.DCTDecode}
    if how == "g4":
        buffer = BytesIO()
        image.save(buffer, "TIFF", compression="group4", tiffinfo={278: image.height})
        with Image.open(buffer) as tiff:
            tags: dict[int, tuple[int, ...]] = tiff.tag_v2  # type: ignore[attr-defined]
            (start,), (length,) = tags[273], tags[279]
        parameters = Dictionary(K=-1, Columns=image.width, Rows=image.height, BlackIs1=False)
        return buffer.getvalue()[start : start + length], {
            "/Filter": Name.CCITTFaxDecode,
            "/DecodeParms": parameters,
        }
    return image.tobytes(), {}


def scan(
    path: Path,
    image: Image.Image,
    content: str = WHOLE,
    *,
    how: str = "flate",
    form: str | None = None,
    image_keys: dict[str, object] | None = None,
    page_keys: dict[str, object] | None = None,
    form_keys: dict[str, object] | None = None,
) -> Path:
    """A page that shows the image `Im` by its content, or by a form `Fm` with the content `form`."""
    document = pikepdf.new()
    page = document.add_blank_page(page_size=PAGE)
    data, packing = coded(image, how)
    stream = Stream(
        document,
        data,
        Type=Name.XObject,
        Subtype=Name.Image,
        Width=image.width,
        Height=image.height,
        BitsPerComponent=1 if image.mode == "1" else 8,
        ColorSpace=COLOURS[image.mode],
    )
    for key, value in (packing | (image_keys or {})).items():
        if value is None:
            del stream[key]
        else:
            stream[key] = Stream(document, value) if isinstance(value, bytes) else value
    resources = Dictionary(XObject=Dictionary(Im=stream), Font=Dictionary(F0=FONT))
    if form is not None:
        wrapped = Stream(
            document, form.encode(), Type=Name.XObject, Subtype=Name.Form, BBox=[-999, -999, 999, 999]
        )
        wrapped.Resources = resources
        for key, value in (form_keys or {}).items():
            wrapped[key] = value
        resources = Dictionary(XObject=Dictionary(Fm=wrapped))
    page.Resources = resources
    page.Contents = Stream(document, content.encode())
    for key, value in (page_keys or {}).items():
        page[key] = value
    document.save(path)
    return path


FONT = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)


def both(path: Path, scale: float = 1.0) -> tuple[Image.Image | None, Image.Image]:
    """The page from its own image, and rendered."""
    with pypdfium2.PdfDocument(path) as document, closing(document[0]) as page:
        size = (math.ceil(page.get_width() * scale), math.ceil(page.get_height() * scale))
        own = own_picture(page, ImageKeys(path), size)
        with closing(page.render(scale=scale, grayscale=True)) as bitmap:
            rendered = bitmap.to_pil().convert("L").copy()
    assert own is None or own.size == rendered.size == size
    return own, rendered


def difference(one: Image.Image | None, other: Image.Image) -> float:
    """Mean difference in gray levels."""
    assert one is not None
    return ImageStat.Stat(ImageChops.difference(one, other)).mean[0]


@dataclass(frozen=True)
class Lying:
    """How an image lies: the corner at (x, y), sides along the axes, exchanged or mirrored; in points."""

    x: float
    y: float
    width: float
    height: float
    is_turned: bool
    mirrored_across: bool
    mirrored_up: bool

    @property
    def content(self) -> str:
        x, y, width, height = self.x, self.y, self.width, self.height
        if self.mirrored_across:
            x, width = x + width, -width
        if self.mirrored_up:
            y, height = y + height, -height
        sides = f"0 {height} {width} 0" if self.is_turned else f"{width} 0 0 {height}"
        return f"q {sides} {x} {y} cm /Im Do Q"


places = st.builds(
    Lying,
    x=st.floats(-40, 50).map(lambda value: round(value, 2)),
    y=st.floats(-30, 80).map(lambda value: round(value, 2)),
    width=st.floats(60, 240).map(lambda value: round(value, 2)),
    height=st.floats(60, 240).map(lambda value: round(value, 2)),
    is_turned=st.booleans(),
    mirrored_across=st.booleans(),
    mirrored_up=st.booleans(),
)
stored = st.sampled_from(
    [
        ("1", "g4"),
        ("1", "flate"),
        ("L", "flate"),
        ("L", "jpeg"),
        ("RGB", "flate"),
        ("RGB", "jpeg"),
        ("CMYK", "flate"),
    ]
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=places,
    kind=stored,
    size=st.tuples(st.integers(90, 700), st.integers(90, 700)),
    rotate=st.sampled_from([0, 90, 180, 270]),
    inverted=st.booleans(),
    in_form=st.booleans(),
    crop=st.booleans(),
    scale=st.sampled_from([1.0, 1.7]),
)
def test_the_image_shows_what_a_rendering_shows(
    place: Lying,
    kind: tuple[str, str],
    size: tuple[int, int],
    rotate: int,
    inverted: bool,
    in_form: bool,
    crop: bool,
    scale: float,
    tmp_path: Path,
) -> None:
    mode, how = kind
    image = scene(*size).convert(mode, dither=Image.Dither.NONE)
    ends = [1, 0] if inverted else [0, 1]
    page_keys: dict[str, object] = {"/Rotate": rotate} | ({"/CropBox": [10, 20, 100, 150]} if crop else {})
    path = scan(
        tmp_path / "scan.pdf",
        image,
        "q .5 0 0 2 0 0 cm /Fm Do Q" if in_form else place.content,
        how=how,
        form=f"q 2 0 0 .5 0 0 cm {place.content} Q" if in_form else None,
        image_keys={"/Decode": Array(ends * len(image.getbands()))} if inverted else None,
        page_keys=page_keys,
    )
    own, rendered = both(path, scale)
    assert difference(own, rendered) < 4


@pytest.mark.parametrize("how", ["jpeg", "flate"])
def test_print_keeps_its_place(how: str, tmp_path: Path) -> None:
    own, rendered = both(scan(tmp_path / "scan.pdf", printed("HELLO", "WORLD"), how=how), scale=3)
    assert difference(own, rendered) < 4


def test_palettes(tmp_path: Path) -> None:
    image = scene(200, 300)
    palette = pikepdf.String(bytes(255 - value // 3 for value in range(256) for _ in range(3)))
    path = scan(
        tmp_path / "scan.pdf",
        image,
        image_keys={"/ColorSpace": Array([Name.Indexed, Name.DeviceRGB, 255, palette])},
    )
    assert difference(*both(path)) < 3


def test_text_of_an_earlier_ocr_is_no_hindrance(tmp_path: Path) -> None:
    path = scan(tmp_path / "scan.pdf", scene(200, 300), WHOLE + " BT 3 Tr /F0 12 Tf 20 50 Td (earlier) Tj ET")
    assert difference(*both(path)) < 3


def test_a_damaged_jpeg_is_left_to_the_renderer_or_read_as_it_does(tmp_path: Path) -> None:
    path = scan(tmp_path / "scan.pdf", printed("HELLO"), how="jpeg")
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        stream = document.pages[0].Resources.XObject.Im
        data = stream.read_raw_bytes()
        stream.write(data[: len(data) // 2], filter=Name.DCTDecode)
        document.save(path)
    own, rendered = both(path)
    assert own is None or difference(own, rendered) < 4


ANNOTATION = Dictionary(
    Type=Name.Annot, Subtype=Name.Square, Rect=[10, 10, 60, 60], C=[0, 0, 0], BS=Dictionary(W=4)
)
LINK = Dictionary(Type=Name.Annot, Subtype=Name.Link, Rect=[10, 10, 60, 60], Border=[0, 0, 0])


@pytest.mark.parametrize(
    "content",
    [
        "q 120 3 0 160 0 0 cm /Im Do Q",
        "q 10 10 50 50 re W n " + WHOLE + " Q",
        "q 60 0 0 160 0 0 cm /Im Do Q q 60 0 0 160 60 0 cm /Im Do Q",
        WHOLE + " 10 10 30 30 re f",
        WHOLE + " BT /F0 12 Tf 20 50 Td (RECEIVED) Tj ET",
        "",
        "q 120 0 0 0 0 0 cm /Im Do Q",
        "q 120 0 0 1e38 0 0 cm /Im Do Q",
        "/OC << /Type /OCG >> BDC " + WHOLE + " EMC",
    ],
    ids=["skewed", "clipped", "strips", "line", "stamp", "empty", "folded flat", "beyond bounds", "layer"],
)
def test_other_pages_are_rendered(content: str, tmp_path: Path) -> None:
    assert both(scan(tmp_path / "scan.pdf", scene(200, 300), content))[0] is None


@pytest.mark.parametrize(
    "keys",
    [
        {"/Mask": Array([0, 100])},
        {"/ImageMask": True, "/ColorSpace": None, "/BitsPerComponent": 1},
    ],
    ids=["colour-key", "stencil"],
)
def test_see_through_images_are_rendered(keys: dict[str, object], tmp_path: Path) -> None:
    assert both(scan(tmp_path / "scan.pdf", scene(200, 304), image_keys=keys))[0] is None


@pytest.mark.parametrize("key", ["/SMask", "/Mask"])
def test_masked_images_are_rendered(key: str, tmp_path: Path) -> None:
    path = scan(tmp_path / "scan.pdf", scene(200, 300))
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        image = document.pages[0].Resources.XObject.Im
        mask = Stream(document, bytes(25), Width=8, Height=25, Type=Name.XObject, Subtype=Name.Image)
        mask.BitsPerComponent = 1
        if key == "/SMask":
            mask.ColorSpace = Name.DeviceGray
        else:
            mask.ImageMask = True
        image[key] = document.make_indirect(mask)
        document.save(path)
    assert both(path)[0] is None


@pytest.mark.parametrize("how", ["flate", "jpeg"])
def test_images_of_optional_content_are_rendered(how: str, tmp_path: Path) -> None:
    layer = Dictionary(Type=Name.OCG, Name="Hidden")
    assert both(scan(tmp_path / "a.pdf", scene(200, 300), how=how, image_keys={"/OC": layer}))[0] is None
    keys = {"/OC": layer}
    assert both(scan(tmp_path / "b.pdf", scene(200, 300), "/Fm Do", form=WHOLE, form_keys=keys))[0] is None


@pytest.mark.parametrize(("how", "is_taken"), [("flate", False), ("jpeg", True)])
def test_only_jpegs_of_any_size_are_taken(how: str, is_taken: bool, tmp_path: Path) -> None:
    image = scene(100, 100).resize((5200, MAX_PIXELS // 5200 + 1), Image.Resampling.NEAREST)
    own, _ = both(scan(tmp_path / "a.pdf", image, how=how))
    assert (own is not None) == is_taken


def test_annotations_that_show_are_rendered(tmp_path: Path) -> None:
    image = scene(200, 300)
    assert both(scan(tmp_path / "a.pdf", image, page_keys={"/Annots": Array([ANNOTATION])}))[0] is None
    assert both(scan(tmp_path / "b.pdf", image, page_keys={"/Annots": Array([LINK])}))[0] is not None


def test_mixed_colours_are_rendered(tmp_path: Path) -> None:
    group = {"/Group": Dictionary(S=Name.Transparency)}
    assert both(scan(tmp_path / "a.pdf", scene(200, 300), "/Fm Do", form=WHOLE, form_keys=group))[0] is None


def test_a_mask_that_is_none_is_no_mask(tmp_path: Path) -> None:
    keys = {"/ExtGState": Dictionary(G=Dictionary(SMask=Name("/None")))}
    assert both(scan(tmp_path / "a.pdf", scene(200, 300), page_keys=keys))[0] is not None
