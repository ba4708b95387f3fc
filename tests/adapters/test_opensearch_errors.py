"""Clusters that cannot be worked with: each is told in words that say what to do."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.errors import BatchjobError, MachineError, PermanentError, TransientError, UsageError
from batchjob.reduce.mapping import index_body
from tests.support.answers import answer, answering
from tests.support.servers import unique_name

JSON = ["Content-Type: application/json"]


def told(status: str, body: dict[str, Any]) -> bytes:
    return answer(status, json.dumps(body).encode(), headers=JSON)


def refused(status: str, kind: str, reason: str) -> bytes:
    """As OpenSearch 3.5.0 answers."""
    return told(status, {"error": {"type": kind, "reason": reason}, "status": int(status[:3])})


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ({"number": "8.11.0", "build_flavor": "default"}, "Elasticsearch 8.11.0"),
        ({"number": "7.10.2", "distribution": "opensearch"}, "override_main_response_version"),
        ({"number": "1.3.9", "distribution": "opensearch"}, "is version 1.3.9: batchjob needs 2"),
    ],
)
def test_another_server_is_refused(version: dict[str, str], words: str) -> None:
    with answering(told("200 OK", {"version": version})) as server, pytest.raises(UsageError, match=words):
        OpenSearchIndex(server.endpoint).version()


def test_a_proxys_page_is_no_version() -> None:
    with answering(told("200 OK", {})) as server, pytest.raises(TransientError, match="version answer"):
        OpenSearchIndex(server.endpoint).version()


def create(index: OpenSearchIndex) -> None:
    index.create("name", {})


def configure(index: OpenSearchIndex) -> None:
    index.configure("name", {})


@pytest.mark.parametrize(
    ("does", "refusal", "kind", "words"),
    [
        (
            create,
            refused(
                "400 Bad Request",
                "illegal_argument_exception",
                "Unknown tokenizer type [kuromoji_tokenizer] for [japanese]",
            ),
            UsageError,
            "lacks the plugin analysis-kuromoji",
        ),
        (
            create,
            refused(
                "400 Bad Request",
                "illegal_argument_exception",
                "Custom Analyzer [japanese] failed to find filter under name [kuromoji_baseform]",
            ),
            UsageError,
            "lacks the plugin analysis-kuromoji",
        ),
        (
            create,
            refused("400 Bad Request", "settings_exception", "unknown setting [index.knn] please check"),
            UsageError,
            "lacks the plugin opensearch-knn",
        ),
        (
            create,
            refused(
                "400 Bad Request",
                "validation_exception",
                "Validation Failed: 1: this action would add [6] total shards, but this cluster currently has "
                "[999]/[1000] maximum shards open;",
            ),
            UsageError,
            "raise cluster.max_shards_per_node",
        ),
        (
            create,
            refused(
                "403 Forbidden",
                "security_exception",
                "no permissions for [indices:admin/create] and User [name=loader]",
            ),
            PermanentError,
            "permission.*indices:admin/create",
        ),
        (
            configure,
            refused(
                "429 Too Many Requests",
                "cluster_block_exception",
                "index [name] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has "
                "read-only-allow-delete block];",
            ),
            MachineError,
            "a disk .* is full",
        ),
        (
            configure,
            refused(
                "403 Forbidden",
                "cluster_block_exception",
                "index [name] blocked by: [FORBIDDEN/5/index read-only (api)];",
            ),
            MachineError,
            "takes no writes .*read-only.*lift that block",
        ),
    ],
)
def test_a_cluster_that_cannot_is_told(
    does: Callable[[OpenSearchIndex], None], refusal: bytes, kind: type[BatchjobError], words: str
) -> None:
    with answering(refusal) as server, pytest.raises(kind, match=words):
        does(OpenSearchIndex(server.endpoint))


@pytest.mark.slow
def test_a_plugin_that_is_missing_is_told_by_a_real_node(opensearch_url: str) -> None:
    """The node knows no such tokenizer: its words are those of one that has no Kuromoji."""
    body = index_body(unique_name(), "f")
    body["settings"]["analysis"]["tokenizer"]["japanese"]["type"] = "kuromoji_unheard_of"
    with pytest.raises(UsageError, match="lacks the plugin analysis-kuromoji"):
        OpenSearchIndex(opensearch_url).create(unique_name(), body)


def test_a_full_disk_is_told_by_a_real_node(opensearch_url: str) -> None:
    index, name = OpenSearchIndex(opensearch_url), unique_name()
    index.create(name, {})
    index.configure(name, {"index.blocks.read_only_allow_delete": True})
    with pytest.raises(MachineError, match=r"a disk .* is full"):
        index.configure(name, {"index.refresh_interval": "1s"})
    index.drop(name)
    index.drop(name)


def test_aliases_move_together_or_not_at_all(opensearch_url: str) -> None:
    index, name = OpenSearchIndex(opensearch_url), unique_name()
    index.create(name, {"aliases": {f"{name}-old": {}}})
    actions = [
        {"remove": {"index": name, "alias": f"{name}-old"}},
        {"add": {"index": f"{name}-missing", "alias": f"{name}-new"}},
    ]
    with pytest.raises(PermanentError, match="missing"):
        index.change_aliases(actions)
    assert index.resolve(f"{name}-old") == name
    assert index.indexes(f"{name}*") == [name]
    assert index.indexes(f"{name}-missing") == []


def test_icu_is_found_where_it_is_installed(opensearch_url: str) -> None:
    assert OpenSearchIndex(opensearch_url).normalises()
