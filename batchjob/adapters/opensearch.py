"""OpenSearch behind the Index port, through opensearch-py; the one place that knows its answers."""

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import Any

import orjson
from opensearchpy.exceptions import OpenSearchException, TransportError

from batchjob.adapters.opensearch_connection import TIMEOUT_SECONDS, Connection, Login
from batchjob.adapters.opensearch_errors import check_version
from batchjob.errors import PermanentError, TransientError, UsageError
from batchjob.ports import BulkItem, StoredDocument

BULK_ANSWER = "errors,items.*.status,items.*.error.type,items.*.error.reason"
VERSIONS_ANSWER = "docs._id,docs.found,docs._version,docs.error"
SCAN_ANSWER = "hits.hits.fields,hits.hits.sort"
DOCUMENTS_A_PAGE = 5000
"""Half of what OpenSearch gives at most (index.max_result_window)."""


class OpenSearchIndex:
    """One cluster; `timeout` in seconds, for connecting and for each pause in an answer. Raises UsageError."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT_SECONDS, login: Login | None = None) -> None:
        self._connection = Connection(url, login or Login(), timeout)
        self._url = self._connection.url
        self._ask = self._connection.ask

    def close(self) -> None:
        self._connection.close()

    def version(self) -> str:
        """The server's version, for example `3.5.0`. Raises UsageError where it is no OpenSearch of today."""
        answer = self._ask("GET", "/")
        with self._understood("version"):
            return check_version(self._url, answer["version"])

    def bulk(self, alias: str, body: bytes) -> Sequence[BulkItem] | None:
        answer = self._ask(
            "POST",
            f"/{alias}/_bulk",
            params={"filter_path": BULK_ANSWER, "require_alias": "true"},
            body=body,
            headers={"content-type": "application/x-ndjson", "content-encoding": "gzip"},
        )
        with self._understood("bulk"):
            return None if answer["errors"] is False else [_item(entry) for entry in answer["items"]]

    def documents(
        self, index: str, ids: Sequence[str], fields: Sequence[str]
    ) -> Mapping[str, StoredDocument]:
        if not ids:
            return {}
        answer = self._ask(
            "POST", f"/{index}/_mget", params={"_source_includes": ",".join(fields)}, body={"ids": list(ids)}
        )
        with self._understood("mget"):
            told = {doc["_id"]: doc["found"] for doc in answer["docs"]}
            found = [doc for doc in answer["docs"] if doc["found"]]
            stored = {doc["_id"]: StoredDocument(doc["_version"], doc.get("_source", {})) for doc in found}
        self._check_whole(told.keys(), ids)
        return stored

    def versions(self, index: str, ids: Sequence[str]) -> Mapping[str, int]:
        if not ids:
            return {}
        answer = self._ask(
            "POST",
            f"/{index}/_mget",
            params={"_source": "false", "filter_path": VERSIONS_ANSWER},
            body=orjson.dumps({"ids": list(ids)}),
        )
        with self._understood("mget"):
            docs = answer["docs"]
            told = {doc["_id"] for doc in docs if doc["found"] is not None}
            found = {doc["_id"]: int(doc["_version"]) for doc in docs if doc["found"]}
        self._check_whole(told, ids)
        return found

    def _check_whole(self, told: Set[str], ids: Sequence[str]) -> None:
        if told != set(ids):
            raise TransientError(
                f"OpenSearch at {self._url} left documents out of its answer", cause="index_answer"
            )

    @contextmanager
    def _understood(self, what: str) -> Iterator[None]:
        """An answer that lacks what it must have (a shard that failed, a proxy's page) is no answer."""
        try:
            yield
        except (KeyError, TypeError, ValueError, StopIteration, AttributeError) as error:
            raise TransientError(
                f"OpenSearch at {self._url} gave a {what} answer that cannot be understood ({error!r})",
                cause="index_answer",
            ) from error

    def resolve(self, alias: str) -> str | None:
        names = sorted(self._alias(alias))
        if len(names) > 1:
            raise UsageError(
                f"alias {alias!r} stands for several indexes ({', '.join(names)}): it must be one; remove the others"
            )
        return names[0] if names else None

    def alias_filter(self, alias: str) -> Mapping[str, Any]:
        [entry] = self._alias(alias).values()
        found: Mapping[str, Any] = entry["aliases"][alias].get("filter", {})
        return found

    def _alias(self, alias: str) -> Mapping[str, Any]:
        """The indexes behind an alias, with what each says of it; none where there is no such alias."""
        try:
            answer: Mapping[str, Any] = self._connection.perform("GET", f"/_alias/{alias}")
        except OpenSearchException as error:
            if isinstance(error, TransportError) and error.status_code == 404:
                return {}
            raise self._connection.translated(error) from error
        return answer

    def create(self, index: str, body: Mapping[str, Any]) -> None:
        try:
            self._connection.perform("PUT", f"/{index}", body=dict(body))
        except OpenSearchException as error:
            if isinstance(error, TransportError) and error.error == "resource_already_exists_exception":
                return
            raise self._connection.translated(error) from error

    def meta(self, index: str) -> Mapping[str, Any]:
        answer = self._ask("GET", f"/{index}/_mapping")
        meta: Mapping[str, Any] = answer[index]["mappings"].get("_meta", {})
        return meta

    def count(self, alias: str, query: Mapping[str, Any] | None = None) -> int:
        body = None if query is None else {"query": dict(query)}
        with self._understood("count"):
            return int(self._ask("POST", f"/{alias}/_count", body=body)["count"])

    def indexes(self, pattern: str) -> Sequence[str]:
        return sorted(self._ask("GET", f"/{pattern}/_alias", params={"ignore_unavailable": "true"}))

    def structure(self, index: str) -> Mapping[str, Any]:
        with self._understood("index"):
            found: Mapping[str, Any] = self._ask("GET", f"/{index}")[index]
        return found

    def complete(self, index: str) -> bool:
        with self._understood("health"):
            return bool(self._ask("GET", f"/_cluster/health/{index}")["status"] == "green")

    def normalises(self) -> bool:
        question = {"tokenizer": "keyword", "char_filter": ["icu_normalizer"], "text": "1"}
        try:
            self._ask("POST", "/_analyze", body=question)
        except PermanentError:
            return False
        return True

    def configure(self, index: str, settings: Mapping[str, Any]) -> None:
        self._ask("PUT", f"/{index}/_settings", body=dict(settings))

    def change_aliases(self, actions: Sequence[Mapping[str, Any]]) -> None:
        self._ask("POST", "/_aliases", body={"actions": list(actions)})

    def drop(self, index: str) -> None:
        self._ask("DELETE", f"/{index}", params={"ignore_unavailable": "true"})

    def refresh(self, index: str) -> None:
        self._ask("POST", f"/{index}/_refresh")

    def search(self, alias: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._ask("POST", f"/{alias}/_search", body=dict(body))
        return answer

    def scan(
        self, index: str, query: Mapping[str, Any], fields: Sequence[str], order: str
    ) -> Iterator[Mapping[str, Any]]:
        """Values come from doc values: `_source` would be read whole, with the text."""
        body = {
            "query": dict(query),
            "size": DOCUMENTS_A_PAGE,
            "sort": [{order: "asc"}],
            "_source": False,
            "track_total_hits": False,
            "docvalue_fields": list(fields),
        }
        params = {"allow_partial_search_results": "false", "filter_path": SCAN_ANSWER}
        while True:
            answer = self._ask("POST", f"/{index}/_search", params=params, body=body)
            with self._understood("search"):
                hits = answer["hits"]["hits"] if answer else []
                found = [{name: v[0] for name, v in hit.get("fields", {}).items()} for hit in hits]
                after = hits[-1]["sort"] if hits else None
            yield from found
            if len(hits) < DOCUMENTS_A_PAGE:
                return
            body["search_after"] = after

    def erase(self, index: str, query: Mapping[str, Any]) -> int:
        self.refresh(index)
        answer = self._ask(
            "POST",
            f"/{index}/_delete_by_query",
            params={"refresh": "true", "conflicts": "proceed"},
            body={"query": dict(query)},
        )
        with self._understood("delete"):
            if answer["version_conflicts"] or answer["failures"]:
                raise TransientError(
                    f"documents in {index!r} changed while they were deleted: try again", cause="index_busy"
                )
            return int(answer["deleted"])


def _item(operation: Mapping[str, Any]) -> BulkItem:
    [entry] = operation.values()
    error = entry.get("error") or {}
    return BulkItem(int(entry["status"]), str(error.get("type", "")), str(error.get("reason", "")))
