"""Runs a command and watches the processes below it: what they use, how it changes, which they are."""

import ctypes
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_SHORTEST_PAUSE = 0.1
_PAUSE_FACTOR = 20
"""Looking costs milliseconds for each 100 MiB; at most a twentieth of one core goes into it."""
_LINGER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Wall and CPU seconds (user and system), and the largest sum of bytes (PSS) that was seen."""

    wall: float
    cpu: float
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """One moment: seconds since the start, CPU seconds and bytes (PSS) of the tree, idle seconds of all cores."""

    seconds: float
    cpu: float
    memory: int
    idle: float


@dataclass(frozen=True, slots=True)
class Watched:
    """A command that has ended; `own_cpu` is without its children, `lines` the command lines seen below it."""

    usage: Usage
    looks: Sequence[Look]
    own_cpu: float
    lines: Sequence[Sequence[str]]


def run(line: Sequence[object], env: Mapping[str, str] | None = None, output: Path | None = None) -> Watched:
    """Runs a command; what it prints goes to `output`. Raises RuntimeError where it fails.

    The CPU is exact: wait4(2) gives that of the process and of all below it that were waited for, and those
    whose parent ended before them are adopted and waited for here (prctl(2), PR_SET_CHILD_SUBREAPER).
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    words = [str(word) for word in line]
    with (output or Path(os.devnull)).open("wb") as printed:
        started = time.monotonic()
        process = subprocess.Popen(
            words, env=env, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.DEVNULL
        )
    watch = _Watch(process.pid, started)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    wall = time.monotonic() - started
    own = psutil.Process(process.pid).cpu_times()
    watch.stop()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu = used.ru_utime + used.ru_stime + _cpu_of_adopted(words)
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode} of {' '.join(words)}")
    usage = Usage(wall, cpu, max(look.memory for look in watch.looks))
    return Watched(usage, watch.looks, own.user + own.system, [*watch.lines.values()])


def _cpu_of_adopted(words: Sequence[str]) -> float:
    """Waits for the processes that the command left behind."""
    cpu, started = 0.0, time.monotonic()
    while True:
        try:
            pid, _, used = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return cpu
        if pid:
            cpu += used.ru_utime + used.ru_stime
        elif time.monotonic() - started > _LINGER_SECONDS:
            raise RuntimeError(f"processes outlive {' '.join(words)}")
        else:
            time.sleep(0.01)


class _Watch:
    """Looks at everything below this process from a thread; what lives less than a pause may be missed."""

    def __init__(self, pid: int, started: float) -> None:
        self.looks: list[Look] = []
        self.lines: dict[int, list[str]] = {}
        self._root = pid
        self._started = started
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        pause = 0.0
        while not self._ended.wait(pause) or not self.looks:
            began = time.monotonic()
            self._look()
            pause = max(_SHORTEST_PAUSE, _PAUSE_FACTOR * (time.monotonic() - began))

    def _look(self) -> None:
        cpu, memory = 0.0, 0
        seconds = time.monotonic() - self._started
        for process in psutil.Process().children(recursive=True):
            try:
                cpu += sum(process.cpu_times()[:4])  # with those of children that were waited for
                memory += _proportional(process)
                if process.pid != self._root:
                    self.lines[process.pid] = process.cmdline() or self.lines.get(process.pid, [])
            except psutil.Error:
                continue
        machine = psutil.cpu_times()
        self.looks.append(Look(seconds, cpu, memory, machine.idle + machine.iowait))


def _proportional(process: psutil.Process) -> int:
    """Bytes of a process, shared pages counted in parts (proc_pid_smaps(5)); 0 where it has ended."""
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
    except PermissionError:
        return int(process.memory_info().rss)
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)
