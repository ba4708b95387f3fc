"""What each failure of AWS Batch, of its client or of the network between means to the stations."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

from batchjob.adapters.s3_errors import CREDENTIALS, FAILURES, MISUSE, error_code, error_status
from batchjob.errors import BatchjobError, TransientError, UsageError

THROTTLED = ("Throttl", "TooManyRequests", "RequestLimitExceeded", "SlowDown")
DENIED = ("AccessDenied", "UnauthorizedOperation", "ExpiredToken", "UnrecognizedClient", "InvalidClientToken")
CAUSE = "batch_unavailable"


class ThrottledError(TransientError):
    """Batch refused the call for its rate alone: nothing has happened."""


@contextmanager
def translated(action: str, hint: str) -> Iterator[None]:
    """Lets nothing but the project's errors out; `action` is IAM's name of the call, `hint` what to check."""
    try:
        yield
    except (*FAILURES, KeyError) as error:
        raise _translate(error, action, hint) from error


def _translate(error: Exception, action: str, hint: str) -> BatchjobError:
    if isinstance(error, ClientError):
        return _refusal(error, action, hint)
    if isinstance(error, CREDENTIALS):
        return UsageError(f"{action}: {error}; set AWS credentials")
    if isinstance(error, MISUSE):
        return UsageError(f"{action}: {error}".replace("\n", " "))
    what = f"an answer without {error}" if isinstance(error, KeyError) else error
    return TransientError(f"{action}: {what}; try again", cause=CAUSE)


def _refusal(error: ClientError, action: str, hint: str) -> BatchjobError:
    code, status = error_code(error), error_status(error)
    said = error.response.get("Error", {}).get("Message") or "refused"
    message = f"{action}: {code} ({status}): {said}"
    if any(word in code for word in THROTTLED) or status == 429:
        return ThrottledError(f"{message}; try again", cause=CAUSE)
    if status in (401, 403) or any(word in code for word in DENIED):
        return UsageError(
            f"{message}; allow the role {action}, for SubmitJob on the queue's and on the job definitions' ARNs"
        )
    if status >= 500 or status < 400:
        return TransientError(f"{message}; try again", cause=CAUSE)
    return UsageError(f"{message}; {hint}")
