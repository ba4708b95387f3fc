"""Images of every mode and kind that people store, read as the parse child reads them."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from batchjob.errors import FailureCategory
from batchjob.extract.child import DONE, events
from batchjob.extract.detect import Kind
from batchjob.extract.image import page_count, resolution, to_gray
from batchjob.extract.pdf import MAX_RENDERED

LIMIT = 200_000_000


def page_events(path: Path, out: Path, **changes: Any) -> list[dict[str, Any]]:
    arguments = {"path": str(path), "pages": [1, 2, 3], "dpi": 200, "max_pixels": LIMIT, "out": str(out)}
    asked = {**arguments, "thumbnail": False, **changes}
    *found, done = events(asked, [asked])
    assert done == DONE
    return [dict(event) for event in found]


def drawing(mode: str = "L", size: tuple[int, int] = (1654, 2339)) -> Image.Image:
    """White paper with a black bar at the top left."""
    image = Image.new("L", size, 255)
    ImageDraw.Draw(image).rectangle((0, 0, size[0] // 2, size[1] // 10), fill=0)
    return image.convert(mode)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("1", "tif"),
        ("L", "png"),
        ("P", "gif"),
        ("LA", "png"),
        ("RGB", "jpg"),
        ("RGB", "bmp"),
        ("RGB", "webp"),
        ("RGBA", "png"),
        ("CMYK", "jpg"),
        ("CMYK", "tif"),
        ("I;16", "png"),
        ("I;16", "tif"),
        ("F", "tif"),
    ],
)
def test_every_mode_becomes_the_same_gray(mode: str, suffix: str, tmp_path: Path) -> None:
    image = drawing("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = image.convert("I").point(lambda value: value * 257).convert("I;16")
    path = tmp_path / f"scan.{suffix}"
    image.save(path, dpi=(200, 200))
    document, page = page_events(path, tmp_path)
    assert document["page_count"] == 1
    assert (page["method"], page["dpi"]) == ("ocr", 200)
    with Image.open(tmp_path / page["image"]) as gray:
        assert (gray.mode, gray.size) == ("L", (1654, 2339))
        dark, light = gray.getpixel((100, 50)), gray.getpixel((1600, 2300))
    assert isinstance(dark, int)
    assert isinstance(light, int)
    assert dark < 40
    assert light > 250


def test_what_is_transparent_is_paper() -> None:
    assert to_gray(Image.new("RGBA", (4, 4), (0, 0, 0, 0))).getextrema() == (255, 255)


def test_twelve_bits_in_sixteen_are_scaled_by_the_brightest() -> None:
    image = Image.new("I;16", (4, 4), 4095)
    image.putpixel((0, 0), 0)
    assert to_gray(image).getextrema() == (0, 255)


def test_exif_orientation_stands_the_page_up(tmp_path: Path) -> None:
    turned = drawing().transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise for viewing
    turned.save(tmp_path / "photo.jpg", exif=exif, dpi=(400, 400))
    _, page = page_events(tmp_path / "photo.jpg", tmp_path)
    with Image.open(tmp_path / page["image"]) as gray:
        assert gray.width < gray.height
        corner = gray.getpixel((5, 5))
    assert isinstance(corner, int)
    assert corner < 60


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("options", [{}, {"big_tiff": True}, {"compression": "tiff_lzw"}], ids=str)
def test_frames_are_counted_as_pillow_counts_them(
    count: int, options: dict[str, Any], tmp_path: Path
) -> None:
    frames = [drawing(size=(60, 80))] * count
    path = tmp_path / "a.tif"
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    with Image.open(path) as image:
        assert page_count(path, Kind.TIFF) == getattr(image, "n_frames", 1) == count
    path.write_bytes(path.read_bytes()[:-4])
    assert page_count(path, Kind.TIFF) in (max(count - 1, 1), count)


def test_frames_of_a_tiff_are_pages_and_an_animation_is_one(tmp_path: Path) -> None:
    frames = [
        drawing(size=(600, 800)),
        drawing(size=(600, 800)).rotate(180),
        drawing(size=(600, 800)).rotate(90),
    ]
    for suffix, count in (("tif", 3), ("gif", 1), ("webp", 1)):
        path = tmp_path / f"frames.{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:])
        document, *pages = page_events(path, tmp_path)
        assert (document["page_count"], [page["page"] for page in pages]) == (count, [1, 2, 3][:count])
        assert ("the first of 3 frames" in pages[0]["note"]) == (count == 1)


@pytest.mark.parametrize(
    ("size", "stated", "expected"),
    [
        ((1654, 2339), (200, 200), 200),
        ((1654, 2339), None, 200),
        ((1654, 2339), (1, 1), 200),
        ((4000, 3000), (72, 72), 342),
        ((595, 842), (72, 72), 72),
        ((9921, 14031), (1200, 1200), 1200),
    ],
)
def test_resolution(
    size: tuple[int, int], stated: tuple[int, int] | None, expected: int, tmp_path: Path
) -> None:
    image = Image.new("1", size)
    if stated:
        image.info["dpi"] = stated
    assert round(resolution(image)[0]) == expected


def test_fax_pixels_become_square_and_small_pictures_are_enlarged(tmp_path: Path) -> None:
    drawing("1", (1728, 1145)).save(tmp_path / "fax.tif", dpi=(204, 98), compression="group4")
    _, page = page_events(tmp_path / "fax.tif", tmp_path)
    with Image.open(tmp_path / page["image"]) as gray:
        assert gray.width / gray.height == pytest.approx(1728 / (1145 * 204 / 98), rel=0.01)
    drawing(size=(800, 600)).save(tmp_path / "screen.png")
    _, page = page_events(tmp_path / "screen.png", tmp_path)
    with Image.open(tmp_path / page["image"]) as gray:
        assert gray.width > 2 * 800


def test_too_many_pixels_are_refused_by_the_header(tmp_path: Path) -> None:
    drawing("1", (3000, 3000)).save(tmp_path / "big.png")
    [failure] = page_events(tmp_path / "big.png", tmp_path, max_pixels=1_000_000)
    assert (failure["event"], failure["category"]) == ("failure", FailureCategory.TOO_LARGE)
    assert "3,000 x 3,000" in failure["message"]


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "gif", "bmp"])
def test_what_is_there_of_a_truncated_image_is_read(suffix: str, tmp_path: Path) -> None:
    whole, cut = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
    page = Image.effect_noise((800, 1200), 60)
    page.save(whole, dpi=(200, 200), **({"interlace": 0} if suffix == "gif" else {}))
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 7 // 10])
    pictures = []
    for path in (whole, cut):
        _, event = page_events(path, tmp_path)
        assert event["method"] == "ocr"
        with Image.open(tmp_path / event["image"]) as gray:
            top = gray.height // 2 if suffix == "bmp" else 0  # which is stored from the bottom
            pictures.append(gray.crop((0, top, gray.width, top + gray.height // 2)))
    assert event["error"]["category"] == FailureCategory.CORRUPT
    assert "what could be decoded" in event["error"]["message"]
    assert pictures[0] == pictures[1]


def test_a_truncated_tiff_keeps_the_pages_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    page = Image.effect_noise((600, 800), 60)
    page.save(path, save_all=True, append_images=[page, page])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    document, *pages = page_events(path, tmp_path)
    assert document["page_count"] == len(pages) == 2
    assert ["error" in page for page in pages] == [False, True]


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "gif", "bmp", "webp"])
def test_truncated_images_are_corrupt(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"whole.{suffix}"
    Image.effect_noise((400, 400), 90).convert("RGB").save(path)
    data = path.read_bytes()
    for share in (0.02, 0.5, 0.9):
        path.write_bytes(data[: int(len(data) * share)])
        last = page_events(path, tmp_path)[-1]
        error = last if last["event"] == "failure" else last["error"]
        assert error["category"] == FailureCategory.CORRUPT
        assert str(tmp_path) not in error["message"]


def test_long_strips_stay_small(tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((20, 60_000)).save(tmp_path / "strip.png")
    _, page = page_events(tmp_path / "strip.png", tmp_path)
    with Image.open(tmp_path / page["image"]) as gray:
        assert max(gray.size) < 2400


def test_a_line_of_pixels_is_blank(tmp_path: Path) -> None:
    Image.new("L", (1, 60_000)).save(tmp_path / "line.png")
    _, page = page_events(tmp_path / "line.png", tmp_path)
    assert page["method"] == "blank"


def test_a_huge_image_is_read_at_the_size_of_the_largest_rendered_page(tmp_path: Path) -> None:
    path = tmp_path / "plan.png"
    drawing(size=(9000, 6000)).save(path, dpi=(200, 200))
    _, page, *_ = page_events(path, tmp_path)
    with Image.open(tmp_path / page["image"]) as gray:
        width, height = gray.size
        assert 0.95 * MAX_RENDERED < width * height <= 1.001 * MAX_RENDERED
        assert page["dpi"] == pytest.approx(200 * width / 9000, abs=1)
