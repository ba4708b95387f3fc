"""A proxy before OpenSearch that does at random what networks, balancers and busy nodes do to requests."""

import gzip
import json
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER by which close() sends RST instead of FIN."""
STATUSES = (429, 500, 502, 503, 504)
FAULTS = (
    *("reset_before", "reset_after", "status_before", "status_after", "truncated", "garbled", "garbled_head"),
    *("item_429", "item_429", "too_large", "stall_before", "stall_after"),
)
OF_BULK = ("item_429", "too_large")
STALL_SECONDS = 2.6
"""More than the timeout of the tests' client, 2 s."""
ITEM_429 = {"index": {"status": 429, "error": {"type": "rejected_execution_exception", "reason": "busy"}}}


class FaultProxy(ThreadingHTTPServer):
    """Passes requests to `node`; a share of them meets a fault. `seen` counts faults by name, and requests."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, node: str, seed: int, share: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.node = urlsplit(node)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.seen: Counter[str] = Counter()
        self.closed = threading.Event()
        self._random = random.Random(seed)
        self._share = share
        self._lock = threading.Lock()

    def choose(self, *, bulk: bool) -> tuple[str | None, random.Random]:
        """A fault, or None, and what it does at random."""
        with self._lock:
            self.seen["requests"] += 1
            fault = self._random.choice(FAULTS) if self._random.random() < self._share else None
            if fault in OF_BULK and not bulk:
                fault = "status_before"
            self.seen.update([fault] if fault else [])
            return fault, random.Random(self._random.random())

    def shutdown_request(self, request: Any) -> None:
        self.close_request(request)  # without the orderly end that would come before a reset

    def handle_error(self, request: Any, client_address: Any) -> None: ...


class _Handler(BaseHTTPRequestHandler):
    server: FaultProxy
    protocol_version = "HTTP/1.1"

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        bulk = "/_bulk" in self.path
        fault, rng = self.server.choose(bulk=bulk)
        if fault is None:
            self._send(*self._ask(body))
        elif fault in OF_BULK:
            getattr(self, f"_{fault}")(body, rng)
        else:
            name, _, moment = fault.partition("_")
            answer = None if moment == "before" else self._ask(body)
            getattr(self, f"_{name}")(answer, rng, *([moment] if moment == "head" else []))

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _pass  # noqa: N815 - as http.server looks for them

    def _ask(self, body: bytes) -> tuple[int, str, bytes]:
        """What the node answers: status, content type, body. A node that is down is a reset."""
        headers = {
            name: self.headers[name] for name in ("Content-Type", "Content-Encoding") if name in self.headers
        }
        node = HTTPConnection(self.server.node.hostname or "", self.server.node.port, timeout=60)
        try:
            node.request(self.command, self.path, body or None, headers)
            answer = node.getresponse()
            return answer.status, answer.headers.get("Content-Type", "text/plain"), answer.read()
        except (OSError, HTTPException):
            self._reset()
            raise ConnectionResetError from None
        finally:
            node.close()

    def _send(self, status: int, kind: str, body: bytes, cut: int | None = None, **more: str) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), **more}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body[:cut])

    def _reset(self, *_: object) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    def _status(self, _: object, rng: random.Random) -> None:
        status = rng.choice(STATUSES)
        more = {"Retry_After": rng.choice("01")} if status in (429, 503) and rng.random() < 0.5 else {}
        page = rng.choice([b"<html>busy</html>", b'{"error":{"type":"busy"},"status":%d}' % status, b""])
        self._send(status, rng.choice(["text/html", "application/json"]), page, **more)

    def _truncated(self, answer: tuple[int, str, bytes], rng: random.Random) -> None:
        self._send(*answer, cut=rng.randrange(max(1, len(answer[2]))))
        self.close_connection = True

    def _garbled(self, answer: tuple[int, str, bytes], rng: random.Random, head: str = "") -> None:
        if head:
            self.wfile.write(rng.randbytes(40) + b"\r\n\r\n")
            self.close_connection = True
            return
        status, kind, body = answer
        place = rng.randrange(max(1, len(body)))
        self._send(status, kind, body[:place] + b"\xff\xfe" + body[place + 2 :])

    def _stall(self, *_: object) -> None:
        self.server.closed.wait(STALL_SECONDS)
        self._reset()

    def _too_large(self, body: bytes, _: random.Random) -> None:
        if gzip.decompress(body).count(b"\n") > 2:
            self._send(413, "text/html", b"<html>too large</html>")
        else:
            self._send(*self._ask(body))

    def _item_429(self, body: bytes, rng: random.Random) -> None:
        """Keeps some of the documents from the node, and says of them that they were turned away."""
        lines = gzip.decompress(body).split(b"\n")
        pairs = list(zip(lines[0::2], lines[1::2], strict=False))
        passed = [rng.random() < 0.6 for _ in pairs]
        rest = b"".join(b"\n".join(pair) + b"\n" for pair, one in zip(pairs, passed, strict=True) if one)
        items: list[Any] = []
        if rest:
            status, kind, answer = self._ask(gzip.compress(rest))
            told = json.loads(answer)
            if status != 200:
                self._send(status, kind, answer)
                return
            items = told.get("items") or [{"index": {"status": 200}}] * sum(passed)
        remaining = iter(items)
        merged = [next(remaining) if one else ITEM_429 for one in passed]
        self._send(200, "application/json", json.dumps({"errors": True, "items": merged}).encode())

    def log_message(self, *_: object) -> None: ...


@contextmanager
def fault_proxy(node: str, seed: int, share: float) -> Iterator[FaultProxy]:
    proxy = FaultProxy(node, seed, share)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.closed.set()
        proxy.shutdown()
        with suppress(OSError):
            proxy.server_close()
        thread.join()
