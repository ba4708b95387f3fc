"""What a child says that was taken over by its document: it costs that document, never the shard."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchjob.errors import FailureCategory
from batchjob.process.answers import Recognised, answer, said
from batchjob.process.children import NotAnEventError
from batchjob.process.extraction import NoCache, extract_file
from batchjob.process.forkserver import ForkServer
from batchjob.process.launch import program
from batchjob.process.ocrpool import OcrPool
from batchjob.process.pagework import DocumentReaders, GroupWork
from batchjob.process.parsing import ParseChild
from batchjob.process.readers import Readers
from batchjob.records import Extraction, Failure, PageMethod
from batchjob.settings import Settings

from .test_children import interpreter

__all__ = ["interpreter"]

DOCUMENT = {
    "event": "document",
    "mime_type": "application/pdf",
    "page_count": 2,
    "title": None,
    "author": "A",
}
PAGE = {"event": "page", "page": 1, "method": "text", "text": "good", "seconds": 0.1}
SECOND = {**PAGE, "page": 2}
LOST = {**PAGE, "method": "failed", "error": {"category": "corrupt", "message": "torn"}}
FAILURE = {"event": "failure", "mime_type": "application/pdf", "category": "corrupt", "message": "torn"}
THUMBNAIL = {"event": "thumbnail", "file": None}
DONE = {"event": "done"}
RECOGNISED = {"event": "page", "id": 7, "seconds": 1, "text": "a", "confidence": 90.0, "lines": [["a", 90.5]]}

Extract = Callable[[bytes], Extraction]


@pytest.fixture
def extract(interpreter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Extract:
    """Extracts a document whose parse child says `lines`."""
    monkeypatch.setattr(sys, "executable", interpreter)

    def run(lines: bytes) -> Extraction:
        document = tmp_path / "document"
        document.write_bytes(lines)
        settings = Settings(page_seconds=1.0, max_content_bytes=1024)
        with Readers(settings, 1, tmp_path) as readers:
            readers.parser = ForkServer("tests.process.scripted_parser", tmp_path)
            return extract_file(document, settings, tmp_path, NoCache(), readers)

    return run


def as_lines(*events: Any) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def test_proper_events_are_taken(extract: Extract) -> None:
    found = extract(as_lines(DOCUMENT, PAGE, SECOND, THUMBNAIL, DONE))
    assert [(page.method, page.text) for page in found.pages] == [("text", "good")] * 2
    assert found.status == "ok"


@pytest.mark.parametrize(
    "bad",
    [
        as_lines({**PAGE, "method": "guessed"}),
        as_lines({**PAGE, "page": 3}),
        as_lines({**PAGE, "page": 0}),
        as_lines({**PAGE, "page": True}),
        as_lines({**PAGE, "page": 10**30}),
        as_lines({**PAGE, "text": None}),
        as_lines({**PAGE, "text": "\ud800"}),
        as_lines({**PAGE, "seconds": float("nan")}),
        as_lines({**PAGE, "seconds": -1}),
        as_lines({**PAGE, "image": "x", "dpi": 0}),
        as_lines({**PAGE, "error": {"category": "boredom", "message": ""}}),
        as_lines({name: value for name, value in PAGE.items() if name != "text"}),
        as_lines(PAGE, PAGE),
        as_lines({**DOCUMENT, "page_count": -1}),
        as_lines({"event": "surprise"}),
        as_lines([DOCUMENT]),
        b"[" * 100_000 + b"\n",
        b"\xff\xfe\n",
        b"x" * 3_000_000,
        b"\n",
    ],
    ids=lambda bad: bad[:60].decode(errors="replace"),
)
def test_a_malformed_event_costs_the_pages_it_was_said_of(bad: bytes, extract: Extract) -> None:
    found = extract(as_lines(DOCUMENT) + bad)
    assert [page.method for page in found.pages] == [PageMethod.FAILED] * 2 or [
        page.text for page in found.pages
    ] == ["good", ""]
    last = found.pages[-1].error
    assert last is not None
    assert last.category is FailureCategory.CRASHED


def test_a_page_before_its_document_is_no_event(extract: Extract) -> None:
    found = extract(as_lines(PAGE, DOCUMENT, DONE))
    assert found.failure is not None
    assert found.failure.category is FailureCategory.CRASHED


def test_done_without_an_answer_loses_the_pages(extract: Extract) -> None:
    found = extract(as_lines(DOCUMENT, DONE))
    assert [page.method for page in found.pages] == [PageMethod.FAILED] * 2


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def mutations(event: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """The event with fields exchanged or left out, or with bytes of its line changed."""
    changed = st.dictionaries(st.sampled_from([*event, "error", "image", "dpi"]), VALUES, max_size=2)
    left_out = st.sets(st.sampled_from([*event]), max_size=1)
    lines = st.builds(
        lambda new, gone: as_lines({k: v for k, v in {**event, **new}.items() if k not in gone}).strip(),
        changed,
        left_out,
    )
    spliced = st.builds(
        lambda line, at, junk: line[: at % len(line)] + junk + line[at % len(line) + 1 :],
        lines,
        st.integers(0, 300),
        st.binary(max_size=3),
    )
    return lines | spliced


@given(st.one_of([mutations(event) for event in (DOCUMENT, PAGE, LOST, FAILURE, THUMBNAIL)]))
def test_whatever_is_said_is_an_event_or_refused(line: bytes) -> None:
    try:
        event = said(line)
    except NotAnEventError:
        return
    event.model_dump_json().encode()


@given(mutations(RECOGNISED))
def test_an_ocr_answer_is_complete_or_none(line: bytes) -> None:
    found = answer([line], 7)
    if found is not None:
        assert found.error is not None or found.confidence is not None
        found.model_dump_json().encode()


def test_answers_of_ocr() -> None:
    line = as_lines(RECOGNISED).strip()
    assert answer([line], 7) == Recognised(
        event="page", id=7, seconds=1.0, text="a", confidence=90.0, lines=(("a", 90.5),)
    )
    assert answer([line], 8) is None
    assert answer([line, line], 7) is None
    assert answer([], 7) is None


def test_a_second_reader_that_counts_other_pages_gives_no_text(
    interpreter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", interpreter)
    third, refused = {**PAGE, "page": 3}, {**LOST, "page": 2, "text": "", "refused": True}
    picture = {**SECOND, "method": "ocr", "text": "", "image": "x", "dpi": 200}
    (tmp_path / "first").write_bytes(as_lines({**DOCUMENT, "page_count": 3}, refused, third, DONE))
    (tmp_path / "second").write_bytes(as_lines(DOCUMENT, picture, DONE))
    (tmp_path / "page-000002.pgm").write_text("text of page three")
    settings, deadline = Settings(), time.monotonic() + 60
    launch = program("tests.process.scripted_parser", asked=True)
    with (
        OcrPool(settings, 1, tmp_path, "tests.process.faulty_ocr") as ocr,
        ParseChild(launch, tmp_path / "first", settings, tmp_path, deadline) as first,
        ParseChild(launch, tmp_path / "second", settings, tmp_path, deadline) as second,
    ):
        work = GroupWork(DocumentReaders(first, second, ocr, settings, deadline))
        work.parse(range(2, 18), lambda: None)
        pages = {page.page: page for page in work.group().pages}
    assert pages[2].text == ""
    assert pages[2].error == Failure(FailureCategory.CORRUPT, "torn")
