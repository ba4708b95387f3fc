"""What each failure of SQS, of its client or of the network between means to the stations."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

from batchjob.adapters.s3_errors import CREDENTIALS, FAILURES, MISUSE, error_code, error_status
from batchjob.errors import BatchjobError, TransientError, UsageError

MISSING = ("QueueDoesNotExist", "NonExistentQueue")
"""With a namespace before it, or one of the older protocol."""
THROTTLED = ("Throttl", "OverLimit", "TooManyRequests")


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Lets nothing but the project's errors out."""
    try:
        yield
    except (*FAILURES, KeyError) as error:
        raise _translate(error, url) from error


def _translate(error: Exception, url: str) -> BatchjobError:
    if isinstance(error, ClientError):
        return _refusal(error, url)
    if isinstance(error, CREDENTIALS):
        return UsageError(f"SQS: {error}; set AWS credentials for queue {url}")
    if isinstance(error, MISUSE):
        return UsageError(f"SQS, queue {url}: {error}".replace("\n", " "))
    if isinstance(error, KeyError):
        return TransientError(
            f"SQS, queue {url}: an answer without {error}; try again", cause="queue_unavailable"
        )
    return TransientError(f"SQS, queue {url}: {error}; try again", cause="queue_unavailable")


def _refusal(error: ClientError, url: str) -> BatchjobError:
    code, status = error_code(error), error_status(error)
    message = f"SQS, queue {url}: {code} ({status})"
    if code.endswith(MISSING):
        return UsageError(f"{message}: no such queue; check its URL, the region and the account")
    if any(word in code for word in THROTTLED) or status >= 500 or status == 429:
        return TransientError(f"{message}; try again", cause="queue_unavailable")
    if status in (401, 403) or "AccessDenied" in code or "ExpiredToken" in code:
        return TransientError(
            f"{message}: access denied; check the credentials and the policies of the queue and the role",
            cause="access_denied",
        )
    return UsageError(f"{message}: {error.response['Error'].get('Message', 'refused')}")
