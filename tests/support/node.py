"""An OpenSearch node of a test's own, to be killed and started again with what it kept."""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.servers import NODE, READY_SECONDS, ServerError, free_ports, opensearch_answers


class Node:
    """Dies with the thread that started it (prctl(2), PR_SET_PDEATHSIG)."""

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="batchjob-node-"))
        folder.chmod(0o711)  # the node runs as another user where root runs the tests
        (self._port,) = free_ports(1)
        self._folder = folder
        self.url = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        line = [sys.executable, NODE / "node.py", "run", "--quick-start", "--port", self._port]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*map(str, line), "--data", str(self._folder / "node")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        deadline = time.monotonic() + READY_SECONDS
        while not opensearch_answers(self.url):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise ServerError((self._folder / "log").read_text(errors="replace")[-3000:])
            time.sleep(0.2)

    def kill(self) -> None:
        """SIGKILL, also for what it has in memory only."""
        self._process.kill()
        self._process.wait()

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
