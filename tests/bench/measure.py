"""How a run is measured: wall time, CPU and memory of a whole process tree, and runs taken in turn."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import psutil

SAMPLE_SECONDS = 0.1
QUICK_SECONDS = 10.0
"""A round below this is repeated more often."""
QUICK_ROUNDS, SLOW_ROUNDS = 5, 3


@dataclass(frozen=True, slots=True)
class Usage:
    """Wall and CPU seconds (user and system), and the largest sum of resident bytes that was seen."""

    wall: float
    cpu: float
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Variant:
    """Something to measure, what it does once, and how many units (pages, documents, objects) that is."""

    name: str
    run: Callable[[], Usage]
    units: int = 1


def commands(*lines: Sequence[object], env: Mapping[str, str] | None = None) -> Usage:
    """Runs commands one after the other. Raises RuntimeError where one fails."""
    used = [_command([str(word) for word in line], env) for line in lines]
    return Usage(sum(one.wall for one in used), sum(one.cpu for one in used), max(one.memory for one in used))


def _command(line: list[str], env: Mapping[str, str] | None) -> Usage:
    """The CPU is that which wait4(2) gives: the process, and all below it that were waited for."""
    started = time.monotonic()
    process = subprocess.Popen(
        line, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peak = _PeakMemory(process.pid)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    memory = peak.stop()
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode} of {' '.join(line)}")
    return Usage(wall, used.ru_utime + used.ru_stime, memory)


class _PeakMemory:
    """Looks at a process tree from a thread of its own; what lives less than a tick may be missed."""

    def __init__(self, pid: int) -> None:
        self._peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(pid,), daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._ended.set()
        self._thread.join()
        return self._peak

    def _watch(self, pid: int) -> None:
        while True:
            self._peak = max(self._peak, _tree_memory(pid))
            if self._ended.wait(SAMPLE_SECONDS):
                return


def _tree_memory(pid: int) -> int:
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(_resident(process) for process in tree)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def calls(work: Callable[[], None]) -> Usage:
    """Runs a function in this process."""
    wall, cpu = time.monotonic(), time.process_time()
    work()
    return Usage(time.monotonic() - wall, time.process_time() - cpu)


def in_turn(variants: Sequence[Variant], rounds: int | None = None) -> dict[str, list[Usage]]:
    """Measures A B A B …, so that a machine that changes its speed changes it for all variants."""
    started = time.monotonic()
    measured = {variant.name: [variant.run()] for variant in variants}
    if rounds is None:
        rounds = QUICK_ROUNDS if time.monotonic() - started < QUICK_SECONDS else SLOW_ROUNDS
    for _ in range(rounds - 1):
        for variant in variants:
            measured[variant.name].append(variant.run())
    return measured


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, least and largest of some figures."""

    median: float
    least: float
    largest: float


def spread(values: Sequence[float]) -> Spread:
    return Spread(median(values), min(values), max(values))


def ratios(
    numerator: Sequence[Usage], denominator: Sequence[Usage], figure: Callable[[Usage], float]
) -> Spread:
    """How many times as much the first takes as the second, pair by pair."""
    return spread([figure(a) / figure(b) for a, b in zip(numerator, denominator, strict=True)])
