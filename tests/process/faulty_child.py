"""A child that misbehaves as its arguments ask; test_children.py and test_forkserver.py start it."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from batchjob import sandbox


def report() -> None:
    sandbox.emit(
        {
            "environment": dict(os.environ),
            "cwd": str(Path.cwd()),
            "descriptors": sorted(int(entry.name) for entry in Path("/proc/self/fd").iterdir()),
            "group": os.getpgrp() == os.getpid(),
            "interfaces": [name for _, name in socket.if_nameindex()],
            "namespace": str(Path("/proc/self/ns/net").readlink()),
        }
    )


def hang() -> None:
    sandbox.emit({"n": 1})
    time.sleep(60)


def chatter() -> None:
    for n in range(1000):
        sandbox.emit({"n": n})
        time.sleep(0.02)


def grandchildren() -> None:
    """Ignores SIGTERM, as do two below it; one of them has left the group."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    program = [sys.executable, "-c", "import signal, time; signal.signal(15, 1); time.sleep(60)"]
    pids = [subprocess.Popen(program, start_new_session=own).pid for own in (False, True)]
    sandbox.emit({"pids": [os.getpid(), *pids]})
    time.sleep(60)


def leaves_one_behind() -> None:
    pid = subprocess.Popen(["sleep", "60"]).pid
    sandbox.emit({"pids": [os.getpid(), pid]})


def leaves_one_and_waits() -> None:
    leaves_one_behind()
    time.sleep(60)


def allocate() -> None:
    hoard = []
    while True:
        hoard.append(b"x" * 10_000_000)
        time.sleep(0.01)


def grandchild_allocates() -> None:
    program = "import time; x = b'x' * 300_000_000; time.sleep(60)"
    pid = subprocess.Popen([sys.executable, "-c", program]).pid
    sandbox.emit({"pids": [os.getpid(), pid]})
    time.sleep(60)


def flood() -> None:
    while True:
        sandbox.emit({"text": "x" * 10_000})


def endless_line() -> None:
    while True:
        os.write(sandbox._events, b"x" * 65536)


def big_file() -> None:
    with Path("big").open("wb") as file:
        while True:
            file.write(b"x" * 100_000)


def nonsense() -> None:
    os.write(sandbox._events, b"hello\n")
    time.sleep(60)


def prints() -> None:
    print("a library's chatter", flush=True)
    sandbox.emit({"n": 1})


def exits() -> None:
    sandbox.emit({"n": 1})
    sys.exit("no more paper")


def segfault() -> None:
    sandbox.emit({"n": 1})
    ctypes.string_at(0)


def closes_output_and_hangs() -> None:
    os.close(sandbox._events)
    os.close(1)
    os.close(2)
    time.sleep(60)


def main() -> None:
    arguments = sandbox.enter(starts_programs=True)
    globals()[arguments["do"]]()


if __name__ == "__main__":
    main()
