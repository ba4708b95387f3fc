"""The parent of forked children: imports what they need once, and never reads anything untrusted (invariant 11).

Started by process/forkserver.py as `python -m batchjob.process.zygote DESCRIPTOR MODULE [ARGUMENTS]`. Children run
`main()` of the module, or what its `prepare` makes of the arguments (JSON), once for all. DESCRIPTOR is a
socket on which it says that it is ready; then each byte there brings a child's control socket and its three
standard streams. The control socket carries a line of JSON to the child (`cwd`, `request`), and back each time
a WORD and a number: STARTED and the child's pid, or REFUSED and an errno; then ENDED and the exit code.
When the other end of DESCRIPTOR closes, this process ends, and all children with it.
"""

import gc
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress

WORD = struct.Struct("=ci")
STARTED, REFUSED, ENDED = b"s", b"r", b"e"
READY = b"."


def main() -> None:
    _, descriptor, name, *arguments = sys.argv
    module = importlib.import_module(name)
    run = module.prepare(json.loads(arguments[0])) if arguments else module.main
    gc.freeze()  # what is not looked at again stays shared with the children
    serve(socket.socket(fileno=int(descriptor)))
    run()
    sys.stdout.flush()
    os._exit(0)


def serve(requests: socket.socket) -> None:
    """Forks children and reports their ends. Returns in each child, ready to enter the sandbox; never here."""
    woken, waker = socket.socketpair()
    woken.setblocking(False)
    waker.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    controls: dict[int, socket.socket] = {}
    with requests, woken, waker, selectors.PollSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        requests.sendall(READY)
        while True:
            for key, _ in selector.select():
                if key.fileobj is woken:
                    woken.recv(4096)
                    _report_ends(controls)
                elif _fork(requests, controls):
                    return


def _fork(requests: socket.socket, controls: dict[int, socket.socket]) -> bool:
    """Forks the child that is asked for; whether this is it."""
    asked, descriptors, _, _ = socket.recv_fds(requests, 1, 4)
    if not asked:
        _end(controls)
    control_descriptor, *streams = descriptors
    control = socket.socket(fileno=control_descriptor)
    try:
        pid = os.fork()
    except OSError as error:
        _tell(control, REFUSED, error.errno or 0)
        control.close()
    else:
        if not pid:
            _become_child(control, streams, controls.values())
            return True
        controls[pid] = control
    for descriptor in streams:
        os.close(descriptor)
    return False


def _become_child(control: socket.socket, streams: list[int], others: Iterable[socket.socket]) -> None:
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for other in others:
        other.close()
    for place, descriptor in enumerate(streams):
        os.dup2(descriptor, place)
        os.close(descriptor)
    with control, control.makefile("rb") as lines:
        given = json.loads(lines.readline())
        _tell(control, STARTED, os.getpid())
    os.chdir(given["cwd"])
    os.environ["TMPDIR"] = given["cwd"]
    sys.argv[1:] = [given["request"]]


def _report_ends(controls: dict[int, socket.socket]) -> None:
    for pid in list(controls):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            control = controls.pop(pid)
            _tell(control, ENDED, os.waitstatus_to_exitcode(status))
            control.close()


def _tell(control: socket.socket, word: bytes, number: int) -> None:
    with suppress(OSError):  # whoever asked is gone
        control.sendall(WORD.pack(word, number))


def _end(controls: dict[int, socket.socket]) -> None:
    for pid in controls:
        with suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main()
