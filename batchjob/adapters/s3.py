"""An S3 bucket, or a part of one, as a store and as a source of documents."""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.response import StreamingBody
from tenacity import retry, retry_if_exception, stop_after_attempt, wait_random_exponential

from batchjob.adapters.objects import body, checked_key
from batchjob.adapters.s3_errors import (
    answered_at,
    checked_etag,
    checked_size,
    checked_time,
    damaged,
    is_conflict,
    translated,
)
from batchjob.errors import (
    AlreadyExistsError,
    ObjectMissingError,
    PreconditionFailedError,
    TransientError,
    UsageError,
)
from batchjob.ports import ObjectMeta, Opened

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ATTEMPTS = 4
CONNECT_SECONDS = 5
READ_SECONDS = 60
CONNECTIONS = 32
PART_BYTES = 8 * 1024 * 1024
PARTS = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=4)
"""S3 takes 10,000 parts, so 80 GB, and about ten of them are in memory."""


@lru_cache
def s3_client(endpoint: str | None) -> "S3Client":
    """A client for AWS, or for an S3-compatible server at `endpoint`; region and credentials as AWS tools do.

    Other servers may not know the checksums that boto3 sends since 1.36, nor buckets as host names.
    """
    config = Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=CONNECTIONS,
    )
    if endpoint is not None:
        config = config.merge(
            Config(
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path"},
            )
        )
    try:
        client = boto3.session.Session().client("s3", endpoint_url=endpoint, config=config)
    except (BotoCoreError, ValueError) as error:
        raise UsageError(f"S3 client for {endpoint or 'AWS'}: {error}; check endpoint and profile") from error
    client.meta.events.register_last("before-call.s3", _drop_expect)
    return client


def _drop_expect(params: dict[str, Any], **_: object) -> None:
    """botocore 1.44 spins for ever where a connection is cut inside the answer to `Expect: 100-continue`."""
    params["headers"].pop("Expect", None)


class S3Store:
    """Implements ports.Store and ports.Bucket over the keys of a bucket under `prefix`.

    ETags are checked for shape. A write whose answer was lost is recognised by reading the object.
    """

    def __init__(self, client: "S3Client", bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def open(
        self, key: str, *, byte_range: tuple[int, int] | None = None, if_match: str | None = None
    ) -> Opened:
        request: dict[str, Any] = {}
        if byte_range is not None:
            request["Range"] = f"bytes={byte_range[0]}-{byte_range[1]}"
        if if_match is not None:
            request["IfMatch"] = if_match
        full = self._full(key)
        with translated(self._bucket, key):
            answer = self._client.get_object(Bucket=self._bucket, Key=full, **request)
        stream = answer["Body"]
        try:
            meta = self._meta(key, answer, _whole_size(answer, self._bucket))
            moment = answered_at(answer, self._bucket)
            if byte_range is not None:
                _check_part(answer, byte_range, self._bucket)
        except TransientError:
            stream.close()
            raise
        reader = body(lambda size: self._read(key, stream, size), stream.close)
        return Opened(meta, moment, reader, remote=True)

    def put(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> str:
        return self._write(key, data, ContentType=content_type)

    def put_file(self, key: str, path: Path) -> None:
        """In parts where it is large. What a kill leaves of them is never an object; a lifecycle rule removes it."""
        full = self._full(key)
        with path.open("rb") as file, translated(self._bucket, key):
            self._client.upload_fileobj(file, self._bucket, full, Config=PARTS)

    def create_once(self, key: str, data: bytes) -> str:
        try:
            return self._write(key, data, IfNoneMatch="*")
        except PreconditionFailedError:
            etag = self._etag_if_equal(key, data)
        if etag is None:
            raise AlreadyExistsError(key)
        return etag

    def replace_if_match(self, key: str, data: bytes, etag: str) -> str:
        try:
            return self._write(key, data, IfMatch=etag)
        except (PreconditionFailedError, ObjectMissingError):
            found = self._etag_if_equal(key, data)
        if found is None:
            raise PreconditionFailedError(key)
        return found

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """In the server's order, which S3 documents as bytewise."""
        request: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix + prefix}
        if start_after:
            request["StartAfter"] = self._full(start_after)
        with translated(self._bucket, prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(**request):
                for item in page.get("Contents", []):
                    yield self._meta(item["Key"].removeprefix(self._prefix), item, item.get("Size"))

    def level(self, prefix: str) -> Iterator[ObjectMeta | str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix, Delimiter="/"
        )
        with translated(self._bucket, prefix):
            for page in pages:
                for item in page.get("Contents", []):
                    yield self._meta(item["Key"].removeprefix(self._prefix), item, item.get("Size"))
                for below in page.get("CommonPrefixes", []):
                    yield below["Prefix"].removeprefix(self._prefix)

    def delete(self, key: str) -> None:
        full = self._full(key)
        with translated(self._bucket, key):
            self._client.delete_object(Bucket=self._bucket, Key=full)

    def _full(self, key: str) -> str:
        checked_key(key)
        checked_key(self._prefix + key)
        return self._prefix + key

    def _meta(self, key: str, answer: Any, size: int | None) -> ObjectMeta:
        bucket = self._bucket
        modified: datetime = checked_time(answer.get("LastModified"), bucket)
        etag = checked_etag(answer.get("ETag"), bucket)
        return ObjectMeta(key, checked_size(size, bucket), etag, modified, answer.get("VersionId"))

    def _read(self, key: str, stream: StreamingBody, size: int) -> bytes:
        with translated(self._bucket, key):
            return stream.read(size)

    def _write(self, key: str, data: bytes, **request: Any) -> str:
        full = self._full(key)
        with translated(self._bucket, key):
            answer = self._put_object(Bucket=self._bucket, Key=full, Body=data, **request)
        try:
            return checked_etag(answer.get("ETag"), self._bucket)
        except TransientError:
            if etag := self._etag_if_equal(key, data):
                return etag
            raise

    @retry(
        retry=retry_if_exception(is_conflict),
        stop=stop_after_attempt(6),
        wait=wait_random_exponential(multiplier=0.1, max=2),
        reraise=True,
    )
    def _put_object(self, **request: Any) -> Any:
        return self._client.put_object(**request)

    def _etag_if_equal(self, key: str, data: bytes) -> str | None:
        """The ETag of the object if it holds `data`: then the write that was refused was done already."""
        try:
            with self.open(key) as found:
                same = found.meta.size == len(data) and found.body.read() == data
                return found.meta.etag if same else None
        except ObjectMissingError:
            return None


def _whole_size(answer: Any, bucket: str) -> int:
    """The object's size, also where the answer is a part of it (Content-Range, RFC 9110, section 14.4)."""
    length = checked_size(answer.get("ContentLength"), bucket)
    if "ContentRange" not in answer:
        return length
    total = str(answer["ContentRange"]).rpartition("/")[2]
    if not total.isdecimal():
        raise damaged(bucket, "Content-Range", answer["ContentRange"])
    return int(total)


def _check_part(answer: Any, byte_range: tuple[int, int], bucket: str) -> None:
    """A server may pass over a Range header and send the whole (RFC 9110, section 14.2)."""
    part = str(answer.get("ContentRange", ""))
    if not part.startswith(f"bytes {byte_range[0]}-"):
        raise damaged(bucket, "Content-Range", part)
