"""The first thing a child process does: it limits itself and ties its life to its parent's (invariant 11)."""

import ctypes
import json
import os
import resource
import signal
import sys
from types import FrameType
from typing import Any

# Numbers from linux/prctl.h and linux/sched.h.
PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

_LINUX = sys.platform.startswith("linux")
_events = 1


def enter(*, starts_programs: bool = False, keeps_network: bool = False) -> dict[str, Any]:
    """Limits this process and returns the arguments that the parent gave.

    `starts_programs`: a program started from here must not outlive the parent either. Then the parent's
    death arrives as SIGTERM, whose handler kills the whole process group. A handler in Python waits for
    native code to return, so without programs the kernel kills this process at once.
    """
    request = json.loads(sys.argv[1])
    _keep_stdout_for_events()
    _limit_resources(request["output"])
    if _LINUX and not keeps_network:
        _leave_the_network()
    if starts_programs:
        signal.signal(signal.SIGTERM, _kill_group)
    if _LINUX:
        _die_with_parent(signal.SIGTERM if starts_programs else signal.SIGKILL)
    if os.getppid() != request["parent"]:
        _kill_group()
    arguments: dict[str, Any] = request["arguments"]
    return arguments


def emit(event: dict[str, object]) -> None:
    """Sends one line of JSON in UTF-8 to the parent; a lone surrogate, which that has not, becomes `?`."""
    data = memoryview(json.dumps(event, ensure_ascii=False).encode(errors="replace") + b"\n")
    while data:
        data = data[os.write(_events, data) :]


def _keep_stdout_for_events() -> None:
    """What native libraries print must not end up between the events."""
    global _events  # noqa: PLW0603
    _events = os.dup(1)
    os.dup2(2, 1)


def _limit_resources(output: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (output, output))
    # Python ignores the signal by default; unignored, it tells the parent which limit was met.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


def _leave_the_network() -> None:
    """Moves into an empty network namespace; where that is forbidden, things stay as they are."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)


def _die_with_parent(number: signal.Signals) -> None:
    """Must come after the change of namespace, which may clear it (prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def end_with_parent(parent: int) -> None:
    """SIGTERM for this process when `parent` dies; a parent that is dead already means the same."""
    if _LINUX:
        _die_with_parent(signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def _kill_group(number: int = 0, frame: FrameType | None = None) -> None:
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
