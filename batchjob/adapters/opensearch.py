"""OpenSearch behind the Index port, through opensearch-py; the one place that knows its answers."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from opensearchpy import OpenSearch, Urllib3HttpConnection
from opensearchpy.exceptions import ConnectionError as Unreachable
from opensearchpy.exceptions import OpenSearchException, TransportError

from batchjob.adapters.opensearch_errors import check_version, reason_of, trouble
from batchjob.errors import BatchjobError, BodyTooLargeError, PermanentError, TransientError, UsageError
from batchjob.ports import BulkItem, StoredDocument

BULK_ANSWER = "errors,items.*.status,items.*.error.type,items.*.error.reason"
CONNECTIONS = 8
TIMEOUT_SECONDS = 60


def safe_url(url: str) -> str:
    """The URL without user name and password, for messages."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


class OpenSearchIndex:
    """One cluster. Retries are the caller's (one retry layer a call), so the client makes none."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT_SECONDS) -> None:
        try:
            self._url = safe_url(url)
            scheme = urlsplit(url).scheme
        except ValueError:
            scheme = ""
        if scheme not in ("http", "https"):
            raise UsageError(
                "the OpenSearch URL must look like https://host:9200; set BATCHJOB_OPENSEARCH_URL"
            )
        self._client = OpenSearch(
            [url],
            connection_class=Urllib3HttpConnection,
            maxsize=CONNECTIONS,
            timeout=timeout,
            max_retries=0,
            verify_certs=True,
        )

    def close(self) -> None:
        self._client.close()

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        try:
            return self._client.transport.perform_request(
                method, path, params=dict(params or {}), body=body, headers=dict(headers or {})
            )
        except OpenSearchException as error:
            raise self._translated(error) from error

    def _translated(self, error: OpenSearchException) -> BatchjobError:
        if isinstance(error, Unreachable):
            return TransientError(
                f"OpenSearch at {self._url} does not answer ({type(error.info).__name__}): start it, or correct "
                "BATCHJOB_OPENSEARCH_URL",
                cause="index_unreachable",
            )
        status = error.status_code if isinstance(error, TransportError) else "?"
        reason = reason_of(error.info, str(error.error)) if isinstance(error, TransportError) else str(error)
        known = trouble(self._url, status, reason)
        if known is not None:
            return known
        if status in (429, "N/A", "?") or (isinstance(status, int) and status >= 500):
            return TransientError(
                f"OpenSearch at {self._url} answered {status}: {reason}", cause="index_busy"
            )
        if status == 413:
            return BodyTooLargeError(f"OpenSearch at {self._url} takes no request of this size (413)")
        return PermanentError(f"OpenSearch at {self._url} answered {status}: {reason}")

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
        if told.keys() != set(ids):
            raise TransientError(
                f"OpenSearch at {self._url} left documents out of its answer", cause="index_answer"
            )
        return stored

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
            answer: Mapping[str, Any] = self._client.transport.perform_request("GET", f"/_alias/{alias}")
        except OpenSearchException as error:
            if isinstance(error, TransportError) and error.status_code == 404:
                return {}
            raise self._translated(error) from error
        return answer

    def create(self, index: str, body: Mapping[str, Any]) -> None:
        try:
            self._client.transport.perform_request("PUT", f"/{index}", body=dict(body))
        except OpenSearchException as error:
            if isinstance(error, TransportError) and error.error == "resource_already_exists_exception":
                return
            raise self._translated(error) from error

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
        except TransientError:
            raise
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


def _item(operation: Mapping[str, Any]) -> BulkItem:
    [entry] = operation.values()
    error = entry.get("error") or {}
    return BulkItem(int(entry["status"]), str(error.get("type", "")), str(error.get("reason", "")))
