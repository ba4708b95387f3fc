"""Starts and stops the OpenSearch node that build.py makes; on loopback only, and never as root.

start   in the background, with its data kept; prints the URL when the node answers
stop    ends that node
run     in the foreground, data in the given folder; dies with the process that started it
"""

import argparse
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from build import BuildError, build, home

READY_SECONDS = 120
UNPRIVILEGED = ("nobody", "--regid=nogroup", "--clear-groups")
# As in the distribution's own jvm.options and launcher.
JVM = """
    -XX:-UsePerfData -XX:+UseG1GC -XX:G1ReservePercent=25 -XX:InitiatingHeapOccupancyPercent=30 -Xss1m
    -Djava.awt.headless=true -Dfile.encoding=UTF-8 -Djna.nosys=true
    -Djava.security.manager=allow -Djava.locale.providers=SPI,CLDR
    -Dio.netty.noUnsafe=true -Dio.netty.noKeySetOptimization=true
    -Dio.netty.recycler.maxCapacityPerThread=0 -Dio.netty.allocator.numDirectArenas=0
    -Dlog4j.shutdownHookEnabled=false -Dlog4j2.disable.jmx=true
    -Dorg.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits=1
    --add-opens=java.base/java.nio=ALL-UNNAMED
"""


def command(data: Path, arguments: argparse.Namespace) -> list[str]:
    """The command line of a node that keeps everything it writes under `data` (created where missing)."""
    made = build()
    node = made / "node"
    configure(node, data, arguments)
    java = [
        *(made / "jre" / "bin" / "java", f"-Xms{arguments.heap}", f"-Xmx{arguments.heap}", *JVM.split()),
        *(["-XX:TieredStopAtLevel=1"] if arguments.quick_start else []),
        f"-Djava.io.tmpdir={data / 'tmp'}",
        f"-Djna.tmpdir={data / 'tmp'}",
        f"-XX:ErrorFile={data / 'java-crash.log'}",
        f"-javaagent:{node / 'agent' / 'opensearch-agent.jar'}",
        f"-Dopensearch.path.home={node}",
        f"-Dopensearch.path.conf={data / 'config'}",
        "-Dopensearch.distribution.type=zip",
        "-Dopensearch.bundled_jdk=false",
        *("-cp", f"{node / 'lib'}/*", "org.opensearch.bootstrap.OpenSearch"),
    ]
    limits = ["--pdeathsig=KILL"] if arguments.command == "run" else []
    if os.getuid() == 0:
        limits += [f"--reuid={UNPRIVILEGED[0]}", *UNPRIVILEGED[1:]]
    return [str(word) for word in (["setpriv", *limits, *java] if limits else java)]


def configure(node: Path, data: Path, arguments: argparse.Namespace) -> None:
    """Writes the node's configuration anew; JSON is YAML too."""
    data.mkdir(parents=True, exist_ok=True)
    for folder in (data / "config", data / "tmp"):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(node / "config", data / "config")
    (data / "tmp").mkdir()
    settings = {
        "cluster.name": "batchjob",
        "node.name": "batchjob",
        "path.data": str(data / "data"),
        "path.logs": str(data),
        "network.host": "127.0.0.1",
        "http.port": arguments.port,
        "transport.port": "0",  # any free one: nobody connects
        "discovery.type": "single-node",
        "cluster.routing.allocation.disk.threshold_enabled": False,
    }
    (data / "config" / "opensearch.yml").write_text(json.dumps(settings, indent=1))
    if os.getuid() == 0:
        for path in (data, data / "tmp", data / "config", *(data / "config").rglob("*")):
            shutil.chown(path, UNPRIVILEGED[0])


def run(arguments: argparse.Namespace) -> None:
    words = command(Path(arguments.data).resolve(), arguments)
    os.execvp(words[0], words)  # noqa: S606 - no shell, and the process keeps its number


def start(arguments: argparse.Namespace) -> None:
    url = f"http://127.0.0.1:{arguments.port}"
    how_to_stop = f"stop it with: make opensearch-stop NODE_PORT={arguments.port}"
    state = state_folder(arguments.port)
    if running(state):
        print(f"OpenSearch runs already at {url}; {how_to_stop}")
        return
    check_free(arguments.port)
    state.mkdir(parents=True, exist_ok=True)
    words = command(data_folder(state), arguments)
    log = state / "node.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd="/"
        )
    (state / "pid").write_text(str(process.pid))
    deadline = time.monotonic() + READY_SECONDS
    while not ready(arguments.port):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise BuildError(f"The node did not come up. The end of {log}:\n{log.read_text()[-2000:]}")
        time.sleep(0.2)
    print(f"OpenSearch runs at {url}; log: {log}; {how_to_stop}")


def check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            message = f"Port {port} is taken ({error.strerror}). Choose another: make ... NODE_PORT=9201"
            raise BuildError(message) from error


def ready(port: int) -> bool:
    """True once the node has stored a document in an index made for that, which is then removed."""
    try:
        for method, path, body in (
            ("PUT", "/.batchjob-ready/_doc/1", '{"ready": true}'),
            ("DELETE", "/.batchjob-ready", None),
        ):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request(method, path, body, {"Content-Type": "application/json"})
            status = connection.getresponse().status
            connection.close()
            if status not in {200, 201}:
                return False
    except (OSError, http.client.HTTPException):
        return False
    return True


def stop(arguments: argparse.Namespace) -> None:
    state = state_folder(arguments.port)
    if not (pid := running(state)):
        print(f"No OpenSearch node of ours runs on port {arguments.port}.")
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 60
    while running(state):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    (state / "pid").unlink()
    print(f"Stopped the OpenSearch node on port {arguments.port}; its data stays in {data_folder(state)}")


def state_folder(port: int) -> Path:
    return home() / f"port-{port}"


def data_folder(state: Path) -> Path:
    return state / "node"


def running(state: Path) -> int | None:
    """The process id of the node that keeps its data in `state`, where it runs."""
    try:
        pid = int((state / "pid").read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if os.fsencode(f"-Dopensearch.path.conf={data_folder(state) / 'config'}") in words else None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, action in (("start", start), ("stop", stop), ("run", run)):
        sub = commands.add_parser(name)
        sub.set_defaults(action=action)
        sub.add_argument("--port", type=int, default=9200)
        if name != "stop":
            sub.add_argument("--heap", default="512m", help="Java heap, for example 512m or 2g")
            sub.add_argument("--quick-start", action="store_true", help="starts sooner, indexes slower")
        if name == "run":
            sub.add_argument("--data", required=True, help="folder of everything the node writes")
    arguments = parser.parse_args()
    try:
        arguments.action(arguments)
    except BuildError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
