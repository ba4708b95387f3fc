"""An endpoint that speaks Bedrock's InvokeModel for Titan Text Embeddings V2 over HTTP, with faults by the dice.

Messages and limits as Amazon documents them (Bedrock API reference, InvokeModel; User Guide, "Amazon Titan Text
Embeddings V2"). It keeps what was asked, and how many calls were under way at once.
"""

import json
import random
import select
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, ClassVar
from urllib.parse import unquote

import numpy as np

MODEL = "amazon.titan-embed-text-v2:0"
MAX_TOKENS, MAX_CHARACTERS = 8192, 50_000
STATUS = {
    "ThrottlingException": 429,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
    "ValidationException": 400,
    "AccessDeniedException": 403,
}


@dataclass(frozen=True, slots=True)
class Weather:
    """Shares of calls that are throttled, failed (500 or 503) or never answered; seconds that a call takes."""

    throttled: float = 0.0
    failed: float = 0.0
    stalled: float = 0.0
    seconds: float = 0.0


@dataclass
class Bedrock:
    """The server's books: every call as (text, what came of it), and the most calls at once but the stalled."""

    url: str = ""
    weather: Weather = Weather()
    denied: bool = False
    calls: list[tuple[str, str]] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0
    _lock: Any = field(default_factory=Lock)
    _dice: random.Random = field(default_factory=lambda: random.Random(8))

    def roll(self) -> str:
        with self._lock:
            chance, weather = self._dice.random(), self.weather
        for fault, share in (
            ("ThrottlingException", weather.throttled),
            ("InternalServerException", weather.failed / 2),
            ("ServiceUnavailableException", weather.failed / 2),
            ("stalled", weather.stalled),
        ):
            if chance < share:
                return fault
            chance -= share
        return "ok"

    def note(self, text: str, came: str) -> None:
        with self._lock:
            self.calls.append((text, came))

    def enter(self) -> None:
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)

    def leave(self) -> None:
        with self._lock:
            self._now -= 1


def tokens_of(text: str) -> int:
    """A stand-in for the tokenizer: one a character beyond Latin, one for four others, as for prose."""
    latin = sum(c < "\u0250" for c in text)
    return -(-latin // 4) + len(text) - latin


def vector_of(text: str, dimensions: int) -> list[float]:
    """A unit vector that depends on each character pair, so that texts with common pairs are near each other."""
    total = np.zeros(dimensions)
    for pair in {text[n : n + 2] for n in range(min(len(text), 400))}:
        total += np.random.default_rng(zlib.crc32(pair.encode())).standard_normal(dimensions)
    return [round(x, 6) for x in (total / max(float(np.linalg.norm(total)), 1e-9)).tolist()]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    books: ClassVar[Bedrock]

    def do_POST(self) -> None:
        books = self.books
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = body.get("inputText", "")
        wrong = self._wrong(body)
        came = "AccessDeniedException" if books.denied else "ValidationException" if wrong else books.roll()
        books.note(text, came)
        if came == "stalled":
            select.select([self.connection], [], [], 60)  # until the client hangs up
            self.close_connection = True
            return
        books.enter()
        time.sleep(books.weather.seconds)
        books.leave()
        if came != "ok":
            self._answer(STATUS[came], {"message": wrong or f"{came}, please try again"}, came)
            return
        count = tokens_of(text)
        vector = vector_of(text, body.get("dimensions", 1024))
        answer = {"embedding": vector, "embeddingsByType": {"float": vector}, "inputTextTokenCount": count}
        self._answer(200, answer)

    def _wrong(self, body: dict[str, Any]) -> str:
        text = body.get("inputText")
        if unquote(self.path) != f"/model/{MODEL}/invoke":
            return "The provided model identifier is invalid."
        if unknown := body.keys() - {"inputText", "dimensions", "normalize", "embeddingTypes"}:
            return f"Malformed input request: #: extraneous key [{min(unknown)}] is not permitted"
        if not isinstance(text, str) or not text:
            return "Malformed input request: #/inputText: expected minLength: 1, actual: 0"
        if body.get("dimensions", 1024) not in (256, 512, 1024):
            return f"Malformed input request: #/dimensions: {body['dimensions']} is not a valid enum value"
        if len(text) > MAX_CHARACTERS:
            return (
                f"Malformed input request: #/inputText: expected maxLength: {MAX_CHARACTERS}, actual: {len(text)}, "
                "please reformat your input and try again."
            )
        if tokens_of(text) > MAX_TOKENS:
            return (
                f"400 Bad Request: Too many input tokens. Max input tokens: {MAX_TOKENS}, request input token count: "
                f"{tokens_of(text)} "
            )
        return ""

    def _answer(self, status: int, body: dict[str, Any], error: str | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if error:
            self.send_header("x-amzn-ErrorType", error)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        """Silent."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def bedrock_server(weather: Weather | None = None) -> Iterator[Bedrock]:
    """A running endpoint."""
    books = Bedrock(weather=weather or Weather())
    handler = type("BooksHandler", (Handler,), {"books": books})
    server = Server(("127.0.0.1", 0), handler)
    books.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield books
    finally:
        server.shutdown()
        server.server_close()
