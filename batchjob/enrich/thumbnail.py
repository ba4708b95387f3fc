"""Encodes a document's small picture; called in the parse child, which alone touches untrusted pixels."""

from io import BytesIO

from PIL import Image

MAX_WIDTH = 800
MAX_HEIGHT = 1600
MAX_BYTES = 120_000
_QUALITIES = (70, 60, 50, 40, 30)
_ENCODED_AS_THEY_ARE = ("L", "RGB", "RGBX")


def encode(image: Image.Image) -> bytes:
    """A progressive JPEG of at most MAX_WIDTH x MAX_HEIGHT pixels and MAX_BYTES bytes."""
    image = _on_white(image)
    image.thumbnail((MAX_WIDTH, MAX_HEIGHT), Image.Resampling.LANCZOS, reducing_gap=2.0)
    while True:
        for quality in _QUALITIES:
            data = _jpeg(image, quality)
            if len(data) <= MAX_BYTES:
                return data
        image = image.resize((max(image.width * 3 // 4, 1), max(image.height * 3 // 4, 1)))


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality, progressive=True, optimize=True)
    return buffer.getvalue()


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        paper.alpha_composite(image)
        image = paper
    return image if image.mode in _ENCODED_AS_THEY_ARE else image.convert("RGB")


def to_srgb(image: Image.Image) -> Image.Image:
    """The image in sRGB by its own colour profile; without a usable one it is taken to be sRGB."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "CMYK", "L"):
        return image
    from PIL import ImageCms

    try:
        converted = ImageCms.profileToProfile(
            image, BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return converted or image
