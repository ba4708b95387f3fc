"""A real node for the tests of the reducer: through the product's adapter, and through the client alone."""

from collections.abc import Iterator

import opensearchpy
import pytest

from batchjob.adapters.opensearch import OpenSearchIndex


@pytest.fixture
def client(opensearch_url: str) -> Iterator[opensearchpy.OpenSearch]:
    with opensearchpy.OpenSearch(opensearch_url, timeout=60) as client:
        yield client


@pytest.fixture
def index(opensearch_url: str) -> Iterator[OpenSearchIndex]:
    index = OpenSearchIndex(opensearch_url)
    yield index
    index.close()
