"""A TCP proxy that resets connections after so many bytes of the answers, as a network does."""

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER by which close() sends RST instead of FIN."""


class ResettingProxy:
    """Passes bytes to `endpoint` and back; `limit` says of each connection after how many it ends, None: never."""

    def __init__(self, endpoint: str, limit: Callable[[], int | None]) -> None:
        target = urlsplit(endpoint)
        self._target = (target.hostname, target.port)
        self._limit = limit
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.endpoint = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.connections = self.resets = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._pass, args=(client, self._limit()), daemon=True).start()

    def _pass(self, client: socket.socket, limit: int | None) -> None:
        """One thread for both directions: a socket that another thread waits for is not really closed."""
        with client, socket.create_connection(self._target) as server, suppress(OSError):
            left = limit
            while True:
                ready, _, _ = select.select([client, server], [], [])
                if client in ready:
                    request = client.recv(65536)
                    if not request:
                        return
                    server.sendall(request)
                if server in ready:
                    answer = server.recv(65536 if left is None else min(65536, left))
                    if not answer:
                        return
                    client.sendall(answer)
                    left = None if left is None else left - len(answer)
                if left == 0:
                    self.resets += 1
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    return


@contextmanager
def resetting(endpoint: str, limit: Callable[[], int | None]) -> Iterator[ResettingProxy]:
    proxy = ResettingProxy(endpoint, limit)
    try:
        yield proxy
    finally:
        proxy.close()
