"""Parse children that were taken over by their document: what they write or leave costs pages, never the shard."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from batchjob.errors import FailureCategory
from batchjob.process.extraction import NoCache, extract_file
from batchjob.process.forkserver import ForkServer
from batchjob.process.ocrpool import OcrPool
from batchjob.process.readers import Readers
from batchjob.records import Extraction
from batchjob.settings import Settings
from tests.extract.pdfs import HEIGHT, WIDTH, pdf, picture, printed, words

from .faulty_parser import DOCUMENT, page
from .test_children import interpreter, wait_until

__all__ = ["interpreter"]

SETTINGS = Settings(page_seconds=5.0)
Read = Callable[[str], Extraction]


@pytest.fixture
def read(interpreter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Read]:
    monkeypatch.setattr(sys, "executable", interpreter)
    (scratch := tmp_path / "scratch").mkdir()
    with Readers(SETTINGS, 1, tmp_path) as readers:
        readers.parser = ForkServer("tests.process.faulty_parser", tmp_path)

        def run(do: str) -> Extraction:
            (tmp_path / "document").write_text(do)
            return extract_file(tmp_path / "document", SETTINGS, scratch, NoCache(), readers)

        yield run
    assert list(scratch.iterdir()) == []


BAD = [
    {},
    {"event": "page"},
    page(18, method="magic"),
    page(18, text="\ud800"),
    page(18, seconds=float("nan")),
    page(18) | {"page": True},
    page(0),
    page(1),
    page(17),
    page(41),
    page(18, error={"category": "bad luck", "message": ""}),
    page(18, method="ocr"),
    page(18, method="ocr", image="x", dpi="200"),
    DOCUMENT | {"page_count": -1},
    {"event": "thumbnail", "file": None},
    {"event": "failure", "category": "corrupt"},
    {"event": "done", "page": 18},
    page(2**31),
    page(18, seconds=1e300),
    page(18, note="x" * 3000),
    page(18, error={"category": "corrupt", "message": "x" * 3000}),
    DOCUMENT | {"page_count": 2**31},
    DOCUMENT | {"mime_type": "x" * 3000},
]


def test_an_event_that_is_none_costs_one_page(read: Read) -> None:
    for event in BAD:
        found = read(f"write {json.dumps(event)}")
        lost = [page.page for page in found.pages if page.error]
        assert (found.status, found.page_count, lost) == ("partial", 40, [18]), event
        assert found.pages[17].error is not None
        assert found.pages[17].error.category is FailureCategory.CRASHED
        assert [page.text for page in found.pages if page.page != 18] == [
            f"page {number}" for number in range(1, 41) if number != 18
        ]


@pytest.mark.parametrize("what", ["symlink", "fifo", "device", "folder", "5 MiB", "nothing"])
def test_what_is_left_as_thumbnail_is_no_thumbnail(what: str, read: Read) -> None:
    found = read(f"thumbnail {what}")
    assert (found.status, found.thumbnail, len(found.pages)) == ("ok", None, 40)


@pytest.mark.parametrize(
    "what", ["symlink", pytest.param("fifo", marks=pytest.mark.slow), "device", "folder", "nothing"]
)
def test_what_is_left_as_page_image_costs_that_page(what: str, read: Read) -> None:
    found = read(f"image {what}")
    assert [page.page for page in found.pages if page.error] == [1]
    assert found.pages[0].text == ""


def test_one_child_reads_all_groups_and_is_replaced_once_it_grew(read: Read) -> None:
    children = [page.text for page in read("grow").pages]
    assert len(set(children[:32])) == 1
    assert len(set(children[32:])) == 1
    assert children[31] != children[32]


@pytest.mark.parametrize(
    ("lost", "pages_read", "words"),
    [
        ("corrupt 1 17", 24, None),
        ("corrupt 17 33", 24, None),
        ("corrupt 1 33", 0, "pages 33 to 40 were not read, since none of the 32 pages before could be"),
        ("timeout 17 33", 16, "pages 33 to 40 were not read, since none of the 16 pages before could be"),
    ],
)
def test_when_a_document_is_given_up(lost: str, pages_read: int, words: str | None, read: Read) -> None:
    found = read(f"lose {lost}")
    assert found.pages_read == pages_read
    last = found.pages[-1].error
    assert (last and last.message) == words


def test_a_child_that_fills_its_own_input_is_not_waited_for(read: Read) -> None:
    found = read("fill")
    assert len(found.pages) == 40
    assert found.pages_read > 16


def test_where_time_ends_between_two_groups_that_is_the_reason(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", *[words("The shaft seal was replaced")] * 40)
    settings = Settings(document_seconds=2.0)

    class Slow(NoCache):
        def save(self, first_page: int, data: bytes) -> None:
            time.sleep(2.0)

    with Readers(settings, 1, tmp_path) as readers:
        found = extract_file(path, settings, tmp_path, Slow(), readers)
    last = found.pages[-1].error
    assert last is not None
    assert last.category is FailureCategory.TIMEOUT
    assert "pages 33 to 40 were not read" in last.message


def test_a_stopped_shard_ends_though_images_wait_for_ocr(
    interpreter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", interpreter)
    scan = picture(printed("HELLO"), 0, 0, WIDTH, HEIGHT)
    path = pdf(tmp_path / "a.pdf", *[scan] * 4)
    (scratch := tmp_path / "scratch").mkdir()
    with Readers(SETTINGS, 1, tmp_path) as readers:
        readers.ocr = OcrPool(SETTINGS, 1, tmp_path, "tests.process.hanging_ocr")
        arguments = (path, SETTINGS, scratch, NoCache(), readers)
        row = threading.Thread(target=extract_file, args=arguments, daemon=True)
        monkeypatch.setattr(threading, "excepthook", lambda _: None)
        row.start()
        wait_until(lambda: len(list(scratch.rglob("page-*.pgm"))) == 4)
        readers.ocr.close()
        row.join(10)
        assert not row.is_alive()
    assert list(scratch.iterdir()) == []
