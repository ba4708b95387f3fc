import subprocess
import sys
from itertools import pairwise

import pytest
from PIL import Image, ImageDraw, ImageFilter

from batchjob.ocr.prepare import even_light, prepare, straighten


def lines(paper: int = 255, ink: int = 0) -> Image.Image:
    """Broken black bars where lines of text would be."""
    page = Image.new("L", (1200, 1600), paper)
    draw = ImageDraw.Draw(page)
    for y in range(150, 1450, 50):
        for x in range(150, 1000, 60):
            draw.rectangle((x, y, x + 45, y + 18), fill=ink)
    return page


def slope_of(page: Image.Image) -> float:
    """Rows of pixels without ink: many on a level page, few on a sloping one."""
    rows = page.resize((1, page.height), Image.Resampling.BOX).tobytes()
    return sum(row > 252 for row in rows) / len(rows)


@pytest.mark.parametrize("angle", [-2.5, -1.0, 0.9, 1.5, 3.0])
def test_sloping_lines_become_level(angle: float) -> None:
    sloping = lines().rotate(angle, Image.Resampling.BICUBIC, fillcolor=255)
    assert slope_of(straighten(sloping)) > 0.9 * slope_of(lines())


def test_a_level_page_is_left_alone() -> None:
    page = lines()
    assert straighten(page) is page


def test_uneven_light_is_evened_out() -> None:
    shade = Image.linear_gradient("L").resize((1200, 1600)).point(lambda value: 60 + value * 190 // 255)
    page = Image.composite(shade, Image.new("L", (1200, 1600), 15), lines())
    assert page.getpixel((50, 20)) != page.getpixel((50, 1590))
    evened = even_light(page)
    for place in ((50, 20), (50, 1590), (1100, 800)):
        paper = evened.getpixel(place)
        assert isinstance(paper, int)
        assert paper > 235


def test_white_paper_is_left_alone() -> None:
    page = lines(paper=250)
    assert even_light(page) is page


def test_steps_of_a_fax_are_softened_and_gray_pages_are_not() -> None:
    assert len(prepare(lines()).getcolors() or ()) > 2
    gray = lines().filter(ImageFilter.GaussianBlur(2))
    assert prepare(gray) is gray


def test_evening_out_the_light_of_a_huge_page_takes_little_more_than_its_result() -> None:
    code = (
        "import resource\n"
        "from PIL import Image\n"
        "from batchjob.ocr.prepare import even_light\n"
        "page = Image.linear_gradient('L').resize((6000, 5000)).point(lambda gray: 80 + gray // 2)\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before = peak()\n"
        "assert even_light(page) is not page\n"
        "print(peak() - before)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(answer.stdout) < 100  # MiB, of which the result takes 29


def test_strips_leave_no_seams() -> None:
    shade = Image.linear_gradient("L").resize((800, 1100)).point(lambda value: 120 + value // 2)
    rows = even_light(shade).resize((1, 1100), Image.Resampling.BOX).tobytes()
    assert max(abs(above - below) for above, below in pairwise(rows)) <= 2
