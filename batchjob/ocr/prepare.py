"""Prepares a page image for recognition: evens out the light and the paper's colour."""

from PIL import Image, ImageFilter, ImageMath

_SHRINK = 8
"""The background is estimated at an eighth of the size: strokes vanish, light stays."""
_EVEN = 12
"""Gray levels that the background may vary before it is worth evening out."""
_DARKEST = 32
"""A darker background is no paper."""


def even_light(gray: Image.Image) -> Image.Image:
    """Divides the page by its own background (dilated, then median, at a small scale).

    Thresholds that engines choose for a whole page fail on uneven light, without their confidence showing it.
    """
    small = gray.reduce(_SHRINK)
    background = small.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.MedianFilter(5))
    if background.point(lambda value: 255 * (value < 255 - _EVEN)).getbbox() is None:
        return gray
    background = background.point(lambda value: max(value, _DARKEST)).resize(
        gray.size, Image.Resampling.BILINEAR
    )
    evened: Image.Image = ImageMath.lambda_eval(
        lambda args: args["convert"](args["min"](args["page"] * 255 / args["background"], 255), "L"),
        page=gray,
        background=background,
    )
    return evened
