"""From printed pages to what scanners and fax machines make of them; a seed gives the same damage again."""

from io import BytesIO
from typing import NamedTuple

import numpy as np
import pypdfium2 as pdfium
from PIL import Image, ImageFilter


class Level(NamedTuple):
    """How bad a scan is. `skew`: largest degrees; `blur`, `noise`: standard deviations in pixels and shades."""

    dpi: int
    skew: float
    blur: float
    noise: float
    paper: int
    darkest_corner: float
    jpeg_quality: int | None
    """None: black and white, CCITT Group 4 in TIFF."""

    @property
    def suffix(self) -> str:
        return ".jpg" if self.jpeg_quality else ".tif"


OFFICE = Level(dpi=300, skew=0.7, blur=0.7, noise=4, paper=245, darkest_corner=1.0, jpeg_quality=75)
POOR = Level(dpi=200, skew=1.5, blur=0.8, noise=7, paper=225, darkest_corner=0.5, jpeg_quality=45)
FAX = Level(dpi=200, skew=0.7, blur=0.6, noise=14, paper=240, darkest_corner=1.0, jpeg_quality=None)
LEVELS = {"office scan": OFFICE, "poor scan": POOR, "fax": FAX}
_BLACK_BELOW = 150


def render(pdf: bytes, page: int, dpi: int) -> Image.Image:
    """A page in gray."""
    with pdfium.PdfDocument(pdf) as document:
        image: Image.Image = document[page].render(scale=dpi / 72, grayscale=True).to_pil()
        return image.convert("L")


def scan(page: Image.Image, level: Level, seed: int) -> bytes:
    """The page, rendered at the level's resolution, as a file."""
    random = np.random.default_rng(seed)
    turned = page.rotate(random.uniform(-level.skew, level.skew), Image.Resampling.BICUBIC, fillcolor=255)
    soft = np.asarray(turned.filter(ImageFilter.GaussianBlur(level.blur)), dtype=np.float32)
    lit = soft * (level.paper / 255) * _light(soft.shape, level.darkest_corner)
    noisy = lit + random.normal(0, level.noise, soft.shape).astype(np.float32)
    return _file(Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)), level)


def _light(shape: tuple[int, ...], darkest: float) -> np.ndarray:
    """1 at the top left, falling to `darkest` at the bottom right."""
    down, across = np.ogrid[0 : 1 : shape[0] * 1j, 0 : 1 : shape[1] * 1j]
    return (1 - (1 - darkest) * (down + across) / 2).astype(np.float32)


def _file(image: Image.Image, level: Level) -> bytes:
    out = BytesIO()
    dpi = (level.dpi, level.dpi)
    if level.jpeg_quality:
        image.save(out, "JPEG", quality=level.jpeg_quality, dpi=dpi)
    else:
        bitonal = image.point(lambda gray: 255 if gray >= _BLACK_BELOW else 0).convert(
            "1", dither=Image.Dither.NONE
        )
        bitonal.save(out, "TIFF", compression="group4", dpi=dpi)
    return out.getvalue()
