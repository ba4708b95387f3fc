"""Starts child processes for untrusted work, which inherit nothing but their pipes (invariant 11)."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from batchjob.errors import MachineError

_PASSED_ON = ("PATH", "TESSDATA_PREFIX")
_CHILDS_OWN = {
    "LANG": "C.UTF-8",
    "OMP_THREAD_LIMIT": "1",
    # glibc else learns to keep large blocks: 80 MB more in an OCR child after pages of many sizes.
    "MALLOC_MMAP_THRESHOLD_": str(4 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(16 * 1024 * 1024),
}


_SHORT_OF = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})


@contextmanager
def short_of_processes() -> Iterator[None]:
    """Where the system has no process, memory or descriptor left, that is the machine's failure: MachineError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _SHORT_OF:
            raise
        message = (
            f"no process for a document: {error.strerror}; run fewer workers, or raise the system's limits"
        )
        raise MachineError(message, cause="child_start") from error


class Process(Protocol):
    """A child with its pipes, as subprocess.Popen has it; it leads a session and a process group of its own."""

    @property
    def pid(self) -> int: ...

    @property
    def stdin(self) -> IO[bytes] | None: ...

    @property
    def stdout(self) -> IO[bytes] | None: ...

    @property
    def stderr(self) -> IO[bytes] | None: ...

    def poll(self) -> int | None:
        """The exit code once it has ended, negative for a signal."""
        ...

    def wait(self) -> int: ...


Launch = Callable[[Mapping[str, object], int, Path], Process]
"""Starts a child with its arguments, the most bytes of any file it writes, and its working directory."""


def program(module: str, *, asked: bool = False) -> Launch:
    """Children that run `python -m module`; `asked`: they get requests on their standard input.

    Linux ties the life of each to the thread that starts it. They raise MachineError where none can be started.
    """

    def launch(arguments: Mapping[str, object], output: int, cwd: Path) -> Process:
        with short_of_processes():
            return subprocess.Popen(
                [sys.executable, "-I", "-m", module, request(os.getpid(), arguments, output)],
                cwd=cwd,
                env=environment(cwd),
                stdin=subprocess.PIPE if asked else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                bufsize=0,
            )

    return launch


def request(parent: int, arguments: Mapping[str, object], output: int) -> str:
    """What sandbox.enter() reads: the process without which the child ends, its arguments and its limit."""
    return json.dumps({"parent": parent, "output": output, "arguments": dict(arguments)})


def environment(folder: Path) -> dict[str, str]:
    """All that a child sees of this process's environment; temporary files go into `folder`."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {"PATH": os.defpath, **passed, **_CHILDS_OWN, "TMPDIR": str(folder)}
