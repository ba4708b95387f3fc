"""The text that a paper is said to have is what its text layer says, and it fits on its page."""

import pypdfium2 as pdfium
import pytest

from manifests.sampledocs import paper
from tests.bench import papers
from tests.bench.scores import plain

pytestmark = pytest.mark.skipif(
    not all(path.is_file() for path in paper.FONT_FILES.values()), reason="needs fonts-ipaexfont"
)


@pytest.mark.parametrize("kind", papers.SHAPES)
def test_a_paper_says_its_text_on_one_page(kind: papers.Kind) -> None:
    paper.register_fonts()
    for seed in range(10):
        printed = papers.print_papers([kind], seed)
        with pdfium.PdfDocument(printed.pdf) as document:
            assert len(document) == 1
            assert document.get_page_size(0) == pytest.approx(kind.size, abs=0.01)
            assert plain(document[0].get_textpage().get_text_range()) == plain(printed.texts[0])
