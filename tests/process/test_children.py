"""Children that misbehave: each end is told apart, and nothing of the group stays alive."""

import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from batchjob.errors import MachineError
from batchjob.process.children import ChildEnd, ChildLimits, Ending, NotAnEventError
from batchjob.process.forkserver import ForkServer
from batchjob.process.launch import Launch, program

from .running import run_child

ROOT = Path(__file__).parents[2]
FAULTY = "tests.process.faulty_child"
MIB = 1024 * 1024
LIMITS = ChildLimits(seconds=20, silent_seconds=20, memory=500 * MIB, output=50 * MIB, line=50 * MIB)
linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a feature of Linux")

Run = Callable[..., tuple[ChildEnd, list[dict[str, Any]]]]


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python that finds the tests although it is isolated; it takes `-I -m MODULE REQUEST`."""
    script = tmp_path_factory.mktemp("python") / "python"
    script.write_text(
        textwrap.dedent(f"""\
            #!{sys.executable} -I
            import runpy, sys
            sys.executable = {sys.executable!r}
            sys.path.insert(0, {str(ROOT)!r})
            del sys.argv[:3]
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
            """)
    )
    script.chmod(0o755)
    return str(script)


@pytest.fixture(params=["program", "forked"])
def launch(
    request: pytest.FixtureRequest, interpreter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Launch]:
    """Both ways to start a child; nothing stays alive after either."""
    monkeypatch.setattr(sys, "executable", interpreter)
    if request.param == "program":
        yield program(FAULTY)
    else:
        with ForkServer(FAULTY, tmp_path) as server:
            yield server.launch
            assert len(descendants()) <= 1  # its zygote
    assert descendants() == []


def descendants() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


@pytest.fixture
def run(launch: Launch, tmp_path: Path) -> Run:
    def run_it(do: str, **limits: float) -> tuple[ChildEnd, list[dict[str, Any]]]:
        lines: list[dict[str, Any]] = []
        changed = ChildLimits(
            **{name: limits.get(name, getattr(LIMITS, name)) for name in ChildLimits.__slots__}
        )
        end = run_child(launch, {"do": do}, cwd=tmp_path, limits=changed, on_line=lines.append)
        return end, lines

    return run_it


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


ENVIRONMENT = {
    "PATH",
    "LANG",
    "OMP_THREAD_LIMIT",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
    "TMPDIR",
    "TESSDATA_PREFIX",
}
"""All that may be in a child's environment."""


@linux_only
def test_a_child_sees_nothing_of_its_parent(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not for children")
    with (tmp_path / "open").open("w") as inherited:
        os.set_inheritable(inherited.fileno(), True)
        end, [seen] = run("report")
    assert end == ChildEnd(Ending.OK)
    assert set(seen["environment"]) <= ENVIRONMENT | {"LC_CTYPE"}
    assert seen["cwd"] == seen["environment"]["TMPDIR"] == str(tmp_path)
    assert seen["group"]
    assert len(seen["descriptors"]) == 5  # 0, 1, 2, the events, and the listing of the folder itself


@linux_only
def test_a_child_has_no_network(run: Run) -> None:
    allowed = subprocess.run(["unshare", "--user", "--net", "true"], check=False, capture_output=True)
    if allowed.returncode:
        pytest.skip("this kernel or container forbids new namespaces")
    _, [seen] = run("report")
    assert seen["interfaces"] == ["lo"]
    assert seen["namespace"] != str(Path("/proc/self/ns/net").readlink())


@pytest.mark.parametrize(
    ("do", "limits", "ending", "words"),
    [
        ("hang", {"silent_seconds": 0.5}, Ending.NO_PROGRESS, "without a finished page"),
        ("closes_output_and_hangs", {"silent_seconds": 0.5}, Ending.NO_PROGRESS, "without"),
        ("chatter", {"seconds": 0.7, "silent_seconds": 0.5}, Ending.TIMEOUT, "in all"),
        ("allocate", {"memory": 150 * MIB}, Ending.MEMORY, "limit 150 MiB"),
        ("grandchild_allocates", {"memory": 200 * MIB}, Ending.MEMORY, "limit 200 MiB"),
        ("flood", {"output": MIB}, Ending.OUTPUT, "more than 1 MiB"),
        ("endless_line", {"output": MIB}, Ending.OUTPUT, "more than 1 MiB"),
        ("endless_line", {"line": 2 * MIB}, Ending.OUTPUT, "line of more than 2 MiB"),
        ("big_file", {"output": MIB}, Ending.OUTPUT, "file of more than 1 MiB"),
        ("nonsense", {}, Ending.CRASHED, "no event"),
        ("exits", {}, Ending.CRASHED, "exit code 1: no more paper"),
        ("segfault", {}, Ending.CRASHED, "SIGSEGV"),
        ("no_such_thing", {}, Ending.CRASHED, "KeyError"),
    ],
)
def test_every_end_is_told_apart(
    run: Run, do: str, limits: dict[str, float], ending: Ending, words: str
) -> None:
    started = time.monotonic()
    end, _ = run(do, **limits)
    assert end.ending is ending
    assert words in end.message
    assert time.monotonic() - started < 15


def test_a_line_that_the_reader_refuses_ends_the_child(launch: Launch, tmp_path: Path) -> None:
    def refuse(line: dict[str, Any]) -> None:
        raise NotAnEventError

    end = run_child(launch, {"do": "hang"}, cwd=tmp_path, limits=LIMITS, on_line=refuse)
    assert end == ChildEnd(Ending.CRASHED, "it wrote a line that is no event")


def test_a_system_without_descriptors_is_the_machines_failure(launch: Launch, tmp_path: Path) -> None:
    run_child(launch, {"do": "prints"}, cwd=tmp_path, limits=LIMITS, on_line=print)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(lowest := os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1, hard))
    try:
        with pytest.raises(MachineError, match="no process for a document: Too many open files"):
            run_child(launch, {"do": "prints"}, cwd=tmp_path, limits=LIMITS, on_line=print)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("do", ["exits", "segfault", "hang"])
