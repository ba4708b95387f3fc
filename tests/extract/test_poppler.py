"""What PDFium refuses is read by poppler, where that is installed and can."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pypdfium2
import pytest

from batchjob.errors import FailureCategory
from batchjob.extract import poppler
from batchjob.process.extraction import extract_file
from batchjob.process.fingerprint import second_reader
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


PAGES = [[f"{part} of page {number}: {LINE}" for part in ("Beginning", "End")] * 3 for number in "ABC"]


def with_a_refused_page(path: Path) -> Path:
    """PDFium refuses the second of three pages."""
    pdf(path, *(words(*page) for page in PAGES))
    head, first, *rest = path.read_bytes().split(b"/Type /Page\n")
    path.write_bytes(b"/Type /Page\n".join([head, first + b"/Type /Pagx\n" + rest[0], *rest[1:]]))
    return path


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
    found = extract(with_a_refused_page(tmp_path / "a.pdf"))
    assert [page.engine for page in found.pages] == [None, "poppler", None]
    assert [page.text for page in found.pages] == ["\n".join(page) for page in PAGES]


def test_a_program_that_is_killed_says_nothing_of_the_file(
    tmp_path: Path, extract: Extract, cache: MemoryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("pdfinfo", "pdftoppm"):
        (programs / name).symlink_to(str(shutil.which(name)))
    killed = programs / "pdftotext"
    killed.write_text("#!/bin/sh\nkill -KILL $$\n")
    killed.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    found = extract(with_a_refused_page(tmp_path / "a.pdf"))
    assert [page.method for page in found.pages] == [PageMethod.TEXT, PageMethod.FAILED, PageMethod.TEXT]
    assert cache == {}


def test_text_of_another_page_is_not_put_in_the_place_of_a_lost_one(tmp_path: Path, extract: Extract) -> None:
    """Where the tree names a page that is not there, poppler counts on without it."""
    path = pdf(tmp_path / "a.pdf", *(words(*page) for page in PAGES))
    tree = re.search(rb"/Count 3 /Kids \[ (\d+ 0 R)", path.read_bytes())
    assert tree is not None
    path.write_bytes(path.read_bytes().replace(tree[0], b"/Count 4 /Kids [ %b 99 0 R" % tree[1]))
    found = extract(path)
    assert [page.text for page in found.pages] == ["\n".join(page) for page in (PAGES[0], "", *PAGES[1:])]
    assert (found.status, found.pages[1].method) == ("partial", PageMethod.FAILED)


def test_what_another_poppler_said_is_asked_anew(
    tmp_path: Path, extract: Extract, cache: MemoryCache
) -> None:
    path = late(pdf(tmp_path / "a.pdf", words(*PAGES[0])))
    expected = extract(path).pages[0].text
    cache[1] = json.dumps({**json.loads(cache[1]), "second_reader": "0.1", "pages": []}).encode()
    assert [page.text for page in extract(path).pages] == [expected]
    assert json.loads(cache[1])["second_reader"] == second_reader()


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


def test_text_comes_without_a_file_that_a_full_disk_would_cut(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", words(*[LINE] * 5))
    asked = {"path": str(path), "out": str(tmp_path / "none"), "pages": [1], "dpi": 100, "thumbnail": False}
    _, page = poppler.events(asked)
    assert page["text"] == "\n".join([LINE] * 5)


def test_without_poppler_the_document_fails_and_the_failure_is_not_shared(
    tmp_path: Path, extract: Extract, cache: MemoryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = extract(late(pdf(tmp_path / "a.pdf", words(LINE))))
    assert found.failure is not None
    assert found.failure.category is FailureCategory.CORRUPT
    assert cache == {}
