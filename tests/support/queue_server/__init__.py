"""ElasticMQ, an SQS server for the tests: its jars come from Maven Central, each compared with its known SHA-256."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlogback.level=WARN")
SETTINGS = """
include classpath("application.conf")
node-address {{ protocol = http, host = "127.0.0.1", port = {port}, context-path = "" }}
rest-sqs {{ bind-port = {port}, bind-hostname = "127.0.0.1", sqs-limits = strict }}
rest-stats {{ enabled = false }}
"""


class BuildError(Exception):
    """The server cannot be fetched; the message says what to do."""


def command(port: int) -> Sequence[str]:
    """How to start the server; it is fetched where it is missing (37 MB). Raises BuildError."""
    jars = fetched()
    settings = Path(tempfile.gettempdir()) / f"elasticmq-{port}.conf"
    settings.write_text(SETTINGS.format(port=port))
    return ["java", *OPTIONS, f"-Dconfig.file={settings}", "-cp", f"{jars}/*", "org.elasticmq.server.Main"]


def fetched() -> Path:
    """The folder of the jars; it is named after their hashes."""
    hashes = (HERE / "artifacts.sha256").read_text()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "batchjob"
    destination = cache / f"elasticmq-{hashlib.sha256(hashes.encode()).hexdigest()[:12]}"
    if destination.is_dir():
        return destination
    for program in ("mvn", "java"):
        if shutil.which(program) is None:
            raise BuildError(f"The queue server needs {program}. Install the package 'maven'.")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=cache) as folder:
        jars = Path(folder) / "jars"
        _run(
            "mvn",
            "--quiet",
            "--batch-mode",
            "-U",
            "-f",
            HERE / "pom.xml",
            PLUGIN,
            f"-DoutputDirectory={jars}",
        )
        _check(jars, hashes)
        try:
            jars.rename(destination)
        except OSError:  # somebody else finished first
            if not destination.is_dir():
                raise
    return destination


def _check(jars: Path, hashes: str) -> None:
    expected = {name: digest for digest, name in map(str.split, hashes.splitlines())}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars.iterdir()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise BuildError(f"{name} is not the file it should be: see {HERE.name}/artifacts.sha256")


def _run(*words: object) -> None:
    answer = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise BuildError(f"Maven could not fetch the queue server: {(answer.stdout + answer.stderr)[-2000:]}")
