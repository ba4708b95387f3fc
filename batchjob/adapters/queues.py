"""From the URL that people write to the queue behind it."""

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from batchjob.adapters.local_queue import LocalQueue
from batchjob.errors import UsageError
from batchjob.ports import Clock, DeadLetters


def open_queue(url: str, clock: Clock) -> DeadLetters:
    """The queue at an SQS queue's URL, or at `file:///path` on this machine. Raises UsageError."""
    if url.startswith("file:///"):
        return LocalQueue(Path(url2pathname(url.removeprefix("file://"))), clock)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/").count("/") < 1:
        raise UsageError(
            f"{url!r} is no queue's URL; write https://sqs.REGION.amazonaws.com/ACCOUNT/NAME or file:///path"
        )
    from batchjob.adapters.sqs import SqsQueue, sqs_client

    return SqsQueue(sqs_client(f"{parts.scheme}://{parts.netloc}"), url)
