"""Fixtures that several folders of tests share: the real servers, started when a test first asks for one."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import servers
from tests.support.servers import BatchServer, S3Server, SqsServer

# The machine that runs the tests may be busy, so nothing has a deadline. What `make test` tries is the same each
# time, so that it fails for a change and not by chance; `make test-slow` tries something new.
settings.register_profile("reproducible", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None, max_examples=300)
settings.load_profile("reproducible")


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this test session share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def opensearch_url(session_folder: Path) -> str:
    """URL of a real OpenSearch node; use a new index name a test (`index_name`)."""
    return servers.opensearch(session_folder)


@pytest.fixture(scope="module")
def s3_real(session_folder: Path) -> S3Server:
    """SeaweedFS with a fresh bucket: for signatures, checksums and conditional writes."""
    return servers.seaweedfs(session_folder)


@pytest.fixture(scope="module")
def s3_listing(session_folder: Path) -> S3Server:
    """A moto server with a fresh bucket: for order and pages of listings, and for odd keys."""
    return servers.moto(session_folder)


@pytest.fixture(scope="session")
def sqs(session_folder: Path) -> SqsServer:
    """An ElasticMQ server; each test makes queues of its own in it (`new_queue`)."""
    return servers.elasticmq(session_folder)


@pytest.fixture(scope="session")
def batch_server(session_folder: Path) -> BatchServer:
    """A moto server for AWS Batch; each test makes a queue of its own in it (`new_queue`)."""
    return servers.batch(session_folder)


@pytest.fixture
def index_name() -> str:
    return servers.unique_name("index")
