"""An HTTP server that gives prepared answers byte by byte, also those that no honest server gives."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.utils import formatdate

DATE = 1_790_000_000
"""The time in every prepared answer's Date header, in seconds since 1970."""


def answer(status: str, body: bytes = b"", *, headers: Sequence[str] = (), date: bool = True) -> bytes:
    """A whole answer; a `Content-Length` among `headers` stands for the true one."""
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers]
    if date:
        lines.append(f"Date: {formatdate(DATE, usegmt=True)}")
    if not any(line.startswith("Content-Length") for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class AnsweringServer:
    """Gives its answers in order, the last one again and again; keeps the heads of the requests."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self.heads: list[bytes] = []
        self._answers = answers
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                head = b"".join(iter(stream.readline, b"\r\n"))
                self.heads.append(head)
                length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                if length:
                    stream.read(int(length[0].split(b":")[1]))
                connection.sendall(self._answers[min(len(self.heads), len(self._answers)) - 1])


@contextmanager
def answering(*answers: bytes) -> Iterator[AnsweringServer]:
    server = AnsweringServer(answers)
    try:
        yield server
    finally:
        server.close()
