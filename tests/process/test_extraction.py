"""extract_file on real files through real children: text, OCR, cache, limits, damage, and its parent's death."""

import json
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from batchjob.errors import FailureCategory
from batchjob.process.children import ChildEnd, Ending
from batchjob.process.extraction import NoCache, cached_extraction, extract_file
from batchjob.process.forkserver import ForkServer
from batchjob.process.groups import PAGES_PER_GROUP
from batchjob.process.launch import Process
from batchjob.process.pagework import work_through
from batchjob.process.readers import Readers
from batchjob.records import Extraction, PageMethod
from batchjob.settings import Settings
from tests.extract.pdfs import HEIGHT, WIDTH, pdf, picture, printed, together, words
from tests.support.memory_cache import MemoryCache

MANIFESTS = Path(__file__).parents[2] / "manifests"
EXPECTED = json.loads((MANIFESTS / "sample-expected.json").read_text(encoding="utf-8"))
QUICK_OCR = ("不適合報告書", "fax-注文書", "build-status", "scan0007", "縦書き")
"""Text and scan mixed, several pages of TIFF, a screenshot, a turned page, vertical writing."""
CHOSEN = [
    name for name, found in EXPECTED.items() if not found["ocr_pages"] or any(q in name for q in QUICK_OCR)
]
BODY = ("定期保守点検の実施結果を報告します。", "次回の点検は十月を予定しています。")


NO_OCR = {"ocr_engine": "tesseract", "ocr_languages": "no_such_language"}


@pytest.fixture
def extract(tmp_path: Path) -> Callable[..., Extraction]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def run(path: Path, cache: MemoryCache | None = None, **settings: object) -> Extraction:
        chosen = Settings(**settings)  # type: ignore[arg-type]
        with Readers(chosen, 1, tmp_path) as readers:
            found = extract_file(path, chosen, scratch, NoCache() if cache is None else cache, readers)
        assert list(scratch.iterdir()) == []
        return found

    return run


def pages_of(count: int) -> list[Callable[..., None]]:
    return [words(*BODY, f"これは全体の中の {number} 枚目です。") for number in range(1, count + 1)]


@pytest.mark.parametrize("name", CHOSEN)
def test_sample_documents(name: str, extract: Callable[..., Extraction]) -> None:
    expected = EXPECTED[name]
    found = extract(MANIFESTS / name)
    assert found.status == expected["status"]
    assert (found.page_count, found.ocr_pages) == (expected["pages"], expected["ocr_pages"])
    assert [phrase for phrase in expected["phrases"] if phrase not in found.text] == []
    if found.failure:
        assert found.failure.category == expected["category"]
        assert found.failure.message
    else:
        assert found.thumbnail is not None
        assert found.thumbnail.startswith(b"\xff\xd8\xff")


def test_a_text_pdf_starts_no_ocr(extract: Callable[..., Extraction], tmp_path: Path) -> None:
    found = extract(pdf(tmp_path / "a.pdf", *pages_of(2)), **NO_OCR)
    assert [page.method for page in found.pages] == [PageMethod.TEXT] * 2
    assert [page.engine for page in found.pages] == [None, None]
    assert "2 枚目" in found.pages[1].text


def test_text_and_picture_are_both_read_and_nothing_twice(
    extract: Callable[..., Extraction], tmp_path: Path
) -> None:
    figure = picture(printed("Torque curve", "Figure 12"), 50, 50, WIDTH - 100, 150)
    found = extract(pdf(tmp_path / "a.pdf", together(words(*BODY), figure)))
    [page] = found.pages
    assert (page.method, page.engine) == (PageMethod.BOTH, "paddle")
    assert "Torque curve" in page.text
    assert page.text.count(BODY[0]) == 1


def test_groups_come_from_the_cache(extract: Callable[..., Extraction], tmp_path: Path) -> None:
    path, cache = pdf(tmp_path / "a.pdf", *pages_of(38)), MemoryCache()
    first = extract(path, cache)
    assert (first.page_count, len(first.pages), first.cache_hits, first.cache_misses) == (38, 38, 0, 3)
    assert sorted(cache) == [1, 17, 33]
    again = extract(path, cache)
    assert (again.cache_hits, again.cache_misses) == (3, 0)
    assert (again.pages, again.thumbnail, again.mime_type) == (first.pages, first.thumbnail, first.mime_type)
    assert cached_extraction(Settings(), cache) == again
    del cache[17]
    cache[33] = b"{damaged"
    assert cached_extraction(Settings(), cache) is None
    repaired = extract(path, cache)
    assert (repaired.cache_hits, repaired.cache_misses, repaired.text) == (1, 2, first.text)
    cached = cached_extraction(Settings(), cache)
    assert cached is not None
    assert (cached.cache_hits, cached.text) == (3, first.text)


