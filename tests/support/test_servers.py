"""Are the servers of the tests what the tests believe them to be, and do they end with the session?"""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import opensearchpy
import psutil
import pytest
from botocore.exceptions import ClientError

from tests.support.servers import REPOSITORY, S3Server

MAPPING = {
    "settings": {
        "index": {"number_of_replicas": 0, "knn": True},
        "analysis": {
            "analyzer": {
                "japanese": {
                    "type": "custom",
                    "char_filter": ["icu_normalizer"],
                    "tokenizer": "kuromoji_tokenizer",
                    "filter": [
                        "kuromoji_baseform",
                        "kuromoji_part_of_speech",
                        "cjk_width",
                        "ja_stop",
                        "lowercase",
                    ],
                }
            }
        },
    },
    "mappings": {
        "properties": {
            "content": {"type": "text", "analyzer": "japanese"},
            "embedding": {
                "type": "knn_vector",
                "dimension": 4,
                "method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"},
            },
        }
    },
}


@pytest.fixture
def node(opensearch_url: str, index_name: str) -> opensearchpy.OpenSearch:
    client = opensearchpy.OpenSearch(opensearch_url)
    client.indices.create(index=index_name, body=MAPPING)
    return client


def test_japanese_words_are_found(node: opensearchpy.OpenSearch, index_name: str) -> None:
    body = {"analyzer": "japanese", "text": "東京都の請求書を検索しました ＰＤＦ"}
    tokens = [token["token"] for token in node.indices.analyze(index=index_name, body=body)["tokens"]]
    assert tokens == ["東京", "都", "請求", "書", "検索", "pdf"]
    node.index(index=index_name, id="a", body={"content": "請求書の写し"}, refresh=True)
    node.index(index=index_name, id="b", body={"content": "休暇の申請"}, refresh=True)
    hits = node.search(index=index_name, body={"query": {"match": {"content": "請求書"}}})["hits"]["hits"]
    assert [hit["_id"] for hit in hits] == ["a"]


def test_an_older_external_version_is_refused(node: opensearchpy.OpenSearch, index_name: str) -> None:
    for version in (2000, 2000, 3000):
        node.index(index=index_name, id="a", body={}, version=version, version_type="external_gte")
    with pytest.raises(opensearchpy.ConflictError):
        node.index(index=index_name, id="a", body={}, version=2000, version_type="external_gte")


def test_nearest_vectors_are_found(node: opensearchpy.OpenSearch, index_name: str) -> None:
    node.index(index=index_name, id="near", body={"embedding": [1, 0, 0, 0.1]}, refresh=True)
    node.index(index=index_name, id="far", body={"embedding": [-1, 0, 0, 0]}, refresh=True)
    query = {"query": {"knn": {"embedding": {"vector": [1, 0, 0, 0], "k": 1}}}}
    hits = node.search(index=index_name, body=query)["hits"]["hits"]
    assert hits[0]["_id"] == "near"


def test_one_of_several_racing_creators_wins(s3_real: S3Server) -> None:
    client = s3_real.client(retries={"total_max_attempts": 1})

    def create(writer: int) -> int:
        try:
            client.put_object(Bucket=s3_real.bucket, Key="once", Body=b"%d" % writer, IfNoneMatch="*")
        except ClientError as error:
            return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
        return 200

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(create, range(4)))
    assert answers == [200, 412, 412, 412]


def test_a_wrong_secret_is_refused(s3_real: S3Server) -> None:
    stranger = S3Server(s3_real.endpoint, secret_key="wrong", bucket=s3_real.bucket)
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.client().list_objects_v2(Bucket=s3_real.bucket)


def test_keys_are_listed_in_byte_order(s3_listing: S3Server) -> None:
    client = s3_listing.client()
    keys = ["a//b", "a/../b", "Z", "a b+%.pdf", "請求書.pdf", "\U00020bb7野家.pdf", "\ufe0f"]
    for key in keys:
        client.put_object(Bucket=s3_listing.bucket, Key=key, Body=b"")
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=s3_listing.bucket, PaginationConfig={"PageSize": 2}
    )
    listed = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    assert listed == sorted(keys, key=str.encode)


def kept_for(owner: int) -> list[psutil.Process]:
    """The keepers of a session and their servers."""
    keepers = [
        process
        for process in psutil.process_iter(["cmdline"])
        if [Path(word).name for word in (process.info["cmdline"] or [])[1:3]] == ["keeper.py", str(owner)]
    ]
    return keepers + [server for keeper in keepers for server in keeper.children(recursive=True)]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_no_server_outlives_its_session(ending: signal.Signals, tmp_path: Path) -> None:
    program = (
        f"from tests.support.servers import *; moto(Path({str(tmp_path)!r}))\n"
        "print('up', flush=True); time.sleep(60)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_XDIST_WORKER"}
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE
    ) as session:
        assert session.stdout is not None
        assert session.stdout.readline() == b"up\n"
        family = kept_for(session.pid)
        assert len(family) == 2, "keeper and server"
        session.send_signal(ending)
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []


def test_no_server_outlives_its_keeper(tmp_path: Path) -> None:
    keeper = subprocess.Popen(
        [sys.executable, "tests/support/keeper.py", str(os.getpid()), str(tmp_path), "sleep", "60"],
        cwd=REPOSITORY,
    )
    deadline = time.monotonic() + 10
    while not (family := psutil.Process(keeper.pid).children()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert family
    time.sleep(0.2)  # setpriv asks for the signal just after it was started
    keeper.kill()
    keeper.wait()
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []
