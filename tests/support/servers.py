"""Real servers for the tests: OpenSearch, SeaweedFS and moto (S3), ElasticMQ (SQS), each started once a test session.

The workers of one session share a server. A server that cannot be started fails the test that wants it.
"""

import fcntl
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.request import Request, urlopen
from uuid import uuid4

import boto3
import opensearchpy
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.support import queue_server

REPOSITORY = Path(__file__).resolve().parents[2]
NODE = REPOSITORY / "containers" / "opensearch-node"
PROGRAMS = Path(sys.executable).parent
READY_SECONDS = 120
SEAWEEDFS_OPTIONS = (
    *("-dir=.", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-webdav=false", "-admin.ui=false"),
    *("-s3.port.iceberg=0", "-s3.port.lance=0"),
)
SEAWEEDFS_PORTS = (
    "s3.port.grpc",
    *(f"{part}.port{kind}" for part in ("master", "volume", "filer", "admin") for kind in ("", ".grpc")),
)


class ServerError(Exception):
    """A server of the tests did not come up; the message holds the end of its log."""


@dataclass(frozen=True)
class _Server:
    """A server that speaks one of AWS's protocols, and how to reach it."""

    service: ClassVar[str]
    endpoint: str
    access_key: str = "test-access-key"
    secret_key: str = "test-secret-key"
    region: str = "us-east-1"

    def client(self, **config: Any) -> Any:
        return boto3.client(
            self.service,
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(**config),
        )

    def environment(self) -> dict[str, str]:
        """The variables by which boto3 in a subprocess may use this server."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@dataclass(frozen=True)
class S3Server(_Server):
    """An S3 server and a bucket in it that no other test module uses."""

    service = "s3"
    bucket: str = field(default_factory=lambda: f"test-{uuid4().hex[:12]}")

    def environment(self) -> dict[str, str]:
        """With the variable by which boto3 in a subprocess finds this server."""
        return {"AWS_ENDPOINT_URL_S3": self.endpoint, **super().environment()}


@dataclass(frozen=True)
class SqsServer(_Server):
    """An SQS server, and queues of one's own in it; a queue's URL says where it is."""

    service = "sqs"
    region: str = "elasticmq"

    def new_queue(self, **attributes: str) -> str:
        """URL of a new queue that no other test uses."""
        url: str = self.client().create_queue(QueueName=unique_name("queue"), Attributes=attributes)[
            "QueueUrl"
        ]
        return url

    def new_pair(self, receives: int) -> tuple[str, str]:
        """URLs of a new queue and of its dead-letter queue, where messages go that were handed out so often."""
        dead = self.new_queue()
        told = self.client().get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
        policy = {"deadLetterTargetArn": told["Attributes"]["QueueArn"], "maxReceiveCount": str(receives)}
        return self.new_queue(RedrivePolicy=json.dumps(policy)), dead


@dataclass(frozen=True)
class BatchServer:
    """An AWS Batch server, without containers: what is submitted has succeeded; and queues of one's own in it."""

    endpoint: str
    region: str = "us-east-1"

    def client(self, service: str = "batch") -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            aws_access_key_id="test-access-key",
            aws_secret_access_key="test-secret-key",
            region_name=self.region,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def environment(self) -> dict[str, str]:
        """The variables by which boto3 in a subprocess finds this server."""
        return S3Server(self.endpoint, region=self.region).environment() | {
            "AWS_ENDPOINT_URL_BATCH": self.endpoint
        }

    def new_queue(self) -> str:
        """Name of a new job queue that no other test uses."""
        name, client = unique_name("jobs"), self.client()
        environment = client.create_compute_environment(
            computeEnvironmentName=name, type="UNMANAGED", state="ENABLED", serviceRole=self._role(name)
        )
        order = [{"order": 1, "computeEnvironment": environment["computeEnvironmentArn"]}]
        client.create_job_queue(jobQueueName=name, state="ENABLED", priority=1, computeEnvironmentOrder=order)
        return name

    def new_definition(self, station: str) -> str:
        """Name of a new job definition, made of the file of that station."""
        told = json.loads((REPOSITORY / "job-definitions" / f"{station}.json").read_text("utf-8"))
        told["jobDefinitionName"] = unique_name(station)
        return str(self.client().register_job_definition(**told)["jobDefinitionName"])

    def _role(self, name: str) -> str:
        arn: str = self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        return arn


def unique_name(prefix: str = "test") -> str:
    """A name that no other test uses, fit for an index, an alias or a bucket."""
    return f"{prefix}-{uuid4().hex[:12]}"


def opensearch(shared: Path) -> str:
    """URL of a real OpenSearch node with k-NN and Kuromoji; the node is built where it is missing."""
    return once(shared, "opensearch", start_opensearch)


def seaweedfs(shared: Path) -> S3Server:
    """Checks signatures and checksums and races conditional writes; does not list in byte order."""
    return with_bucket(S3Server(once(shared, "seaweedfs", start_seaweedfs)))


def moto(shared: Path) -> S3Server:
    """Lists in byte order and takes any key; checks neither signatures nor checksums."""
    return with_bucket(S3Server(once(shared, "moto", start_moto)))


def batch(shared: Path) -> BatchServer:
    """Keeps the calls of AWS Batch and shows jobs by name; runs nothing, and knows no dependencies."""
    server = BatchServer(once(shared, "moto", start_moto))
    config = json.dumps({"batch": {"use_docker": False}}).encode()
    with urlopen(Request(f"{server.endpoint}/moto-api/config", config, method="POST")):  # noqa: S310 - our own
        return server


def elasticmq(shared: Path) -> SqsServer:
    """Has visibility timeouts, stale receipts, dead-letter queues and move tasks as SQS does."""
    return SqsServer(once(shared, "elasticmq", start_elasticmq))


def once(shared: Path, name: str, start: Callable[[], str]) -> str:
    """The URL that `start` returned in whichever worker came first, or its failure."""
    answer = shared / f"{name}.json"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not answer.exists():
            try:
                answer.write_text(json.dumps({"url": start()}))
            except ServerError as error:
                answer.write_text(json.dumps({"error": str(error)}))
    found = json.loads(answer.read_text())
    if "error" in found:
        raise ServerError(found["error"])
    return str(found["url"])


def start_opensearch(*options: str) -> str:
    """`options` are those of node.py; without them a node that starts sooner and indexes slower."""
    built = subprocess.run([sys.executable, NODE / "build.py"], capture_output=True, text=True, check=False)
    if built.returncode:
        raise ServerError(f"The OpenSearch node cannot be built: {built.stderr}")
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    options = options or ("--quick-start",)
    node = [sys.executable, NODE / "node.py", "run", *options, "--port", port, "--data", "node"]
    start("opensearch", node, lambda: opensearch_answers(url))
    return url


def start_seaweedfs() -> str:
    port, *others = free_ports(1 + len(SEAWEEDFS_PORTS))
    server = S3Server(f"http://127.0.0.1:{port}", bucket="ready")
    credentials = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    sockets = [f"/tmp/seaweedfs-*-{number}.sock" for number in (port, *others)]
    command = [PROGRAMS / "weed", "mini", *SEAWEEDFS_OPTIONS, f"-s3.port={port}"]
    command += [f"-{name}={number}" for name, number in zip(SEAWEEDFS_PORTS, others, strict=True)]
    start("seaweedfs", command, lambda: s3_answers(server), credentials, sockets)
    return server.endpoint


def start_moto() -> str:
    (port,) = free_ports(1)
    server = S3Server(f"http://127.0.0.1:{port}", bucket="ready")
    command = [PROGRAMS / "moto_server", "-H", "127.0.0.1", "-p", port]
    start("moto", command, lambda: s3_answers(server))
    return server.endpoint


def start_elasticmq() -> str:
    (port,) = free_ports(1)
    server = SqsServer(f"http://127.0.0.1:{port}")
    try:
        command = queue_server.command(port)
    except queue_server.BuildError as error:
        raise ServerError(str(error)) from error
    start("elasticmq", [*command], lambda: sqs_answers(server), leftovers=[f"/tmp/elasticmq-{port}.conf"])
    return server.endpoint


def start(
    name: str,
    command: list[Any],
    answers: Callable[[], bool],
    environment: Mapping[str, str] = MappingProxyType({}),
    leftovers: Sequence[str] = (),
) -> None:
    """Starts a server under a keeper and returns when a real operation was answered."""
    folder = Path(tempfile.mkdtemp(prefix=f"batchjob-{name}-"))
    folder.chmod(0o711)  # the node runs as another user where root runs the tests
    (folder / "leftovers").write_text("\n".join(leftovers))
    keeper = [sys.executable, Path(__file__).with_name("keeper.py"), session_process(), folder, *command]
    with (folder / "log").open("wb") as log:
        # A process of its own: Ctrl-C ends the tests first, and tests that count their children see none.
        subprocess.run(
            ["setsid", "--fork", *map(str, keeper)],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=True,
        )
    deadline = time.monotonic() + READY_SECONDS
    while not answers():
        if (folder / "ended").exists() or time.monotonic() > deadline:
            end_of_log = (folder / "log").read_text(errors="replace")[-3000:]
            raise ServerError(f"{name} did not come up. The end of its log:\n{end_of_log}")
        time.sleep(0.05)


def session_process() -> int:
    """The process that lives as long as the test session: workers end one by one, each a child of it."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on, below the range from which the kernel takes ports for clients."""
    with ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            port = random.SystemRandom().randrange(20000, 32000)
            probe = held.enter_context(socket.socket())
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                ports.append(port)
        return ports


def opensearch_answers(url: str) -> bool:
    try:
        with opensearchpy.OpenSearch(url, max_retries=0, timeout=30) as client:
            client.index(index="ready", id="1", body={"ready": True})
            client.indices.delete(index="ready")
    except opensearchpy.OpenSearchException:
        return False
    return True


def s3_answers(server: S3Server) -> bool:
    try:
        client = server.client(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1})
        client.create_bucket(Bucket=server.bucket)
        client.put_object(Bucket=server.bucket, Key="ready", Body=b"ready")
        client.get_object(Bucket=server.bucket, Key="ready")["Body"].read()
    except (BotoCoreError, ClientError):
        return False
    return True


def sqs_answers(server: SqsServer) -> bool:
    try:
        client = server.client(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1})
        url = client.create_queue(QueueName="ready")["QueueUrl"]
        client.send_message(QueueUrl=url, MessageBody="ready")
    except (BotoCoreError, ClientError):
        return False
    return True


def with_bucket(server: S3Server) -> S3Server:
    server.client().create_bucket(Bucket=server.bucket)
    return server
