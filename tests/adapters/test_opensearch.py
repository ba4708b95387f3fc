"""How requests to OpenSearch are signed, whom they trust, and what is taken from errors."""

import hashlib
import hmac
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.adapters.opensearch_connection import Auth, Login, safe_url, seconds_until
from batchjob.errors import MachineError, PermanentError, TransientError, UsageError
from batchjob.reduce.bulk import Operation, join_operations
from batchjob.settings import load_settings
from tests.support.answers import answer, answering

WELL = answer("200 OK", b'{"errors":false}', headers=["Content-Type: application/json"])
BODY = join_operations([Operation(b'{"index":{"_id":"1","version":1}}', b"{}")])


def headers_of(head: bytes) -> dict[str, str]:
    lines = head.decode().split("\r\n")[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines if line)}


def sent_by(login: Login, user: str = "") -> tuple[str, dict[str, str]]:
    """The request line and headers of a bulk request."""
    with answering(WELL) as server:
        url = server.endpoint.replace("http://", f"http://{user}")
        OpenSearchIndex(url, timeout=5, login=login).bulk("alias", BODY)
        [head] = server.heads
    return head.decode().split("\r\n")[0], headers_of(head)


def signature(line: str, headers: dict[str, str], secret: str) -> str:
    """Signature Version 4, written down once more from AWS's documentation."""
    method, target, _ = line.split(" ")
    parts = urlsplit(target)
    scope, names, _ = (
        part.split("=", 1)[1] for part in headers["authorization"].split(" ", 1)[1].split(", ")
    )
    query = "&".join(f"{quote(k, '')}={quote(v, '-_.~')}" for k, v in sorted(parse_qsl(parts.query)))
    signed = "".join(f"{name}:{headers[name]}\n" for name in names.split(";"))
    canonical = "\n".join([method, quote(parts.path), query, signed, names, headers["x-amz-content-sha256"]])
    _, date, region, service, last = scope.split("/")
    key = f"AWS4{secret}".encode()
    for word in (date, region, service, last):
        key = hmac.digest(key, word.encode(), "sha256")
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope.split("/", 1)[1], hashed])
    return hmac.digest(key, text.encode(), "sha256").hex()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")


def test_a_signature_is_right_and_covers_the_body(credentials: None) -> None:
    line, headers = sent_by(Login("sigv4", region="eu-west-1"))
    assert "/eu-west-1/es/aws4_request" in headers["authorization"]
    assert headers["x-amz-content-sha256"] == hashlib.sha256(BODY).hexdigest()
    assert headers["x-amz-security-token"] == "token"
    assert headers["authorization"].rpartition("=")[2] == signature(line, headers, "hush")


@pytest.mark.parametrize(
    ("login", "user", "found"),
    [
        (Login(), "", None),
        (Login("none"), "me:hush@", None),
        (Login(user="me", password="hush"), "", "Basic bWU6aHVzaA=="),
        (Login(), "me:hu%73h@", "Basic bWU6aHVzaA=="),
        (Login("basic", "me", "hush"), "other:word@", "Basic bWU6aHVzaA=="),
    ],
)
def test_who_asks(login: Login, user: str, found: str | None) -> None:
    assert sent_by(login, user)[1].get("authorization") == found


@pytest.mark.parametrize(
    ("url", "auth"),
    [("https://search-x.eu-west-1.es.amazonaws.com", "AWS"), ("https://host:9200", None)],
)
def test_hosts_of_aws_want_signatures(url: str, auth: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    if auth is None:
        OpenSearchIndex(url)
    else:
        with pytest.raises(UsageError, match="no AWS credentials"):
            OpenSearchIndex(url)


@pytest.mark.parametrize(
    ("login", "words"),
    [
        (Login("basic"), "BATCHJOB_OPENSEARCH_PASSWORD"),
        (Login("basic", "me"), "BATCHJOB_OPENSEARCH_PASSWORD"),
        (Login(ca_file=Path("/nonexistent")), "BATCHJOB_OPENSEARCH_CA_FILE"),
    ],
)
def test_a_login_that_cannot_be(login: Login, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        OpenSearchIndex("https://host:9200", login=login)


@pytest.mark.parametrize("url", ["host:9200", "ftp://host", "https://", "http://[::1", "http://host:port"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(UsageError, match="https://host:9200"):
        OpenSearchIndex(url)


def test_secrets_are_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHJOB_OPENSEARCH_PASSWORD", "hush")
    assert "hush" not in repr(load_settings())
    assert "hush" not in repr(Login("basic", "me", "hush"))
    assert safe_url("https://me:hush@host:9200/prefix/") == "https://host:9200/prefix"


@pytest.mark.parametrize(("status", "auth"), [("401 No", "basic"), ("403 No", "basic")])
def test_who_may_not_is_told(status: str, auth: Auth) -> None:
    with answering(answer(status)) as server:
        index = OpenSearchIndex(server.endpoint, timeout=5, login=Login(auth, "me", "hush"))
        with pytest.raises(PermanentError, match="give the user or role the permission") as caught:
            index.bulk("alias", BODY)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("status", ["403 Forbidden", "429 Too Many Requests"])
def test_a_block_of_the_whole_cluster_is_not_taken_for_a_busy_one(status: str) -> None:
    told = b'{"error":{"type":"cluster_block_exception","reason":"blocked"},"status":403}'
    blocked = answer(status, told, headers=["Content-Type: application/json"])
    with answering(blocked) as server, pytest.raises(MachineError, match="lift that block"):
        OpenSearchIndex(server.endpoint, timeout=5).bulk("alias", BODY)


@pytest.mark.parametrize(
    ("header", "seconds"), [("Retry-After: 7", 7.0), ("Retry-After: soon", None), ("X: 1", None)]
)
def test_a_busy_server_says_when(header: str, seconds: float | None) -> None:
    with answering(answer("503 Busy", headers=[header]), answer("429 Busy")) as server:
        index = OpenSearchIndex(server.endpoint, timeout=5)
        for expected in (seconds, None):
            with pytest.raises(TransientError) as caught:
                index.bulk("alias", BODY)
            assert caught.value.retry_after == expected


@given(st.text() | st.sampled_from(["Wed, 21 Oct 2015 07:28:00 GMT", "-1", "1e9", "９"]))
def test_any_header_is_seconds_or_nothing(header: str) -> None:
    seconds = seconds_until(header)
    assert seconds is None or seconds >= 0


def test_a_date_is_the_time_until_then() -> None:
    later = datetime.now(UTC) + timedelta(seconds=90)
    seconds = seconds_until(later.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    assert seconds is not None
    assert 30 < seconds <= 90


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed one for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(built.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


class Well(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"errors":false}')

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def https(tmp_path: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(tmp_path))
    server = HTTPServer(("127.0.0.1", 0), Well)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_only_a_known_authority_is_trusted(https: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="BATCHJOB_OPENSEARCH_CA_FILE"):
        OpenSearchIndex(https, timeout=5).bulk("alias", BODY)
    trusting = OpenSearchIndex(https, timeout=5, login=Login(ca_file=tmp_path / "certificate.pem"))
    assert trusting.bulk("alias", BODY) is None