def test_failures_of_the_content_are_cached(extract: Callable[..., Extraction], tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_text("meeting at nine")
    cache = MemoryCache()
    first = extract(tmp_path / "a.pdf", cache)
    again = extract(tmp_path / "a.pdf", cache)
    assert first.failure is not None
    assert first.failure == again.failure
    assert (again.cache_hits, again.mime_type) == (1, "text/plain")


def test_pages_beyond_the_limit_are_told_and_a_cut_group_is_not_shared(
    extract: Callable[..., Extraction], tmp_path: Path
) -> None:
    path, cache = pdf(tmp_path / "a.pdf", *pages_of(38)), MemoryCache()
    found = extract(path, cache, max_pages=20)
    assert (found.page_count, len(found.pages), found.status) == (38, 21, "partial")
    last = found.pages[-1]
    assert last.error is not None
    assert (last.page, last.method, last.error.category) == (21, "failed", FailureCategory.TOO_MANY_PAGES)
    assert "21 to 38" in last.error.message
    assert sorted(cache) == [1]
    assert len(extract(path, cache).pages) == 38


def test_text_beyond_any_use_is_not_held(extract: Callable[..., Extraction], tmp_path: Path) -> None:
    full = words(*["The shaft seal was replaced on Monday"] * 10)
    path, cache = pdf(tmp_path / "a.pdf", full, words(*["x" * 900] * 2), *[full] * 400), MemoryCache()
    found = extract(path, cache, max_content_bytes=1024)
    errors = [page.error.message for page in found.pages if page.error]
    assert len(found.pages[0].text) == 379
    assert len(found.pages[1].text) == 1024 - 379
    assert errors[0] == "the page has 1,801 characters, of which 645 were kept"
    assert found.pages[2].text == ""
    assert (found.page_count, found.pages[-1].method) == (402, "failed")
    assert (
        errors[-1]
        == f"pages {9 * PAGES_PER_GROUP + 1} to 402 were not read: those before have {9 * 1024:,} characters"
    )
    assert cache == {}
    assert extract(path, cache).status == "ok"


@pytest.mark.parametrize(
    ("settings", "category"),
    [
        ({"document_seconds": 0.000001}, FailureCategory.TIMEOUT),
        ({"max_bytes": 10}, FailureCategory.TOO_LARGE),
    ],
)
def test_what_a_limit_caused_is_not_shared(
    settings: dict[str, object],
    category: FailureCategory,
    extract: Callable[..., Extraction],
    tmp_path: Path,
) -> None:
    cache = MemoryCache()
    found = extract(pdf(tmp_path / "a.pdf", *pages_of(1)), cache, **settings)
    assert found.failure is not None
    assert found.failure.category is category
    assert cache == {}


def test_a_page_that_kills_its_child_costs_one_page(
    extract: Callable[..., Extraction], tmp_path: Path
) -> None:
    bomb = picture(Image.new("L", (18_000, 18_000), 255), 0, 0, WIDTH, HEIGHT)
    path, cache = pdf(tmp_path / "a.pdf", words(*BODY), bomb, words(*BODY)), MemoryCache()
    found = extract(path, cache, child_memory=160 * 1024 * 1024)
    assert [page.method for page in found.pages] == ["text", "failed", "text"]
    assert found.pages[1].error is not None
    assert found.pages[1].error.category is FailureCategory.OUT_OF_MEMORY
    assert (found.status, cache) == ("partial", {})
    assert found.thumbnail is not None


class Counting:
    """A fork server that counts its children."""

    def __init__(self, server: ForkServer) -> None:
        self._server = server
        self.started = 0

    def launch(self, arguments: Mapping[str, object], output: int, cwd: Path) -> Process:
        self.started += 1
        return self._server.launch(arguments, output, cwd)

    def close(self) -> None:
        self._server.close()


def test_a_page_that_killed_two_children_is_not_drawn_for_the_thumbnail(tmp_path: Path) -> None:
    bomb = picture(Image.new("L", (18_000, 18_000), 255), 0, 0, WIDTH, HEIGHT)
    path = pdf(tmp_path / "a.pdf", bomb, words(*BODY))
    settings = Settings(child_memory=160 * 1024 * 1024)
    with Readers(settings, 1, tmp_path) as readers:
        readers.parser = counting = Counting(readers.parser)  # type: ignore[assignment]
        found = extract_file(path, settings, tmp_path, NoCache(), readers)
    assert [page.method for page in found.pages] == ["failed", "text"]
    assert counting.started == 3  # two die of page 1; the third reads page 2 and draws nothing


def test_one_child_reads_all_groups_of_a_document(tmp_path: Path) -> None:
    path, cache = pdf(tmp_path / "a.pdf", *pages_of(70)), MemoryCache()
    with Readers(Settings(), 1, tmp_path) as readers:
        readers.parser = counting = Counting(readers.parser)  # type: ignore[assignment]
        first = extract_file(path, Settings(), tmp_path, cache, readers)
        assert (counting.started, len(first.pages), sorted(cache)) == (1, 70, [1, 17, 33, 49, 65])
        del cache[17], cache[49]
        again = extract_file(path, Settings(), tmp_path, cache, readers)
    assert [page.text for page in again.pages] == [page.text for page in first.pages]
    assert (counting.started, again.cache_hits) == (2, 3)


def test_ocr_that_takes_too_long_costs_one_page(extract: Callable[..., Extraction], tmp_path: Path) -> None:
    scan = picture(printed(*["The shaft seal was replaced on Monday"] * 25), 0, 0, WIDTH, HEIGHT)
    cache = MemoryCache()
    found = extract(pdf(tmp_path / "a.pdf", words(*BODY), scan), cache, page_seconds=0.4)
    assert [page.method for page in found.pages] == ["text", "failed"]
    assert found.pages[1].error is not None
    assert found.pages[1].error.category is FailureCategory.TIMEOUT
    assert cache == {}


def test_ocr_that_fails_is_the_pages_failure(extract: Callable[..., Extraction], tmp_path: Path) -> None:
    scan = picture(printed("HELLO"), 0, 0, WIDTH, HEIGHT)
    path, cache = pdf(tmp_path / "a.pdf", words(*BODY), scan), MemoryCache()
    found = extract(path, cache, **NO_OCR)
    assert [page.method for page in found.pages] == ["text", "failed"]
    assert found.pages[1].error is not None
    assert "no_such_language" in found.pages[1].error.message
    assert cache == {}


@pytest.mark.slow
def test_lines_that_ocr_left_out_are_told(extract: Callable[..., Extraction], tmp_path: Path) -> None:
    sheet = Image.new("L", (2400, 3300), 255)
    draw = ImageDraw.Draw(sheet)
    for row in range(45):
        for column in range(26):
            draw.text((40 + 90 * column, 40 + 72 * row), "12", fill=0, font_size=22)
    path, cache = tmp_path / "a.png", MemoryCache()
    sheet.save(path, dpi=(200, 200))
    found = extract(path, cache)
    [page] = found.pages
    assert found.status == "partial"
    assert page.text.count("12") > 500
    assert page.error is not None
    assert page.error.category is FailureCategory.TOO_LARGE
    assert "lines" in page.error.message
    assert cache == {}


def test_a_file_name_is_only_a_name(extract: Callable[..., Extraction], tmp_path: Path) -> None:
    path = pdf(tmp_path / "見積 $(touch x) %2F+'\"\n.pdf", words(*BODY))
    assert extract(path).status == "ok"


@given(st.sets(st.integers(1, 12)), st.sets(st.integers(1, 12)), st.integers(0, 12))
def test_only_pages_that_kill_two_children_are_lost(deadly: set[int], flaky: set[int], count: int) -> None:
    done: set[int] = set()
    tries: dict[int, int] = {}

    def attempt(wanted: list[int]) -> ChildEnd:
        for page in wanted:
            tries[page] = tries.get(page, 0) + 1
            if page in deadly or (page in flaky and tries[page] == 1):
                return ChildEnd(Ending.CRASHED, f"on {page}")
            done.add(page)
        return ChildEnd(Ending.OK)

    pages = range(1, count + 1)
    lost = work_through(pages, attempt, lambda wanted: [page for page in wanted if page not in done])
    assert set(lost) == deadly & set(pages)
    assert done == set(pages) - deadly
    assert all(lost[page].message == f"on {page}" for page in lost)
    assert all(tries[page] <= 2 for page in pages)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's signal at a parent's death")
def test_a_killed_parent_leaves_no_child_and_no_tesseract(tmp_path: Path) -> None:
    page = Image.new("L", (1654, 2339), 255)
    page.paste(printed(*["The shaft seal was replaced on Monday"] * 20), (100, 100))
    page.save(tmp_path / "scan.png", dpi=(200, 200))
    program = textwrap.dedent("""\
        import sys
        from pathlib import Path
        from batchjob.process.extraction import NoCache, extract_file
        from batchjob.process.readers import Readers
        from batchjob.settings import Settings
        while True:
            settings = Settings(ocr_engine="tesseract")
            with Readers(settings, 1, Path(sys.argv[2])) as readers:
                extract_file(Path(sys.argv[1]), settings, Path(sys.argv[2]), NoCache(), readers)
        """)
    parent = psutil.Popen([sys.executable, "-c", program, str(tmp_path / "scan.png"), str(tmp_path)])
    family: list[psutil.Process] = []
    deadline = time.monotonic() + 30
    while not any(_name(process) == "tesseract" for process in family):
        assert time.monotonic() < deadline
        family = parent.children(recursive=True)
        time.sleep(0.02)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs(family, timeout=5)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def test_parse_children_load_little() -> None:
    """What their zygote imports, each child carries; heavy libraries would cost more than most documents."""
    program = (
        "import sys, batchjob.process.zygote, batchjob.extract.child\n"
        "print(sorted({'pydantic', 'pyarrow', 'boto3', 'numpy', 'cv2'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
