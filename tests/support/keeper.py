"""Keeps one server of the tests: ends it as soon as the test session is gone, then removes its folder
and the files elsewhere whose patterns stand in the folder's file "leftovers".

Called as: keeper.py OWNER_PID FOLDER COMMAND...
It outlives a killed owner by milliseconds only, and where it is killed itself the kernel kills the server
(setpriv --pdeathsig). So no way of ending a test run leaves a server behind.
"""

import os
import select
import shutil
import subprocess
import sys
from pathlib import Path


def keep(owner: int, folder: Path, command: list[str]) -> None:
    owner_ended = os.pidfd_open(owner)
    server = subprocess.Popen(["setpriv", "--pdeathsig=KILL", *command], cwd=folder)
    wait_for_any(owner_ended, os.pidfd_open(server.pid))
    server.kill()
    (folder / "ended").write_text(str(server.wait()))
    wait_for_any(owner_ended)  # the log stays readable for as long as there may be a reader
    for pattern in (folder / "leftovers").read_text().split():
        for path in Path("/").glob(pattern.lstrip("/")):
            path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def wait_for_any(*ended: int) -> None:
    poll = select.poll()
    for descriptor in ended:
        poll.register(descriptor, select.POLLIN)
    poll.poll()


if __name__ == "__main__":
    keep(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
