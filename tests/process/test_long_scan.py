"""A long scan: its parser is held back, its groups overlap, and a killed shard loses little of it."""

import gzip
import random
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from batchjob.adapters.folder import FolderStore
from batchjob.process.extraction import extract_file
from batchjob.process.fingerprint import extraction_fingerprint
from batchjob.process.groups import PAGES_PER_GROUP
from batchjob.process.ocrpool import OcrPool
from batchjob.process.readers import Readers
from batchjob.records import Extraction, ManifestRow, RunInfo
from batchjob.runs import read_receipt
from batchjob.settings import Settings
from tests.extract.pdfs import printed
from tests.support.command import batchjob, environment, left_behind, start
from tests.support.documents import write_folder
from tests.support.pipeline import frozen_run

from .slow_ocr import SECONDS
from .test_children import interpreter, linux_only
from .test_extraction import MemoryCache

__all__ = ["interpreter"]

WORKERS = 2
MOST_LOST = 32
CHANGING = ("run_id", "indexed_at", "observed_at", "thumbnail_url")
SLIP = (220, 60)
"""Width and height of a page that is quickly read, in points."""


def scan(path: Path, pages: int, size: tuple[float, float]) -> Path:
    canvas = Canvas(str(path), pagesize=size, invariant=1)
    for number in range(1, pages + 1):
        canvas.drawImage(
            ImageReader(printed(f"This is sheet {number}")), 0, 0, *size, preserveAspectRatio=True
        )
        canvas.showPage()
    canvas.save()
    return path


