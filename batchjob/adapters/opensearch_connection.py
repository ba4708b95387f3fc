"""How OpenSearch is reached, under adapters/opensearch: address, credentials, TLS, and what its errors mean."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, unquote, urlsplit

import orjson
from opensearchpy import JSONSerializer, OpenSearch, Urllib3HttpConnection
from opensearchpy.exceptions import ConnectionError as Unreachable
from opensearchpy.exceptions import OpenSearchException, TransportError

from batchjob.adapters.opensearch_errors import reason_of, trouble
from batchjob.errors import (
    BatchjobError,
    BodyTooLargeError,
    PermanentError,
    TransientError,
    UsageError,
)

CONNECTIONS = 8
TIMEOUT_SECONDS = 60.0
AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn")
SERVICE = "es"
"""Amazon OpenSearch Service's name in signatures."""
Auth = Literal["none", "basic", "sigv4"]


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks, and whom to trust. `auth` None: basic where there is a user, else sigv4 for a host of AWS.

    `ca_file` is a PEM file that stands for the system's certificates; `region` None: that of the AWS profile.
    """

    auth: Auth | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    region: str | None = None
    ca_file: Path | None = None


class _Json(JSONSerializer):
    """Reads answers with orjson, at a third of the CPU; what it refuses (lone surrogates) goes the usual way."""

    def loads(self, s: Any) -> Any:
        try:
            return orjson.loads(s)
        except ValueError:
            return super().loads(s)


class _Connection(Urllib3HttpConnection):
    """Logs nothing (errors are told by whoever handles them), and keeps what an error said of trying again."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        logging.getLogger("opensearch").setLevel(logging.ERROR)
        self.told = threading.local()

    def get_response_headers(self, response: Any) -> Any:
        headers = super().get_response_headers(response)
        self.told.retry_after = headers.get("retry-after")
        return headers

    def log_request_success(self, *_: Any, **__: Any) -> None: ...

    def log_request_fail(self, *_: Any, **__: Any) -> None: ...


def safe_url(url: str) -> str:
    """The URL without user name and password, for messages. Raises ValueError."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{_address(parts)}{parts.path.rstrip('/')}"


def _address(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return (f"[{host}]" if ":" in host else host) + (f":{parts.port}" if parts.port else "")


class Connection:
    """One cluster. Retries are the caller's (one retry layer a call), so the client makes none."""

    def __init__(self, url: str, login: Login, timeout: float) -> None:
        try:
            parts = urlsplit(url)
            self.url = safe_url(url)
        except ValueError:
            parts = SplitResult("", "", "", "", "")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                "the OpenSearch URL must look like https://host:9200; set BATCHJOB_OPENSEARCH_URL"
            )
        self._client = OpenSearch(
            [self.url],
            connection_class=_Connection,
            serializer=_Json(),
            pool_maxsize=CONNECTIONS,
            timeout=timeout,
            max_retries=0,
            http_auth=_credentials(parts, login),
            **_trust(parts, login),
        )
        [self._connection] = self._client.transport.connection_pool.connections

    def close(self) -> None:
        self._client.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """What the server answers. Raises TransientError, BodyTooLargeError, PermanentError, UsageError."""
        try:
            return self.perform(method, path, params=params, body=body, headers=headers)
        except OpenSearchException as error:
            raise self.translated(error) from error

    def perform(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The same, raising OpenSearchException."""
        self._connection.told.retry_after = None
        return self._client.transport.perform_request(
            method, path, params=dict(params or {}), body=body, headers=dict(headers or {})
        )

    def translated(self, error: OpenSearchException) -> BatchjobError:
        """The error in the words of errors.py."""
        if isinstance(error, Unreachable):
            return self._unreachable(error)
        status = error.status_code if isinstance(error, TransportError) else "?"
        reason = reason_of(error.info, str(error.error)) if isinstance(error, TransportError) else str(error)
        known = trouble(self.url, status, reason)
        if known is not None:
            return known
        if status in (408, 429, "N/A", "?") or (isinstance(status, int) and status >= 500):
            return TransientError(
                f"OpenSearch at {self.url} answered {status}: {reason}",
                cause="index_busy",
                retry_after=seconds_until(self._connection.told.retry_after),
            )
        if status == 413:
            return BodyTooLargeError(f"OpenSearch at {self.url} takes no request of this size (413)")
        return PermanentError(f"OpenSearch at {self.url} answered {status}: {reason}")

    def _unreachable(self, error: Unreachable) -> BatchjobError:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return UsageError(
                f"the certificate of OpenSearch at {self.url} is not trusted: name its authority's PEM file in "
                "BATCHJOB_OPENSEARCH_CA_FILE"
            )
        return TransientError(
            f"OpenSearch at {self.url} does not answer ({type(error.info).__name__}): start it, or correct "
            "BATCHJOB_OPENSEARCH_URL",
            cause="index_unreachable",
        )


def seconds_until(retry_after: str | None) -> float | None:
    """What a Retry-After header asks for, in seconds from now (RFC 9110, section 10.2.3); None: nothing."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (until.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def _trust(parts: SplitResult, login: Login) -> dict[str, Any]:
    if parts.scheme != "https":
        return {}
    if login.ca_file is not None and not login.ca_file.is_file():
        raise UsageError(f"no file {str(login.ca_file)!r}: correct BATCHJOB_OPENSEARCH_CA_FILE")
    return {"verify_certs": True, "ca_certs": str(login.ca_file) if login.ca_file else None}


def _credentials(parts: SplitResult, login: Login) -> Any:
    """What opensearch-py takes as `http_auth`."""
    user = login.user or unquote(parts.username or "")
    password = login.password if login.password is not None else unquote(parts.password or "")
    auth = login.auth or _inferred(parts, user)
    if auth == "none":
        return None
    if auth == "sigv4":
        return _signer(login.region)
    if not user or not password:
        raise UsageError(
            "basic authentication needs BATCHJOB_OPENSEARCH_USER and BATCHJOB_OPENSEARCH_PASSWORD"
        )
    return (user, password)


def _inferred(parts: SplitResult, user: str) -> Auth:
    if user:
        return "basic"
    return "sigv4" if (parts.hostname or "").endswith(AWS_HOSTS) else "none"


def _signer(region: str | None) -> Any:
    """Signs with the session's credentials, which refresh themselves; botocore takes 0.2 s to import."""
    import boto3
    from botocore.exceptions import BotoCoreError
    from opensearchpy import Urllib3AWSV4SignerAuth

    try:
        session = boto3.session.Session()
        credentials = session.get_credentials()
    except BotoCoreError as error:
        raise UsageError(f"no AWS credentials to sign requests to OpenSearch with: {error}") from error
    region = region or session.region_name
    if credentials is None:
        raise UsageError(
            "no AWS credentials to sign requests to OpenSearch with: give the job a role, or set "
            "BATCHJOB_OPENSEARCH_AUTH"
        )
    if region is None:
        raise UsageError("no AWS region to sign requests to OpenSearch for: set BATCHJOB_OPENSEARCH_REGION")
    return Urllib3AWSV4SignerAuth(credentials, region, SERVICE)
