"""What PDFium refuses is read by poppler, where that is installed and can."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pypdfium2
import pytest
from reportlab.pdfgen.canvas import Canvas

from batchjob.errors import FailureCategory
from batchjob.process.extraction import extract_file
from batchjob.process.readers import Readers
from batchjob.records import Extraction, PageMethod
from batchjob.settings import Settings
from tests.extract.pdfs import WIDTH, pdf, picture, printed, words
from tests.support.memory_cache import MemoryCache

LINE = "The shaft seal of the second pump was replaced on Monday."
Extract = Callable[[Path], Extraction]


@pytest.fixture
def cache() -> MemoryCache:
    return MemoryCache()


@pytest.fixture
def extract(tmp_path: Path, cache: MemoryCache) -> Extract:
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def run(path: Path) -> Extraction:
        settings = Settings(ocr_dpi=150)
        with Readers(settings, 1, tmp_path) as ocr:
            found = extract_file(path, settings, scratch, cache, ocr)
        assert list(scratch.iterdir()) == []
        return found

    return run


def late(path: Path) -> Path:
    """The same file behind 2,000 bytes: PDFium looks for the header in the first 1,024."""
    path.write_bytes(bytes(2000) + b"\n" + path.read_bytes())
    with pytest.raises(pypdfium2.PdfiumError):
        pypdfium2.PdfDocument(path)
    return path


def test_a_document_that_pdfium_refuses(tmp_path: Path, extract: Extract, cache: MemoryCache) -> None:
    scan = picture(printed("Torque curve"), 0, 300, WIDTH, 120)
    found = extract(late(pdf(tmp_path / "a.pdf", words(*[LINE] * 5), scan, words())))
    assert (found.status, found.page_count, found.failure) == ("ok", 3, None)
    assert [page.method for page in found.pages] == [PageMethod.TEXT, PageMethod.OCR, PageMethod.BLANK]
    assert [page.engine for page in found.pages] == ["poppler", "poppler+paddle", "poppler"]
    assert found.pages[0].text.split("\n") == [LINE] * 5
    assert "Torque curve" in found.pages[1].text
    assert found.thumbnail is not None
    assert sorted(cache) == [1]


def test_a_page_that_pdfium_refuses(tmp_path: Path, extract: Extract) -> None:
    buffer = BytesIO()
    canvas = Canvas(buffer, invariant=1)
    for _ in range(3):
        words(*[LINE] * 5)(canvas)
        canvas.showPage()
    canvas.save()
    head, first, *rest = buffer.getvalue().split(b"/Type /Page\n")
    path = tmp_path / "a.pdf"
    path.write_bytes(b"/Type /Page\n".join([head, first + b"/Type /Pagx\n" + rest[0], *rest[1:]]))
    found = extract(path)
    assert [page.engine for page in found.pages] == [None, "poppler", None]
    assert [page.text.count(LINE) for page in found.pages] == [5, 5, 5]


def test_where_both_refuse_the_first_reason_stays(
    tmp_path: Path, extract: Extract, cache: MemoryCache
) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-1.7\n" + b"nothing" * 100)
    found = extract(path)
    assert found.failure is not None
    assert found.failure.category is FailureCategory.CORRUPT
    assert "cannot be opened" in found.failure.message
    assert sorted(cache) == [1]


def test_without_poppler_the_document_fails_and_the_failure_is_not_shared(
    tmp_path: Path, extract: Extract, cache: MemoryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = extract(late(pdf(tmp_path / "a.pdf", words(LINE))))
    assert found.failure is not None
    assert found.failure.category is FailureCategory.CORRUPT
    assert cache == {}
