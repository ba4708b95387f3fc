from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from batchjob.enrich.thumbnail import MAX_BYTES, MAX_HEIGHT, MAX_WIDTH, encode, to_srgb
from batchjob.extract import image as image_reader
from batchjob.extract.detect import Kind


def decoded(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("size", [(1654, 2339), (400, 300), (5, 9000), (9000, 5), (1, 1)])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBX", "RGBA", "LA", "CMYK"])
def test_any_image_becomes_a_small_progressive_jpeg(size: tuple[int, int], mode: str) -> None:
    image = decoded(encode(Image.new(mode, size)))
    assert image.format == "JPEG"
    assert image.info.get("progressive") == 1
    assert image.width <= min(MAX_WIDTH, size[0])
    assert image.height <= min(MAX_HEIGHT, size[1])


def test_the_hardest_image_stays_under_the_limit() -> None:
    noise = Image.merge("RGB", [Image.effect_noise((900, 1800), 200) for _ in range(3)])
    assert len(encode(noise)) <= MAX_BYTES


def test_what_is_transparent_is_white() -> None:
    assert decoded(encode(Image.new("RGBA", (10, 10), (0, 0, 0, 0)))).getpixel((5, 5)) == (255, 255, 255)


def test_colours_are_converted_by_their_profile() -> None:
    plain = Image.new("RGB", (4, 4), (200, 30, 30))
    plain.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = to_srgb(plain).getpixel((0, 0))
    assert isinstance(same, tuple)
    assert same == pytest.approx((200, 30, 30), abs=2)
    plain.info["icc_profile"] = b"no profile"
    assert to_srgb(plain) is plain


def test_a_photo_stands_upright_and_a_damaged_one_has_none(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 300)).save(tmp_path / "a.jpg", exif=exif)
    found = image_reader.thumbnail(tmp_path / "a.jpg", Kind.JPEG)
    assert found is not None
    assert decoded(found).size == (300, 400)
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:300])
    assert image_reader.thumbnail(tmp_path / "b.jpg", Kind.JPEG) is None
