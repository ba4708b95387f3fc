"""Forks children from a process that has all they need: Python's start costs more than most pages, an engine's more
than most documents."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

from batchjob.errors import MachineError
from batchjob.process.launch import environment, request, short_of_processes
from batchjob.process.zygote import ENDED, READY, STARTED, WORD

_END_SECONDS = 5.0
_TRIES = 2


class ForkServer:
    """Launches children that run `main()` of `module`; its zygote starts with the first child.

    `launch` is a Launch for any thread. A zygote that died takes its children along, and the next child brings a
    new one. Temporary files of the zygote would go into `folder`.
    """

    def __init__(
        self,
        module: str,
        folder: Path,
        prepared: Mapping[str, object] | None = None,
        start_seconds: float = 60.0,
    ) -> None:
        """`prepared`: what the module is to prepare for all children, which then run that instead of `main()`.

        `start_seconds`: how long the zygote, and each child, may take to start.
        """
        self._module = module
        self._folder = folder
        self._prepared = prepared
        self._start_seconds = start_seconds
        self._zygote: _Zygote | None = None
        self._lock = threading.Lock()
        self._closed = False

    def launch(self, arguments: Mapping[str, object], output: int, cwd: Path) -> "Forked":
        """Raises MachineError where no child can be started."""
        with short_of_processes():
            for _ in range(_TRIES):
                zygote = self._living()
                try:
                    return zygote.fork(arguments, output, cwd)
                except ConnectionError:
                    self._drop(zygote)
                except TimeoutError:
                    raise MachineError(
                        f"{self._module} did not start within {self._start_seconds:.0f} s",
                        cause="child_start",
                    ) from None
        raise MachineError(f"{self._module} cannot be started: its zygote dies", cause="child_start")

    def _living(self) -> "_Zygote":
        with self._lock:
            if self._closed:
                raise MachineError(f"{self._module} was stopped", cause="stopped")
            if self._zygote is None:
                self._zygote = _Zygote(self._module, self._folder, self._prepared, self._start_seconds)
            return self._zygote

    def _drop(self, zygote: "_Zygote") -> None:
        with self._lock:
            if self._zygote is zygote:
                self._zygote = None
                zygote.close()

    def close(self) -> None:
        """Ends the zygote, and all children with it."""
        with self._lock:
            self._closed = True
            if self._zygote is not None:
                self._zygote.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Zygote:
    """A running process/zygote.py. It ends when this end of its socket closes, so with this process at the latest."""

    def __init__(
        self, module: str, folder: Path, prepared: Mapping[str, object] | None, start_seconds: float
    ) -> None:
        """Raises MachineError."""
        self._start_seconds = start_seconds
        self._requests, theirs = socket.socketpair()
        self._asking = threading.Lock()
        with theirs:
            command = [sys.executable, "-I", "-m", "batchjob.process.zygote", str(theirs.fileno()), module]
            if prepared is not None:
                command.append(json.dumps(dict(prepared)))
            self._process = subprocess.Popen(
                command,
                env=environment(folder),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._requests.settimeout(start_seconds)
        try:
            started = self._requests.recv(1) == READY
        except OSError:
            started = False
        if not started:
            raise MachineError(f"{module} cannot be started: {self._last_words()}", cause="child_start")

    def _last_words(self) -> str:
        self._process.kill()
        said = self._process.communicate()[1].decode(errors="replace").strip().splitlines()
        self._requests.close()
        return said[-1][:300] if said else f"no answer in {self._start_seconds:.0f} s"

    def fork(self, arguments: Mapping[str, object], output: int, cwd: Path) -> "Forked":
        """Raises ConnectionError where the zygote is dead, MachineError where the system gives no process."""
        control, theirs = socket.socketpair()
        (stdin_there, stdin), (stdout, stdout_there), (stderr, stderr_there) = os.pipe(), os.pipe(), os.pipe()
        child = Forked(control, stdin, stdout, stderr)
        try:
            try:
                self._ask_for_child([theirs.fileno(), stdin_there, stdout_there, stderr_there])
            finally:
                theirs.close()
                for descriptor in (stdin_there, stdout_there, stderr_there):
                    os.close(descriptor)
            given = {"cwd": str(cwd), "request": request(self._process.pid, arguments, output)}
            control.sendall(json.dumps(given).encode() + b"\n")
            child.await_pid(self._start_seconds)
        except BaseException:
            child.discard()
            raise
        return child

    def _ask_for_child(self, descriptors: list[int]) -> None:
        """One thread at a time: another one may find the zygote dead and close the socket."""
        with self._asking:
            if self._requests.fileno() < 0:
                raise ConnectionResetError("the zygote was given up")
            socket.send_fds(self._requests, [b"."], descriptors)

    def close(self) -> None:
        with self._asking:
            self._requests.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()


class Forked:
    """A forked child as launch.Process; it is no child of this process, so its zygote says how it ended."""

    def __init__(self, control: socket.socket, stdin: int, stdout: int, stderr: int) -> None:
        self._control = control
        self._code: int | None = None
        self.pid = 0
        self.stdin: IO[bytes] | None = os.fdopen(stdin, "wb", buffering=0)
        self.stdout: IO[bytes] | None = os.fdopen(stdout, "rb", buffering=0)
        self.stderr: IO[bytes] | None = os.fdopen(stderr, "rb", buffering=0)

    def await_pid(self, seconds: float) -> None:
        """Raises TimeoutError; such a child ends once it runs, since its streams are closed."""
        self._control.settimeout(seconds)
        word, number = self._next_word()
        if word != STARTED:
            reason = f"exit code {number}" if word == ENDED else os.strerror(number)
            raise MachineError(f"no process for a document: {reason}", cause="child_start")
        self.pid = number

    def poll(self) -> int | None:
        if self._code is None:
            self._control.setblocking(False)
            with suppress(BlockingIOError):
                self._hear()
        return self._code

    def wait(self) -> int:
        while self._code is None:
            self._control.setblocking(True)
            self._hear()
        return self._code

    def _hear(self) -> None:
        """A zygote that died without a word was killed, and took its child along."""
        try:
            _, self._code = self._next_word()
        except ConnectionError:
            self._code = -signal.SIGKILL
        self._control.close()

    def _next_word(self) -> tuple[bytes, int]:
        said = self._control.recv(WORD.size)
        if not said:
            raise ConnectionResetError("the zygote is dead")
        word, number = WORD.unpack(said)
        return word, number

    def discard(self) -> None:
        """Gives up a child that did not start."""
        for stream in (self._control, self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()
