"""Forked children beyond what test_children.py asks of both ways: their zygote's faults, its end, what it holds."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from batchjob.errors import MachineError
from batchjob.process.answers import Said
from batchjob.process.children import ChildEnd, ChildLimits, Ending
from batchjob.process.forkserver import ForkServer
from batchjob.process.parsing import ParseChild
from batchjob.process.readers import PARSER
from batchjob.settings import Settings

from .running import run_child
from .test_children import (
    ENVIRONMENT,
    FAULTY,
    LIMITS,
    alive,
    descendants,
    interpreter,
    linux_only,
    wait_until,
)

__all__ = ["interpreter"]


class Work:
    """Children of one fork server, each driven by a thread of its own."""

    def __init__(self, server: ForkServer, folder: Path, threads: ThreadPoolExecutor) -> None:
        self.server = server
        self.lines: list[dict[str, Any]] = []
        self.folder = folder
        self._threads = threads

    def start(self, do: str, limits: ChildLimits = LIMITS) -> "Future[ChildEnd]":
        before = len(self.lines)
        future = self._threads.submit(
            run_child,
            self.server.launch,
            {"do": do},
            cwd=self.folder,
            limits=limits,
            on_line=self.lines.append,
        )
        wait_until(lambda: len(self.lines) > before or future.done())
        return future


@pytest.fixture
def work(interpreter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    monkeypatch.setattr(sys, "executable", interpreter)
    with ThreadPoolExecutor(4) as threads, ForkServer(FAULTY, tmp_path) as server:
        yield Work(server, tmp_path, threads)
    assert descendants() == []
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def many_switches() -> Iterator[None]:
    """Between threads: what two of them do at once meets more often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def zygote() -> psutil.Process:
    [process] = psutil.Process().children()
    return process


def test_one_zygote_starts_with_the_first_child_and_stays(work: Work) -> None:
    assert descendants() == []
    assert work.start("prints").result() == ChildEnd(Ending.OK)
    first = zygote()
    assert work.start("exits").result().ending is Ending.CRASHED
    assert descendants() == [first]


@linux_only
def test_a_child_sees_nothing_of_its_siblings(work: Work) -> None:
    hanging = work.start("leaves_one_and_waits")
    assert work.start("report").result() == ChildEnd(Ending.OK)
    assert (
        len(work.lines[-1]["descriptors"]) == 5
    )  # 0, 1, 2, the events, and the listing of the folder itself
    assert not hanging.done()
    work.server.close()


@linux_only
def test_a_killed_zygote_takes_its_children_along_and_is_replaced(work: Work) -> None:
    hanging = [work.start("leaves_one_and_waits") for _ in range(2)]
    pids = [pid for line in work.lines for pid in line["pids"]]
    assert len(pids) == 4
    killed = zygote()
    killed.kill()
    for future in hanging:
        assert future.result(5) == ChildEnd(Ending.CRASHED, "killed by SIGKILL")
    wait_until(lambda: not any(alive(pid) for pid in pids), 2)
    assert work.start("prints").result() == ChildEnd(Ending.OK)
    assert zygote() != killed


def test_a_zygote_that_died_unseen_is_replaced(work: Work, many_switches: None) -> None:
    """By whichever thread finds it dead, while others are about to ask it."""
    for _ in range(5):
        work.start("prints").result()
        zygote().kill()
        with ThreadPoolExecutor(8) as threads:
            launched = [
                threads.submit(work.server.launch, {"do": "prints"}, 1000, work.folder) for _ in range(8)
            ]
        children = [future.result() for future in launched]
        assert [child.wait() for child in children] == [0] * 8
        for child in children:
            child.discard()
        assert len(descendants()) == 1


def test_a_child_that_does_not_start_costs_no_other_one(
    interpreter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", interpreter)
    with ThreadPoolExecutor(2) as threads, ForkServer(FAULTY, tmp_path, start_seconds=5) as server:
        work = Work(server, tmp_path, threads)
        hanging = work.start("leaves_one_and_waits")
        before = zygote()
        before.suspend()
        with pytest.raises(MachineError, match="faulty_child did not start within 5 s"):
            work.start("prints").result()
        before.resume()
        assert work.start("prints").result() == ChildEnd(Ending.OK)
        assert zygote() == before
        assert not hanging.done()
        server.close()
    assert descendants() == []


def test_closing_ends_the_children_in_work(work: Work) -> None:
    hanging = [work.start("leaves_one_and_waits") for _ in range(3)]
    work.server.close()
    assert all(future.result(2).ending is Ending.CRASHED for future in hanging)
    pids = [pid for line in work.lines for pid in line["pids"]]
    wait_until(lambda: not any(alive(pid) for pid in pids), 2)
    with pytest.raises(MachineError, match="stopped"):
        work.start("prints").result()


def test_a_module_that_cannot_be_imported_is_the_machines_failure(tmp_path: Path) -> None:
    with (
        ForkServer("batchjob.no_such_module", tmp_path) as server,
        pytest.raises(MachineError, match=r"no_such_module cannot be started: ModuleNotFoundError"),
    ):
        run_child(server.launch, {}, cwd=tmp_path, limits=LIMITS, on_line=print)
    assert descendants() == []


def test_a_child_that_is_held_back_neither_works_nor_loses_time(work: Work, tmp_path: Path) -> None:
    held, lines = threading.Event(), []
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(
            run_child,
            work.server.launch,
            {"do": "chatter"},
            cwd=tmp_path,
            limits=ChildLimits(2, 1, LIMITS.memory, LIMITS.output, LIMITS.line),
            on_line=lines.append,
            hold=held.is_set,
        )
        wait_until(lambda: len(lines) > 3)
        held.set()
        time.sleep(0.3)
        before = len(lines)
        time.sleep(1.2)
        assert (len(lines), future.done()) == (before, False)
        held.clear()
        wait_until(lambda: len(lines) > before + 3)
        assert future.result().ending is Ending.TIMEOUT


@linux_only
def test_the_zygote_of_parse_children_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread, so that it may fork; no secrets; no file but its standard ones, three sockets, a child's socket."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not for children")
    with (
        ForkServer(PARSER, tmp_path) as server,
        ParseChild(server.launch, Path("/dev/null"), Settings(), tmp_path, time.monotonic() + 20) as parser,
    ):
        lines: list[Said] = []
        assert parser.read([1], lines.append, lambda: False) == ChildEnd(Ending.OK)
        assert [line.event for line in lines] == ["failure"]
        parser.close()
        process = zygote()
        assert process.num_threads() == 1
        wait_until(lambda: process.num_fds() == 3 + 3)
        assert set(process.environ()) <= ENVIRONMENT
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: not alive(process.pid))