class Watch(threading.Thread):
    """Looks at what a document holds while it is read: page images on disk, their bytes, and stopped parsers."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.most_images = self.most_bytes = self.stopped = 0
        self.over = threading.Event()
        self._folder = folder

    def run(self) -> None:
        while not self.over.wait(0.01):
            sizes = [size for path in self._folder.rglob("page-*.pgm") if (size := _size(path))]
            self.most_images = max(self.most_images, len(sizes))
            self.most_bytes = max(self.most_bytes, sum(sizes))
            self.stopped += any(map(_is_stopped, psutil.Process().children(recursive=True)))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _is_stopped(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False


@pytest.fixture(scope="module")
def read(interpreter: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Extraction, Watch]:
    """Three groups of pages, each of which the OCR takes longer for than the parser."""
    folder = tmp_path_factory.mktemp("long")
    (scratch := folder / "scratch").mkdir()
    path, settings = scan(folder / "a.pdf", 2 * PAGES_PER_GROUP + 8, A4), Settings()
    with pytest.MonkeyPatch.context() as changed, Readers(settings, WORKERS, folder) as readers:
        changed.setattr(sys, "executable", interpreter)
        readers.ocr = OcrPool(settings, WORKERS, folder, "tests.process.slow_ocr")
        watch = Watch(scratch)
        watch.start()
        found = extract_file(path, settings, scratch, MemoryCache(), readers)
        watch.over.set()
        watch.join()
    assert list(scratch.iterdir()) == []
    return found, watch


def test_the_parser_of_a_long_scan_is_held_back(read: tuple[Extraction, Watch]) -> None:
    found, watch = read
    assert (found.status, len(found.pages)) == ("ok", 2 * PAGES_PER_GROUP + 8)
    waiting = 2 * WORKERS + 4
    assert waiting <= watch.most_images <= waiting + 2  # one is written while the last one is counted
    image_bytes = 1654 * 2340 + 20
    assert watch.most_bytes <= (waiting + 2) * image_bytes
    assert watch.stopped > 10


def test_both_workers_stay_busy_across_groups(read: tuple[Extraction, Watch]) -> None:
    found, _ = read
    spans = [tuple(map(float, page.text.split())) for page in found.pages]
    for border in (PAGES_PER_GROUP, 2 * PAGES_PER_GROUP):
        last_of_one, first_of_next = spans[border - 1], spans[border]
        assert first_of_next[1] < last_of_one[2] + SECONDS / 2
    workers = defaultdict(list)
    for worker, started, ended in sorted(spans, key=lambda span: span[1]):
        workers[worker].append((started, ended))
    assert len(workers) == WORKERS
    for work in workers.values():
        whole = work[-1][1] - work[0][0]
        assert len(work) * SECONDS > 0.8 * whole


class LongScan:
    """One scanned document as a shard of its own in a work folder of its own, again and again."""

    def __init__(self, folder: Path, pages: int) -> None:
        self.pages = pages
        self._folder = folder
        data = scan(folder / "made.pdf", pages, SLIP).read_bytes()
        self._row = ManifestRow(write_folder(folder / "source", {"long.pdf": data}), "long.pdf")
        self.fingerprint = extraction_fingerprint(Settings())

    def prepare(self, name: str) -> "Attempt":
        folder = self._folder / name
        run = frozen_run(FolderStore(folder / "work"), [self._row], 1, "unused", self.fingerprint)
        return Attempt(folder, run, self.pages)


class Attempt:
    """A run of it, which may be killed and started again."""

    def __init__(self, folder: Path, run: RunInfo, pages: int) -> None:
        self._pages = pages
        self.scratch = folder / "scratch"
        self._store = FolderStore(folder / "work")
        self._run = run
        self._job = ["process", run.run_id, "--shard", 0]
        self._env = environment(
            work=folder / "work", scratch=self.scratch, opensearch_url="http://127.0.0.1:9", workers=WORKERS
        )

    def saved(self) -> int:
        """Pages that the cache has."""
        groups = sum(1 for _ in self._store.list("cache/extract/"))
        return min(groups * PAGES_PER_GROUP, self._pages)

    def kill(self, when_saved: int, later: float) -> None:
        job = start(*self._job, env=self._env)
        until = time.monotonic() + 60
        while self.saved() < when_saved and job.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(later)
        job.kill()
        job.wait()
        assert left_behind(self.scratch) == []

    def done(self) -> int:
        """Pages that were recognised when it was killed: each image goes when its page is read, in their order."""
        images = [int(path.stem.removeprefix("page-")) for path in self.scratch.rglob("page-*.pgm")]
        return max(images) - len(images) if images else self.saved()

    def finish(self) -> dict[str, Any]:
        """Its document, without what every run has of its own."""
        done = batchjob(*self._job, env=self._env)
        assert done.code == 0, done.stderr
        assert list(self.scratch.iterdir()) == []
        receipt = read_receipt(self._store, self._run.run_id, 0)
        assert receipt is not None
        with self._store.open(receipt.parts[0].key) as opened:
            document: dict[str, Any] = orjson.loads(gzip.decompress(opened.body.read()).splitlines()[1])
        del document["extraction"]["seconds"]
        return {name: value for name, value in document.items() if name not in CHANGING}


@pytest.fixture(scope="module")
def long_scan(tmp_path_factory: pytest.TempPathFactory) -> LongScan:
    return LongScan(tmp_path_factory.mktemp("scan"), 70)


def kill_at_random(
    scan: LongScan, name: str, kills: int, expected: dict[str, Any], moments: random.Random
) -> None:
    attempt = scan.prepare(name)
    for _ in range(kills):
        before = attempt.saved()
        more = PAGES_PER_GROUP * moments.randint(0, 2)
        attempt.kill(min(before + more, scan.pages - 1), moments.uniform(0, 1.5))
        assert attempt.saved() >= before
        assert 0 <= attempt.done() - attempt.saved() <= MOST_LOST
    assert attempt.finish() == expected
    assert attempt.saved() == scan.pages


@linux_only
def test_a_killed_shard_loses_few_pages_of_a_long_scan(long_scan: LongScan) -> None:
    expected = long_scan.prepare("undisturbed").finish()
    read = sum(f"sheet {n}" in expected["content"] for n in range(1, long_scan.pages + 1))
    assert read >= 0.95 * long_scan.pages
    kill_at_random(long_scan, "killed", 1, expected, random.Random(1))


@linux_only
@pytest.mark.slow
def test_shards_killed_at_many_moments(tmp_path: Path) -> None:
    scan = LongScan(tmp_path, 200)
    expected = scan.prepare("undisturbed").finish()
    moments = random.Random(2)
    for trial in range(5):
        kill_at_random(scan, f"trial-{trial}", 4, expected, moments)
