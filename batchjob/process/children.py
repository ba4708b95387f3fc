"""Runs a child process for untrusted work, watches it, and ends its whole process group (invariant 11)."""

import json
import os
import selectors
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil

from batchjob.process.launch import Launch

TICK = 0.1
"""Seconds between two looks at a child's memory."""
_SCAN = 0.4
"""Seconds between two looks for processes below it, which means reading all of /proc."""
_GRACE = 2.0
"""Seconds that a pipe may stay open after its process group was killed."""
_CHUNK = 65536
_STDERR_TAIL = 4096


class Ending(StrEnum):
    OK = "ok"
    TIMEOUT = "timeout"
    NO_PROGRESS = "no_progress"
    MEMORY = "memory"
    OUTPUT = "output"
    CRASHED = "crashed"


class NotAnEventError(ValueError):
    """A line is nothing that the child may say."""


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What a child may use: wall seconds in all and between two lines, resident bytes with its descendants,

    bytes of output, both on standard output and in any one file, and bytes of one line.
    """

    seconds: float
    silent_seconds: float
    memory: int
    output: int
    line: int


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """How a child ended; `message` says why where it is not OK."""

    ending: Ending
    message: str = ""


class Child:
    """A running child, its pipes, and the processes that were seen below it. One thread starts and drives it.

    What is launched calls sandbox.enter() first. `on_line` gets each line as it comes; where it raises
    NotAnEventError, that is the child's end.
    """

    def __init__(
        self,
        launch: Launch,
        arguments: Mapping[str, object],
        *,
        cwd: Path,
        limits: ChildLimits,
        on_line: Callable[[bytes], None],
    ) -> None:
        self._started = self._last_line = time.monotonic()
        self._process = process = launch(arguments, limits.output, cwd)
        self._limits = limits
        self._on_line = on_line
        self._descendants: set[psutil.Process] = set()
        self._line = bytearray()
        self._stderr = bytearray()
        self._received = self._lines = 0
        self._last_look = self._last_scan = self._started
        self._stopped: ChildEnd | None = None
        self._selector = selectors.DefaultSelector()
        for stream, take in ((process.stdout, self._take_output), (process.stderr, self._take_message)):
            assert stream is not None  # noqa: S101 - for the type checker: both were asked for
            self._selector.register(stream, selectors.EVENT_READ, take)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)  # a child may fill its own input, to be waited for

    def ask(self, request: Mapping[str, object], seconds: float, silent_seconds: float | None = None) -> None:
        """Sends a request of one line, from which its limits count anew, as after `allow`."""
        self.allow(seconds, silent_seconds)
        line = json.dumps(request).encode() + b"\n"
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # a dead child shows when its answer is waited for
                if self._process.stdin.write(line) != len(line):
                    self._stop(Ending.CRASHED, "it does not read what it is asked")

    def allow(self, seconds: float, silent_seconds: float | None = None) -> None:
        """Gives it so many seconds, in all and between two lines, and its full output again."""
        self._limits = replace(
            self._limits,
            seconds=seconds,
            silent_seconds=seconds if silent_seconds is None else silent_seconds,
        )
        self._started = self._last_line = time.monotonic()
        self._received = 0

    def next_line(self) -> ChildEnd | None:
        """Waits until a line came (None) or the child ended or passed a limit (how)."""
        before = self._lines
        return self.follow(until=lambda: self._lines != before)

    def follow(
        self, *, hold: Callable[[], bool] = lambda: False, until: Callable[[], bool] = lambda: False
    ) -> ChildEnd | None:
        """Reads until `until` is so (None), or it closed both pipes or passed a limit (how it ended).

        While `hold`, asked every tick, says so, the child is stopped and its limits of time with it.
        """
        exited_at: float | None = None
        while self._selector.get_map() and self._stopped is None:
            self._turn()
            if until():
                return self._stopped
            if hold():
                self._pause_while(hold)
            if exited_at is None and self._process.poll() is not None:
                exited_at = time.monotonic()
                self._kill()
            if exited_at is not None and time.monotonic() - exited_at > _GRACE:
                break
        while self._stopped is None and self._process.poll() is None:
            time.sleep(0.002)
            self._check_limits()
        return self._stopped or self._ended()

    def _turn(self) -> None:
        for key, _ in self._selector.select(TICK):
            self._read(key.fileobj, key.data)
        self._check_limits()

    def _pause_while(self, hold: Callable[[], bool]) -> None:
        paused_at = time.monotonic()
        self._signal(signal.SIGSTOP)
        while hold():
            time.sleep(TICK / 2)
        self._signal(signal.SIGCONT)
        paused = time.monotonic() - paused_at
        self._started += paused
        self._last_line += paused

    def kill(self) -> None:
        """Ends it at once; may be called by any thread."""
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        self._kill()
        self._process.wait()
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _read(self, stream: Any, take: Callable[[bytes], None]) -> None:
        data = os.read(stream.fileno(), _CHUNK)
        if data:
            take(data)
        else:
            self._selector.unregister(stream)

    def _take_message(self, data: bytes) -> None:
        self._stderr += data
        del self._stderr[:-_STDERR_TAIL]

    def _take_output(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self._limits.output:
            self._stop(Ending.OUTPUT, f"it wrote more than {_mib(self._limits.output)}")
            return
        self._line += data
        *lines, rest = self._line.split(b"\n") if b"\n" in data else [self._line]
        self._line = rest
        for line in lines:
            if self._stopped is None:
                self._take_line(bytes(line))
        if len(rest) > self._limits.line:
            self._stop(Ending.OUTPUT, f"it wrote a line of more than {_mib(self._limits.line)}")

    def _take_line(self, line: bytes) -> None:
        try:
            self._on_line(line)
        except NotAnEventError:
            self._stop(Ending.CRASHED, "it wrote a line that is no event")
            return
        self._last_line = time.monotonic()
        self._lines += 1

    def _stop(self, ending: Ending, message: str) -> None:
        self._stopped = self._stopped or ChildEnd(ending, message)

    def _check_limits(self) -> None:
        now, limits = time.monotonic(), self._limits
        if now - self._started > limits.seconds:
            self._stop(Ending.TIMEOUT, f"stopped after {limits.seconds:.0f} s in all")
        elif now - self._last_line > limits.silent_seconds:
            self._stop(
                Ending.NO_PROGRESS, f"stopped after {limits.silent_seconds:.0f} s without a finished page"
            )
        elif now - self._last_look >= TICK:
            self._last_look = now
            resident = self.resident()
            if resident > limits.memory:
                self._stop(
                    Ending.MEMORY, f"stopped at {_mib(resident)} of memory (limit {_mib(limits.memory)})"
                )

    def resident(self) -> int:
        """Resident bytes of the child and all below it; remembers those, since some may leave the group."""
        try:
            leader = psutil.Process(self._process.pid)
            if self._last_look - self._last_scan >= _SCAN:
                self._last_scan = self._last_look
                self._descendants.update(leader.children(recursive=True))
            return sum(_resident(process) for process in (leader, *self._descendants))
        except psutil.Error:
            return 0

    def _kill(self) -> None:
        """Kills the group; called before its leader is waited for, or right after."""
        self.kill()
        for process in self._descendants:
            with suppress(psutil.Error):
                process.kill()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
            os.killpg(self._process.pid, number)

    def _ended(self) -> ChildEnd:
        code = self._process.wait()
        if code == 0:
            return ChildEnd(Ending.OK)
        if code == -signal.SIGXFSZ:
            return ChildEnd(Ending.OUTPUT, f"it wrote a file of more than {_mib(self._limits.output)}")
        if code < 0:
            return ChildEnd(Ending.CRASHED, f"killed by {signal.Signals(-code).name}")
        said = self._stderr.decode(errors="replace").strip().splitlines()
        return ChildEnd(Ending.CRASHED, f"exit code {code}" + (f": {said[-1][:300]}" if said else ""))


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _mib(size: int) -> str:
    return f"{size / (1024 * 1024):,.0f} MiB"
