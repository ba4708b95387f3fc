"""How many workers: a metadata server, control groups as plain files, and a real one where it can be made."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchjob.process.capacity import BASE_MEMORY, METADATA, WORKER_MEMORY, capacity
from tests.support.answers import answer, answering

MIB = 1024 * 1024
GIB = 1024 * MIB
PLENTY = 1024 * GIB


def machine(root: Path, files: dict[str, str], memory: int = PLENTY) -> Path:
    for name, text in {"proc/meminfo": f"MemTotal:  {memory // 1024} kB\n", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def workers(root: Path, cpus: int = 16, uri: str = "") -> int:
    return capacity(None, {METADATA: uri} if uri else {}, root, cpus).workers


def test_an_explicit_number_stands_over_everything(tmp_path: Path) -> None:
    root = machine(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000 100000\n"})
    assert capacity(7, {METADATA: "http://127.0.0.1:9"}, root, 1).workers == 7


def test_without_a_limit_the_usable_cpus_count(tmp_path: Path) -> None:
    root = machine(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"})
    assert workers(root, 5) == 5
    assert capacity(None, {}, tmp_path / "nothing there", 3).workers == 3
    assert capacity(None, {}, tmp_path / "nothing there").workers == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "expected"),
    [(25_000, 1), (100_000, 1), (149_000, 1), (150_000, 2), (400_000, 4), (3_200_000, 16)],
)
def test_a_quota_of_either_kind_of_control_group(tmp_path: Path, quota: int, expected: int) -> None:
    second = {"proc/self/cgroup": "0::/batch/job\n", "sys/fs/cgroup/batch/job/cpu.max": f"{quota} 100000\n"}
    assert workers(machine(tmp_path / "v2", second)) == expected
    first = {
        "proc/self/cgroup": "4:cpu,cpuacct:/docker/0123\n3:memory:/docker/0123\n",
        "sys/fs/cgroup/cpu,cpuacct/docker/0123/cpu.cfs_quota_us": f"{quota}\n",
        "sys/fs/cgroup/cpu,cpuacct/docker/0123/cpu.cfs_period_us": "100000\n",
    }
    assert workers(machine(tmp_path / "v1", first)) == expected


@pytest.mark.parametrize("at", ["", "outer/", "outer/middle/", "outer/middle/inner/"])
def test_the_narrowest_group_of_those_around_decides(tmp_path: Path, at: str) -> None:
    groups = {
        "proc/self/cgroup": "0::/outer/middle/inner\n",
        "sys/fs/cgroup/outer/middle/inner/cpu.max": "800000 100000\n",
        "sys/fs/cgroup/outer/cpu.max": "max 100000\n",
    }
    assert workers(machine(tmp_path, groups | {f"sys/fs/cgroup/{at}cpu.max": "200000 100000\n"})) == 2


@pytest.mark.parametrize("path", ["/docker/outside", "/../../outside", "/"])
def test_a_container_finds_its_group_at_the_mount_point(tmp_path: Path, path: str) -> None:
    files = {"proc/self/cgroup": f"0::{path}\n", "sys/fs/cgroup/cpu.max": "300000 100000\n"}
    assert workers(machine(tmp_path, files)) == 3


def test_a_group_outside_the_mount_point_is_not_looked_for(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/../elsewhere\n", "sys/fs/elsewhere/cpu.max": "100000 100000\n"}
    assert workers(machine(tmp_path, files), 4) == 4


def for_workers(number: int) -> int:
    return BASE_MEMORY + number * WORKER_MEMORY


@pytest.mark.parametrize(
    ("memory", "expected"),
    [(64 * MIB, 1), (for_workers(1), 1), (for_workers(2) - 4096, 1), (for_workers(2), 2), (GIB * 64, 4)],
)
def test_memory_caps_the_workers(tmp_path: Path, memory: int, expected: int) -> None:
    second = {"proc/self/cgroup": "0::/job\n", "sys/fs/cgroup/job/memory.max": f"{memory}\n"}
    first = {
        "proc/self/cgroup": "4:memory:/job\n",
        "sys/fs/cgroup/memory/job/memory.limit_in_bytes": f"{memory}\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    for name, files in {"v1": first, "v2": second}.items():
        assert workers(machine(tmp_path / name, files), 4) == expected
    assert workers(machine(tmp_path / "machine", {}, memory), 4) == expected


ECS = [
    pytest.param({"CPU": 4096, "Memory": 16384}, {"CPU": 8, "Memory": 65536}, 4, 1, id="container"),
    pytest.param({"CPU": 256, "Memory": 2048}, None, 1, 1, id="a quarter of a CPU"),
    pytest.param({"CPU": 2, "Memory": 16384}, {"CPU": 3, "Memory": 65536}, 3, 2, id="CPU of the task"),
    pytest.param({"CPU": 0}, {"CPU": 0.25, "Memory": 512}, 1, 2, id="all of the task"),
    pytest.param({"CPU": 8192, "Memory": 2048}, None, 2, 1, id="memory of the container"),
    pytest.param({"CPU": 8192}, {"Memory": 4096}, 5, 2, id="memory of the task"),
    pytest.param(None, None, 16, 2, id="no limits at all"),
]


@pytest.mark.parametrize(("container", "task", "expected", "requests"), ECS)
def test_the_metadata_of_ecs(tmp_path: Path, container: Any, task: Any, expected: int, requests: int) -> None:
    answers = [
        answer("200 OK", json.dumps({} if limits is None else {"Limits": limits}).encode())
        for limits in (container, task)
    ]
    with answering(*answers) as server:
        assert workers(machine(tmp_path, {}), uri=f"{server.endpoint}/v4/id") == expected
    assert [head.split()[1] for head in server.heads] == [b"/v4/id", b"/v4/id/task"][:requests]


def test_a_quota_below_the_share_of_ecs_holds(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}
    with answering(answer("200 OK", b'{"Limits": {"CPU": 4096, "Memory": 65536}}')) as server:
        found = capacity(None, {METADATA: server.endpoint}, machine(tmp_path, files), 16)
        assert found.workers == 2
        assert "cpu.max" in found.because
        found = capacity(None, {METADATA: server.endpoint}, machine(tmp_path / "other", {}), 16)
        assert (found.workers, found.because) == (4, "4 CPUs by ECS")


@pytest.mark.parametrize(
    "given",
    [b"", b"garbage\r\n\r\n", answer("500 No", b"<html>"), answer("200 OK", b'["Limits"]')]
    + [
        answer("200 OK", json.dumps({"Limits": limits}).encode())
        for limits in ("many", {"CPU": "4"}, {"CPU": -1})
    ],
)
def test_a_metadata_server_that_says_nothing_useful(tmp_path: Path, given: bytes) -> None:
    with answering(given) as server:
        assert workers(machine(tmp_path, {}), 4, server.endpoint) == 4


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9/v4", "not a URL", "http://", "http://[", "http://x:y/"])
def test_no_metadata_server(tmp_path: Path, uri: str) -> None:
    assert workers(machine(tmp_path, {}), 4, uri) == 4


@given(st.text(max_size=60), st.text(max_size=30))
def test_whatever_the_files_say_there_is_a_worker(
    tmp_path_factory: pytest.TempPathFactory, group: str, value: str
) -> None:
    names = ("cpu.max", "memory.max", "cpu/cpu.cfs_quota_us", "memory/memory.limit_in_bytes")
    files = {f"sys/fs/cgroup/{name}": value for name in names}
    files |= {"proc/self/cgroup": f"0::/{group}\n4:cpu:/\n3:memory:/\n"}
    root = tmp_path_factory.mktemp("root")
    with suppress(UnicodeEncodeError):
        assert workers(machine(root, files), 4) in range(1, 5)


@pytest.fixture
def real_group() -> Iterator[Path]:
    """A real control group (v2, or v1 for cpu) with a quota of one and a half CPUs."""
    group = next(
        (
            path / f"batchjob-test-{os.getpid()}"
            for path in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/cpu"))
            if (path / "cpu.cfs_quota_us").exists() or "cpu" in _controllers(path)
        ),
        None,
    )
    if group is None:
        pytest.skip("no control group with a CPU quota here")
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made: {error.strerror}")
    try:
        try:
            if (group / "cpu.max").exists():
                (group / "cpu.max").write_text("150000 100000")
            else:
                (group / "cpu.cfs_quota_us").write_text("150000")
        except OSError as error:
            pytest.skip(f"no quota can be set: {error.strerror}")
        yield group
    finally:
        group.rmdir()


def _controllers(path: Path) -> list[str]:
    file = path / "cgroup.subtree_control"
    return file.read_text().split() if file.exists() else []


def test_a_real_control_group(real_group: Path) -> None:
    program = (
        "from batchjob.process.capacity import capacity; found = capacity(None, {}, cpus=64); print(found)"
    )
    join = f"echo $$ > {real_group}/cgroup.procs && exec {sys.executable} -c '{program}'"
    done = subprocess.run(["sh", "-c", join], capture_output=True, text=True, check=True)
    assert "workers=2" in done.stdout
    assert "1.5 CPUs" in done.stdout
