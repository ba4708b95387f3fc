"""What each failure of S3, of its client or of the network between means to the stations."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    InvalidRegionError,
    MissingDependencyException,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from batchjob.errors import (
    BatchjobError,
    ObjectMissingError,
    ObjectRefusedError,
    PreconditionFailedError,
    SourceMissingError,
    TransientError,
    UsageError,
)

FAILURES = (ClientError, BotoCoreError, ResponseParserError, HTTPError, HTTPException, OSError, ValueError)
"""All that botocore and urllib3 let out; ValueError comes from answers whose headers make no sense."""

CREDENTIALS = (NoCredentialsError, PartialCredentialsError, ProfileNotFound)
MISUSE = (InvalidRegionError, MissingDependencyException, NoRegionError, ParamValidationError)
REFUSED = {"ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired"}
"""Codes that mean the same as 403 but come with 400 (S3 API reference, "Error responses")."""
OTHER_REGION = "the bucket is in another region; set AWS_REGION to it"
MISCONFIGURED = {
    "NoSuchBucket": "no bucket of this name; check it, the account and the endpoint",
    "PermanentRedirect": OTHER_REGION,
    "AuthorizationHeaderMalformed": OTHER_REGION,
    "IllegalLocationConstraintException": OTHER_REGION,
}
RETRYABLE = {"RequestTimeout", "SlowDown", "Throttling", "IncompleteBody"}
CONFLICT = {"ConditionalRequestConflict", "OperationAborted"}

ETAG = re.compile(r'"[0-9a-f]{32}(-[0-9]+)?"')


@contextmanager
def translated(bucket: str, key: str) -> Iterator[None]:
    """Lets nothing but the project's errors out."""
    try:
        yield
    except FAILURES as error:
        raise translate(error, bucket, key) from error


def translate(error: Exception, bucket: str, key: str) -> BatchjobError:
    if isinstance(error, ClientError):
        return _refusal(error, bucket, key)
    if isinstance(error, CREDENTIALS):
        return UsageError(f"S3: {error}; set AWS credentials for bucket {bucket!r}")
    if isinstance(error, MISUSE):
        return UsageError(f"S3: {error}".replace("\n", " "))
    return TransientError(f"S3, bucket {bucket!r}: {error}; try again", cause="store_unavailable")


def _refusal(error: ClientError, bucket: str, key: str) -> BatchjobError:
    code, status = error_code(error), error_status(error)
    message = f"S3, bucket {bucket!r}, {key!r}: {code} ({status})"
    if code == "NoSuchKey":
        return ObjectMissingError(key, answered_at(error.response, bucket))
    if status == 412:
        return PreconditionFailedError(key)
    if code in MISCONFIGURED:
        kind = SourceMissingError if code == "NoSuchBucket" else UsageError
        return kind(f"{message}: {MISCONFIGURED[code]}")
    if (status in (401, 403) and code != "InvalidObjectState") or code in REFUSED:
        return TransientError(
            f"{message}: access denied; check the credentials and the policies of the bucket and the role "
            "(without s3:ListBucket a missing object looks like this too)",
            cause="access_denied",
        )
    if _may_pass(code, status):
        return TransientError(f"{message}; try again", cause="store_unavailable")
    return ObjectRefusedError(f"{message}: {error.response['Error'].get('Message', 'refused')}")


def _may_pass(code: str, status: int) -> bool:
    """A 404 without NoSuchKey comes from something else in between: never a sign that an object is gone."""
    server_failed = status >= 500 and status != 501
    return server_failed or status in (404, 408, 429) or code in RETRYABLE | CONFLICT or status < 400


def error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def error_status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_conflict(error: BaseException) -> bool:
    """Another conditional write on the key is under way: the same request is to be sent again."""
    return isinstance(error, ClientError) and error_code(error) in CONFLICT


def answered_at(response: Mapping[str, Any], bucket: str) -> int:
    """The answer's Date header in ms. Raises TransientError without one: then nothing was observed."""
    header = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return int(parsedate_to_datetime(header).timestamp() * 1000)
    except (ValueError, TypeError):
        raise damaged(bucket, "Date", header) from None


def checked_etag(value: object, bucket: str) -> str:
    """An ETag of S3's shape. Raises TransientError: a cut-off header must never reach If-Match."""
    if isinstance(value, str) and ETAG.fullmatch(value):
        return value
    raise damaged(bucket, "ETag", value)


def checked_size(value: object, bucket: str) -> int:
    if isinstance(value, int) and value >= 0:
        return value
    raise damaged(bucket, "size", value)


def checked_time(value: object, bucket: str) -> datetime:
    if isinstance(value, datetime):
        return value
    raise damaged(bucket, "Last-Modified", value)


def damaged(bucket: str, what: str, value: object) -> TransientError:
    return TransientError(
        f"S3, bucket {bucket!r}: an answer was damaged ({what}: {value!r}); try again",
        cause="store_unavailable",
    )
