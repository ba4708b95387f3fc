"""The pictures of the sample that were never a printed page: a screen, and a page of vertical writing."""

from collections.abc import Iterator, Sequence

from PIL import Image, ImageDraw, ImageFont

from sampledocs.paper import FONT_FILES

A4_PIXELS = (1654, 2339)  # A4 at 200 dpi
MAY_NOT_BEGIN_A_COLUMN = "、。」』)ーっゃゅょ"


def screenshot(window_title: str, rows: Sequence[Sequence[str]], notes: Sequence[str]) -> Image.Image:
    """A window with a table and a few lines below it, as on a high-resolution screen."""
    image = Image.new("RGB", (1600, 1000), (236, 239, 243))
    draw = ImageDraw.Draw(image)
    font = ImageFont.truetype(str(FONT_FILES["Gothic"]), 34)
    draw.rectangle((0, 0, 1600, 70), fill=(45, 62, 88))
    draw.text((30, 16), window_title, font=font, fill="white")
    for i, colour in enumerate(("#f0b429", "#57b560", "#e5534b")):
        draw.ellipse((1450 + 45 * i, 22, 1476 + 45 * i, 48), fill=colour)
    for y, row in enumerate(rows):
        top = 110 + 78 * y
        draw.rectangle((40, top, 1560, top + 78), fill="#dfe6ee" if y == 0 else "white", outline="#c4ccd6")
        for x, cell in zip((70, 640, 1180), row, strict=True):
            draw.text((x, top + 20), cell, font=font, fill=(30, 30, 30))
    for y, note in enumerate(notes):
        draw.text((50, 160 + 78 * len(rows) + 62 * y), note, font=font, fill=(30, 30, 30))
    return image


def vertical_page(head: str, text: Sequence[str], size: int = 54, length: int = 30) -> Image.Image:
    """縦書き: columns of `length` characters from right to left (Raqm picks the vertical forms)."""
    image = Image.new("L", A4_PIXELS, 255)
    draw = ImageDraw.Draw(image)
    large = ImageFont.truetype(str(FONT_FILES["Mincho"]), size * 4 // 3, layout_engine=ImageFont.Layout.RAQM)
    font = ImageFont.truetype(str(FONT_FILES["Mincho"]), size, layout_engine=ImageFont.Layout.RAQM)
    x, top = A4_PIXELS[0] - 300, 240
    draw.text((x, top), head, font=large, fill=0, direction="ttb")
    x -= size * 3
    for column in _columns(text, length):
        draw.text((x, top), column, font=font, fill=0, direction="ttb")
        x -= size * 2
    return image


def _columns(text: Sequence[str], length: int) -> Iterator[str]:
    """Cuts paragraphs into columns; what may not begin a column hangs below the one before."""
    for paragraph in text:
        rest = " " + paragraph
        while rest:
            cut = length
            while cut < len(rest) and rest[cut] in MAY_NOT_BEGIN_A_COLUMN:
                cut += 1
            yield rest[:cut]
            rest = rest[cut:]
