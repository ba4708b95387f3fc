"""What only S3 can do wrong: refusals, damaged and lost answers, and what each becomes."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from batchjob.adapters.s3 import PART_BYTES, S3Store, s3_client
from batchjob.errors import (
    AlreadyExistsError,
    BatchjobError,
    ObjectMissingError,
    PermanentError,
    PreconditionFailedError,
    SourceMissingError,
    TransientError,
    UsageError,
)
from tests.adapters.conftest import OnServer
from tests.support.answers import DATE, answer, answering
from tests.support.servers import S3Server

ETAG = 'ETag: "0123456789abcdef0123456789abcdef"'
MULTIPART = 'ETag: "0123456789abcdef0123456789abcdef-12"'
MODIFIED = "Last-Modified: Tue, 01 Sep 2026 00:00:00 GMT"


def refusal(status: str, code: str) -> bytes:
    return answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())


def found(body: bytes, *headers: str, date: bool = True) -> bytes:
    return answer("200 OK", body, headers=[MODIFIED, *headers], date=date)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    s3_client.cache_clear()
    yield
    s3_client.cache_clear()


def at(endpoint: str) -> S3Store:
    return S3Store(s3_client(endpoint), "some-bucket")


@pytest.mark.parametrize("server", ["s3_real", "s3_listing"])
def test_a_missing_bucket_is_named_and_no_sign_of_missing_objects(on_server: OnServer, server: str) -> None:
    store = at(on_server(server).endpoint)
    uses: list[Callable[[], object]] = [lambda: store.open("key"), lambda: list(store.list())]
    if server == "s3_listing":  # SeaweedFS makes the bucket for whoever writes as its administrator.
        uses += [lambda: store.create_once("key", b""), lambda: store.delete("key")]
    for use in uses:
        with pytest.raises(UsageError, match="some-bucket"):
            use()


def test_a_wrong_secret_is_an_outage_with_a_name(
    on_server: OnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = on_server("s3_real")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    store = S3Store(s3_client(server.endpoint), server.bucket)
    for use in (lambda: store.open("key"), lambda: store.put("key", b""), lambda: list(store.list())):
        with pytest.raises(TransientError, match="access denied") as caught:
            use()
        assert caught.value.cause == "access_denied"


def test_versions_are_named(on_server: OnServer) -> None:
    server = on_server("s3_listing")
    client = s3_client(server.endpoint)
    client.put_bucket_versioning(Bucket=server.bucket, VersioningConfiguration={"Status": "Enabled"})
    store = S3Store(client, server.bucket, "versions")
    versions = set()
    for number in range(2):
        store.put("key", str(number).encode())
        with store.open("key") as found:
            versions.add(found.meta.version_id)
    assert None not in versions
    assert len(versions) == 2
    store.delete("key")
    with pytest.raises(ObjectMissingError):
        store.open("key")


def test_without_credentials_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    with answering(found(b"", ETAG)) as server, pytest.raises(UsageError, match="credentials"):
        at(server.endpoint).open("key")
    assert server.heads == []


def test_a_nonsensical_endpoint_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="endpoint"):
        s3_client("not a URL")


def test_servers_that_do_not_answer_are_outages_soon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with (
        answering(b"\x00\xffgarbage\r\n\r\n") as garbage,
        answering(b"") as silent,
        answering(refusal("503 Slow Down", "SlowDown")) as busy,
        answering(answer("200 OK", b"<ListBucketResult><Cont")) as torn,
    ):

        def outage(endpoint: str) -> TransientError:
            with pytest.raises(TransientError) as caught:
                list(at(endpoint).list())
            return caught.value

        start = time.monotonic()
        endpoints = [dead, garbage.endpoint, silent.endpoint, busy.endpoint, torn.endpoint]
        with ThreadPoolExecutor(5) as pool:
            errors = list(pool.map(outage, endpoints))
    assert time.monotonic() - start < 20
    assert {error.cause for error in errors} == {"store_unavailable"}


def test_only_no_such_key_means_gone() -> None:
    with answering(refusal("404 Not Found", "NoSuchKey")) as server:
        with pytest.raises(ObjectMissingError) as caught:
            at(server.endpoint).open("key")
        assert caught.value.observed_at == DATE * 1000
    for other in (
        answer("404 Not Found", b"<html>no such site</html>"),
        answer("404 Not Found", b"<Error><Code>NoSuchKey</Code></Error>", date=False),
        answer("404 Not Found"),
    ):
        with answering(other) as server, pytest.raises(TransientError):
            at(server.endpoint).open("key")


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        (refusal("403 Forbidden", "AccessDenied"), TransientError, "access denied"),
        (refusal("400 Bad Request", "ExpiredToken"), TransientError, "access denied"),
        (refusal("403 Forbidden", "InvalidObjectState"), PermanentError, "InvalidObjectState"),
        (refusal("400 Bad Request", "AuthorizationHeaderMalformed"), UsageError, "AWS_REGION"),
        (refusal("416 Range Not Satisfiable", "InvalidRange"), PermanentError, "InvalidRange"),
        (refusal("501 Not Implemented", "NotImplemented"), PermanentError, "NotImplemented"),
        (refusal("400 Bad Request", "InvalidArgument"), PermanentError, "InvalidArgument"),
    ],
)
def test_refusals(given: bytes, kind: type[BatchjobError], words: str) -> None:
    with answering(given) as server, pytest.raises(kind, match=words) as caught:
        at(server.endpoint).open("key")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "damaged",
    [
        found(b"text"),
        found(b"text", 'ETag: "0123456789abc'),
        found(b"text", ETAG, date=False),
        answer("200 OK", b"text", headers=[ETAG]),
        answer("200 OK", b"text", headers=[ETAG, "Last-Modified: yesterday"]),
        found(b"text", ETAG, "Content-Length: many"),
        found(b"text", ETAG, "Content-Range: bytes 0-3/*"),
    ],
)
def test_a_damaged_answer_is_no_answer(damaged: bytes) -> None:
    with answering(damaged) as server, pytest.raises(TransientError) as caught:
        at(server.endpoint).open("key")
    assert caught.value.cause == "store_unavailable"


def test_the_time_and_the_size_come_from_the_answer() -> None:
    whole = found(b"text", MULTIPART, "x-amz-version-id: v7")
    part = answer("206 Partial Content", b"ex", headers=[MODIFIED, MULTIPART, "Content-Range: bytes 1-2/4"])
    with answering(whole, part) as server:
        store = at(server.endpoint)
        with store.open("key") as opened:
            assert (opened.observed_at, opened.meta.size, opened.meta.version_id) == (DATE * 1000, 4, "v7")
            assert opened.meta.etag == MULTIPART.removeprefix("ETag: ")
        with store.open("key", byte_range=(1, 2), if_match=opened.meta.etag) as opened:
            assert (opened.body.read(), opened.meta.size) == (b"ex", 4)
    assert b"range: bytes=1-2" in server.heads[1].lower()
    assert b"if-match: " + opened.meta.etag.encode() in server.heads[1].replace(b"If-Match", b"if-match")


def test_a_body_cut_short_is_an_outage() -> None:
    with answering(found(b"begins", ETAG, "Content-Length: 100")) as server:
        with at(server.endpoint).open("key") as opened, pytest.raises(TransientError):
            opened.body.read()
        with at(server.endpoint).open("key") as opened, pytest.raises(TransientError):
            list(iter(lambda: opened.body.read(4), b""))


def test_an_answer_without_etag_is_checked_by_reading() -> None:
    for cut in ((), ('ETag: "0123',)):
        with answering(answer("200 OK", headers=cut), found(b"mine", ETAG)) as server:
            assert at(server.endpoint).put("key", b"mine") == ETAG.removeprefix("ETag: ")
        other = found(b"else", ETAG)
        with answering(answer("200 OK", headers=cut), other) as server, pytest.raises(TransientError):
            at(server.endpoint).put("key", b"mine")


def test_a_refusal_of_ones_own_success_is_a_success() -> None:
    refused = refusal("412 Precondition Failed", "PreconditionFailed")
    etag = ETAG.removeprefix("ETag: ")
    with answering(refused, found(b"mine", ETAG), refused, found(b"mine", ETAG)) as server:
        store = at(server.endpoint)
        assert store.create_once("key", b"mine") == etag
        assert store.replace_if_match("key", b"mine", etag) == etag
    assert b"if-none-match: *" in server.heads[0].lower()
    with answering(refused, found(b"theirs", ETAG), refused, found(b"theirs", ETAG)) as server:
        with pytest.raises(AlreadyExistsError):
            at(server.endpoint).create_once("key", b"mine")
        with pytest.raises(PreconditionFailedError):
            at(server.endpoint).replace_if_match("key", b"mine", etag)


def test_aws_answers_404_where_there_is_nothing_to_replace() -> None:
    with answering(refusal("404 Not Found", "NoSuchKey")) as server, pytest.raises(PreconditionFailedError):
        at(server.endpoint).replace_if_match("key", b"mine", ETAG.removeprefix("ETag: "))


def test_a_conflict_is_asked_again_but_not_for_ever() -> None:
    conflict = refusal("409 Conflict", "ConditionalRequestConflict")
    with answering(conflict, conflict, answer("200 OK", headers=[ETAG])) as server:
        assert at(server.endpoint).create_once("key", b"mine") == ETAG.removeprefix("ETag: ")
    assert len(server.heads) == 3
    with answering(conflict) as server, pytest.raises(TransientError, match="ConditionalRequestConflict"):
        at(server.endpoint).create_once("key", b"mine")
    assert len(server.heads) == 6


def test_no_put_waits_for_a_100_continue() -> None:
    with answering(answer("200 OK", headers=[ETAG])) as server:
        at(server.endpoint).put("key", b"mine", content_type="text/plain")
    assert b"expect:" not in server.heads[0].lower()
    assert b"content-type: text/plain" in server.heads[0].lower()


def test_a_file_is_written_whole_in_parts(
    s3_real: S3Server, s3_listing: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_real.environment().items():
        monkeypatch.setenv(name, value)
    store, path = S3Store(s3_client(s3_real.endpoint), s3_real.bucket), tmp_path / "large"
    for size in (0, PART_BYTES + 1, 3 * PART_BYTES):
        path.write_bytes(os.urandom(1024) * (size // 1024) + b"x" * (size % 1024))
        store.put_file("large", path)
        with store.open("large") as opened:
            assert opened.body.read() == path.read_bytes()
    with pytest.raises(SourceMissingError):
        S3Store(s3_client(s3_listing.endpoint), "no-such-bucket").put_file("large", path)
