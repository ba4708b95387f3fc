"""Prepares a page image for recognition: evens out the light, turns the lines level, softens bitonal steps."""

from itertools import pairwise

import cv2
import numpy as np
from PIL import Image, ImageFilter, ImageOps

_BITONAL_SHARE = 0.01
"""Share of pixels that are neither black nor white up to which a page counts as bitonal."""
_SOFTENING = 1.0
"""Standard deviation in pixels; recognition was trained on gray edges."""
_SHRINK = 8
"""The background is estimated at an eighth of the size: strokes vanish, light stays."""
_EVEN = 12
"""Gray levels that the background may vary before it is worth evening out."""
_DARKEST = 32
"""A darker background is no paper."""


def prepare(gray: Image.Image) -> Image.Image:
    """The page as Tesseract reads it best."""
    if is_bitonal(gray):
        return straighten(gray).filter(ImageFilter.GaussianBlur(_SOFTENING))
    return straighten(even_light(gray))


def even(gray: Image.Image) -> Image.Image:
    """The page for an engine that finds tilted lines by itself."""
    if is_bitonal(gray):
        return gray.filter(ImageFilter.GaussianBlur(_SOFTENING))
    return even_light(gray)


def is_bitonal(gray: Image.Image) -> bool:
    levels = gray.histogram()
    return sum(levels[32:224]) <= _BITONAL_SHARE * sum(levels)


def even_light(gray: Image.Image) -> Image.Image:
    """Divides the page by its own background (dilated, then median, at a small scale).

    Thresholds that engines choose for a whole page fail on uneven light, without their confidence showing it.
    """
    small = cv2.dilate(np.asarray(gray.reduce(_SHRINK)), np.ones((5, 5), np.uint8))
    background = cv2.medianBlur(small, 5)
    if background.min() >= 255 - _EVEN:
        return gray
    behind = cv2.resize(np.maximum(background, _DARKEST), gray.size, interpolation=cv2.INTER_LINEAR)
    return Image.fromarray(cv2.divide(np.asarray(gray), behind, dst=behind, scale=255))


_SKEW_SHRINK = 4
_STEPS = tuple(step * 0.5 for step in range(-6, 7))  # degrees
_FINE_STEPS = tuple(step * 0.125 for step in range(-3, 4))
_LEVEL = 0.75
"""Degrees up to which the engine copes, and turning blurs more than it gains."""


def straighten(gray: Image.Image) -> Image.Image:
    """Turns a page whose lines are up to 3° off so that they are level.

    The angle is the one at which rows of pixels differ most: text rows against the gaps between them
    (projection profile, after Postl).
    """
    ink = ImageOps.invert(gray.reduce(_SKEW_SHRINK))
    coarse = max(_STEPS, key=lambda angle: _contrast_of_rows(ink, angle))
    angle = max((coarse + step for step in _FINE_STEPS), key=lambda angle: _contrast_of_rows(ink, angle))
    if abs(angle) <= _LEVEL:
        return gray
    return gray.rotate(angle, Image.Resampling.BICUBIC, fillcolor=255)


def _contrast_of_rows(ink: Image.Image, angle: float) -> int:
    turned = ink.rotate(angle, Image.Resampling.BILINEAR)
    rows = turned.resize((1, turned.height), Image.Resampling.BOX).tobytes()
    return sum((above - below) ** 2 for above, below in pairwise(rows))