def test_lines_before_the_end_are_kept(run: Run, do: str) -> None:
    _, lines = run(do, silent_seconds=0.7)
    assert lines == [{"n": 1}]


def test_what_a_library_prints_is_no_event(run: Run) -> None:
    assert run("prints") == (ChildEnd(Ending.OK), [{"n": 1}])


@pytest.mark.parametrize(
    ("do", "ending"), [("grandchildren", Ending.NO_PROGRESS), ("leaves_one_behind", Ending.OK)]
)
def test_no_process_of_the_group_stays_alive(run: Run, do: str, ending: Ending) -> None:
    end, [line] = run(do, silent_seconds=1.5)
    assert end.ending is ending
    wait_until(lambda: not any(alive(pid) for pid in line["pids"]), 2)


def test_an_error_of_the_reader_ends_the_child(launch: Launch, tmp_path: Path) -> None:
    def refuse(line: dict[str, Any]) -> None:
        raise InterruptedError("enough")

    with pytest.raises(InterruptedError):
        run_child(launch, {"do": "hang"}, cwd=tmp_path, limits=LIMITS, on_line=refuse)


def test_many_threads_at_once_and_no_leak(run: Run) -> None:
    run("prints")
    threads, descriptors = threading.active_count(), psutil.Process().num_fds()
    with ThreadPoolExecutor(4) as pool:
        ends = list(pool.map(run, ["prints", "exits", "prints", "segfault"] * 2))
    assert [end.ending for end, _ in ends] == [Ending.OK, Ending.CRASHED] * 4
    assert (threading.active_count(), psutil.Process().num_fds()) == (threads, descriptors)


PARENT = """\
import sys
from pathlib import Path
from batchjob.process.children import Child, ChildLimits
from batchjob.process.forkserver import ForkServer
from batchjob.process.launch import program
how, module, sys.executable, folder = sys.argv[1:]
launch = program(module) if how == "program" else ForkServer(module, Path(folder)).launch
Child(launch, {"do": "leaves_one_and_waits"}, cwd=Path(folder), limits=ChildLimits(60, 60, 10**9, 10**6, 10**6),
      on_line=lambda line: print(line.decode(), flush=True)).follow()
"""


@linux_only
@pytest.mark.parametrize("how", ["program", "forked"])
def test_a_killed_parent_takes_its_children_along(how: str, interpreter: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, how, FAULTY, interpreter, str(tmp_path)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = json.loads(parent.stdout.readline())["pids"]
    pids += [process.pid for process in psutil.Process(parent.pid).children(recursive=True)]
    assert all(alive(pid) for pid in pids)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not any(alive(pid) for pid in pids), 5)
