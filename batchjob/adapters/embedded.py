"""An in-memory search server from PyPI (osmem-server) for a machine without OpenSearch."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import IO

import orjson
import psutil

from batchjob.errors import TransientError, UsageError

LIMITS = "embedded search server: in memory only, no vector search; use --opensearch URL for a real one"
START_SECONDS = 20.0
NAME = "osmem-server"


class EmbeddedServer:
    """A running server on loopback and a free port; ends with this process unless it is kept."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self.pid = pid

    def stop(self) -> None:
        """Ends the server and waits for it."""
        with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            process = psutil.Process(self.pid)
            process.send_signal(signal.SIGTERM)
            process.wait(5)


def start(folder: Path, *, keep: bool) -> EmbeddedServer:
    """Starts a server, whose log goes to `folder`. Raises UsageError (not installed), TransientError."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"opensearch-{os.getpid()}.log"
    command = [_binary(), "-addr", "127.0.0.1:0", "-no-stdin-watch"]
    if not keep:
        command += ["-parent-pid", str(os.getpid())]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=keep,
            cwd=folder,
        )
    with log.open("rb") as lines:
        ready = _wait_for_ready(process, lines)
    log.unlink()
    return EmbeddedServer(ready["url"], process.pid)


def _binary() -> str:
    try:
        from osmem_server import OsmemError, resolve_binary
    except ImportError:
        raise UsageError(
            "no OpenSearch given and no embedded one installed: use --opensearch URL, or `pip install batchjob[local]`"
        ) from None
    try:
        return str(resolve_binary(None))
    except OsmemError as error:
        raise UsageError(f"{error}; or use --opensearch URL") from None


def _wait_for_ready(process: "subprocess.Popen[bytes]", lines: IO[bytes]) -> dict[str, str]:
    """The server's first line says where it listens."""
    until = time.monotonic() + START_SECONDS
    text = b""
    while time.monotonic() < until:
        text += lines.readline()
        if text.endswith(b"\n"):
            with contextlib.suppress(orjson.JSONDecodeError):
                ready: dict[str, str] = orjson.loads(text)
                return ready
        if process.poll() is not None:
            break
        time.sleep(0.02)
    process.kill()
    raise TransientError(
        f"the embedded search server did not start: {text.decode(errors='replace').strip()[:200]}"
    )


def _record(folder: Path) -> Path:
    return folder / "opensearch.json"


def replace_kept(folder: Path, server: EmbeddedServer) -> None:
    """Notes a kept server, so that `batchjob search` finds it, and ends the one that was kept before."""
    stop_kept(folder)
    _record(folder).write_bytes(orjson.dumps({"url": server.url, "pid": server.pid}))


def find_kept(folder: Path) -> EmbeddedServer | None:
    """The server kept by an earlier command, if it still runs."""
    try:
        record = orjson.loads(_record(folder).read_bytes())
        process = psutil.Process(int(record["pid"]))
        if NAME in Path(process.exe()).name and process.status() != psutil.STATUS_ZOMBIE:
            return EmbeddedServer(str(record["url"]), process.pid)
    except (OSError, ValueError, KeyError, psutil.Error):
        pass
    return None


def stop_kept(folder: Path) -> None:
    """Ends the server kept by an earlier command."""
    kept = find_kept(folder)
    if kept is not None:
        kept.stop()
    _record(folder).unlink(missing_ok=True)
