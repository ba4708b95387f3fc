"""A pool of OCR children that misbehave: a fault costs one page at most, and nothing stays alive."""

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from batchjob.errors import MachineError
from batchjob.process.children import ChildEnd, Ending
from batchjob.process.ocrpool import OcrPool
from batchjob.settings import Settings

from .test_children import alive, interpreter, linux_only, wait_until

__all__ = ["interpreter"]

FAULTY = "tests.process.faulty_ocr"
MIB = 1024 * 1024


def children() -> list[psutil.Process]:
    """The pool's children; their zygote is this process's only one."""
    return [child for zygote in psutil.Process().children() for child in zygote.children()]


class Pages:
    """Pages for a pool whose children do what the page says."""

    def __init__(self, pool: OcrPool, folder: Path) -> None:
        self.pool = pool
        self._folder = folder

    def start(self, do: str, deadline: float | None = None) -> Any:
        image = self._folder / f"{time.monotonic_ns()}.pgm"
        image.write_text(do)
        return self.pool.read(image, 200, time.monotonic() + 60 if deadline is None else deadline)

    def read(self, do: str) -> Any:
        found = self.start(do).result(timeout=30)
        return found if isinstance(found, ChildEnd) else found.text


@pytest.fixture
def pages(interpreter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    monkeypatch.setattr(sys, "executable", interpreter)
    settings = Settings(page_seconds=2.0, child_memory=300 * MIB)
    with OcrPool(settings, 2, tmp_path, FAULTY) as pool:
        yield Pages(pool, tmp_path)
    assert psutil.Process().children(recursive=True) == []
    assert threading.active_count() == 1 or not any(
        thread.name.startswith("ocr") for thread in threading.enumerate()
    )


def test_children_start_when_they_are_needed_and_stay(pages: Pages, tmp_path: Path) -> None:
    assert children() == []
    first = pages.read("sleep 0")
    time.sleep(0.1)  # the child is free a little after its answer
    assert pages.read("sleep 0") == first
    assert len(children()) == 1
    together = {future.result().text for future in [pages.start("sleep 0.3") for _ in range(6)]}
    assert len(together) == 2
    wait_until(lambda: list(tmp_path.glob("*.pgm")) == [])


@pytest.mark.parametrize(
    ("do", "ending", "words"),
    [
        ("kill", Ending.CRASHED, "SIGABRT"),
        ("exit", Ending.CRASHED, "without an answer"),
        ("hang", Ending.TIMEOUT, "after 2 s"),
        ("allocate", Ending.MEMORY, "limit 300 MiB"),
        ("garbage", Ending.CRASHED, "answer that is none"),
        ("other_page", Ending.CRASHED, "answer that is none"),
        ("two_answers", Ending.CRASHED, "answer that is none"),
        ("no_text", Ending.CRASHED, "answer that is none"),
        ("flood", Ending.OUTPUT, "more than"),
    ],
)
def test_a_page_that_kills_its_child_twice_is_given_up_and_nothing_else(
    do: str, ending: Ending, words: str, pages: Pages
) -> None:
    bad, *good = [pages.start(what) for what in (do, "a", "b", "c", "d")]
    end = bad.result(timeout=30)
    assert isinstance(end, ChildEnd)
    assert end.ending is ending
    assert words in end.message
    assert [future.result(timeout=30).text for future in good] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("do", ["kill", "hang", "garbage"])
def test_a_child_that_dies_once_costs_nothing(do: str, pages: Pages) -> None:
    assert pages.read(f"once {do}") == "read"


def test_a_document_out_of_time_is_told(pages: Pages) -> None:
    end = pages.start("a", time.monotonic() - 1).result(timeout=30)
    assert end.ending is Ending.TIMEOUT
    assert pages.read("b") == "b"


def test_a_pool_says_when_it_has_enough(pages: Pages) -> None:
    waiting = [pages.start("sleep 0.2") for _ in range(8)]
    assert pages.pool.is_full()
    for future in waiting:
        future.result()
    wait_until(lambda: not pages.pool.is_full())


def test_children_that_cannot_start_are_the_machines_failure(pages: Pages, tmp_path: Path) -> None:
    (tmp_path / "refuse").touch()
    with pytest.raises(MachineError, match="does not start: exit code 1: no model here"):
        pages.read("a")


def test_closing_gives_up_what_is_in_work(pages: Pages) -> None:
    waiting = [pages.start("hang") for _ in range(5)]
    wait_until(lambda: len(children()) == 2)
    started = time.monotonic()
    pages.pool.close()
    assert time.monotonic() - started < 1.5
    assert all(future.done() for future in waiting)


@linux_only
def test_a_killed_parent_takes_its_ocr_children_along(interpreter: str, tmp_path: Path) -> None:
    (tmp_path / "page").write_text("sleep 60")
    program = textwrap.dedent(f"""\
        import sys, time
        sys.executable = {interpreter!r}
        from pathlib import Path
        from batchjob.process.ocrpool import OcrPool
        from batchjob.settings import Settings
        folder = Path({str(tmp_path)!r})
        pool = OcrPool(Settings(), 2, folder, {FAULTY!r})
        pool.read(folder / "page", 200, time.monotonic() + 99).result()
        """)
    parent = psutil.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL)
    wait_until(lambda: bool(parent.children(recursive=True)))
    time.sleep(0.5)
    family = parent.children(recursive=True)
    parent.kill()
    parent.wait()
    wait_until(lambda: not any(alive(process.pid) for process in family), 5)
