"""How many workers a job may have: from its share of the machine's CPUs and memory, as far as anything says it."""

import http.client
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

MIB = 1024 * 1024
BASE_MEMORY = 256 * MIB
"""The job's own process: 80 MiB measured, 120 MiB of embedding model, and what its results take."""
WORKER_MEMORY = 750 * MIB
"""An OCR child, which is replaced above 700 MiB resident (process/ocrpool.py), and a parse child's share."""
METADATA = "ECS_CONTAINER_METADATA_URI_V4"
_METADATA_SECONDS = 1.0
_UNITS = 1024
"""CPU units of a vCPU, in which container limits are given, while task limits are in vCPUs and memory in MiB
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-response.html)."""
_LEAST_UNITS = 2
"""What the agent says of a container without a limit: the least that the kernel knows."""
_NO_LIMIT = 1 << 60
"""cgroup v1 says some 2**63 where there is none."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many workers, and the limit that decides it in words."""

    workers: int
    because: str


@dataclass(frozen=True, slots=True)
class _Limit:
    """CPUs, or bytes, and who says so."""

    amount: float
    source: str


def capacity(
    explicit: int | None,
    environment: Mapping[str, str] = os.environ,
    root: Path = Path("/"),
    cpus: int | None = None,
) -> Capacity:
    """The explicit number, or the least that a limit on CPUs or memory allows; at least one.

    `root` holds /proc and /sys; `cpus` are those that the scheduler lets this process use.
    """
    if explicit is not None:
        return Capacity(explicit, "BATCHJOB_WORKERS or --workers")
    known = list(_limits(environment, root))
    cpu = min((cpu for cpu, _ in known if cpu), key=lambda limit: limit.amount, default=None)
    memory = min((memory for _, memory in known if memory), key=lambda limit: limit.amount, default=None)
    usable = _usable_cpus() if cpus is None else cpus
    found = Capacity(usable, f"{usable} usable CPUs")
    if cpu and cpu.amount < usable:
        found = Capacity(max(1, math.floor(cpu.amount + 0.5)), f"{cpu.amount:g} CPUs by {cpu.source}")
    if memory:
        fit = max(1, int((memory.amount - BASE_MEMORY) // WORKER_MEMORY))
        if fit < found.workers:
            words = f"{memory.amount / MIB:,.0f} MiB by {memory.source}, {WORKER_MEMORY // MIB} a worker"
            found = Capacity(fit, words)
    return found


def _usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def _limits(environment: Mapping[str, str], root: Path) -> Iterator[tuple[_Limit | None, _Limit | None]]:
    """Of everything that may say so: a limit on CPUs and one on memory."""
    if metadata := environment.get(METADATA):
        yield _ecs(metadata)
    for folder in _cgroup_folders(root, "", ("unified", "")):
        yield _cpu_max(folder), _bytes_in(folder / "memory.max")
    for folder in _cgroup_folders(root, "cpu", ("cpu", "cpu,cpuacct")):
        yield _cfs_quota(folder), None
    for folder in _cgroup_folders(root, "memory", ("memory",)):
        yield None, _bytes_in(folder / "memory.limit_in_bytes")
    yield None, _machine_memory(root)


def _ecs(uri: str) -> tuple[_Limit | None, _Limit | None]:
    """The container's limits, and the task's where the container has none."""
    container = _metadata(uri)
    units, memory = _number(container.get("CPU")), _number(container.get("Memory"))
    cpu = units / _UNITS if units and units > _LEAST_UNITS else None
    if cpu is None or memory is None:
        task = _metadata(f"{uri}/task")
        cpu = cpu or _number(task.get("CPU"))
        memory = memory or _number(task.get("Memory"))
    return (_Limit(cpu, "ECS") if cpu else None, _Limit(memory * MIB, "ECS") if memory else None)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _metadata(uri: str) -> dict[str, Any]:
    """`Limits` of an answer of the metadata server; empty where it gives none."""
    try:
        parts = urlsplit(uri)
        connection = http.client.HTTPConnection(parts.netloc, timeout=_METADATA_SECONDS)
        try:
            connection.request("GET", parts.path or "/")
            limits = json.loads(connection.getresponse().read(MIB))["Limits"]
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return {}
    return limits if isinstance(limits, dict) else {}


def _cgroup_folders(root: Path, controller: str, mounts: tuple[str, ...]) -> Iterator[Path]:
    """This process's control group and those above it, below the usual mount points.

    A container sees its own group at the mount point, while /proc may still name the path outside.
    """
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controller not in controllers.split(","):
            continue
        inside = PurePosixPath(path.lstrip("/"))
        groups = [] if ".." in inside.parts else [inside, *inside.parents]
        for mount in mounts:
            for group in groups or [PurePosixPath()]:
                yield root / "sys/fs/cgroup" / mount / group


def _cpu_max(folder: Path) -> _Limit | None:
    """https://docs.kernel.org/admin-guide/cgroup-v2.html: quota or `max`, then the period."""
    return _share(_read(folder / "cpu.max").split(), f"cpu.max of {folder}")


def _cfs_quota(folder: Path) -> _Limit | None:
    """https://docs.kernel.org/scheduler/sched-bwc.html: a quota of -1 is none."""
    values = [_read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    return _share(values, f"cpu.cfs_quota_us of {folder}")


def _share(values: list[str], source: str) -> _Limit | None:
    if len(values) == 2 and all(value.isdecimal() for value in values) and int(values[1]):
        return _Limit(int(values[0]) / int(values[1]), source)
    return None


def _bytes_in(path: Path) -> _Limit | None:
    text = _read(path).strip()
    return _Limit(int(text), f"{path}") if text.isdecimal() and int(text) < _NO_LIMIT else None


def _machine_memory(root: Path) -> _Limit | None:
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return _Limit(int(line.split()[1]) * 1024, "the machine")
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""
