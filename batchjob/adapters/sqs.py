"""An SQS queue as a queue of events, or of dead letters."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from batchjob.adapters.sqs_errors import translated
from batchjob.errors import UsageError
from batchjob.ports import Message, Move, QueueCounts

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

ATTEMPTS = 4
CONNECT_SECONDS = 5
READ_SECONDS = 60
"""Longer than the longest poll, of 20 s."""
CONNECTIONS = 40
AWS_HOST = re.compile(r"(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.com(?:\.cn)?")
"""Hosts of queue URLs (SQS Developer Guide, "Amazon SQS queue and message identifiers")."""
MOVES = {"RUNNING": "running", "CANCELLING": "running", "COMPLETED": "done"}


@lru_cache
def sqs_client(host: str) -> "SQSClient":
    """A client for the service behind a queue's URL, `host` being all before its path; credentials as AWS tools do."""
    aws = AWS_HOST.fullmatch(urlsplit(host).hostname or "")
    config = Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=CONNECTIONS,
    )
    try:
        session = boto3.session.Session()
        region = (aws[1] or aws[2]) if aws else session.region_name or "us-east-1"
        return session.client("sqs", region_name=region, endpoint_url=None if aws else host, config=config)
    except (BotoCoreError, ValueError) as error:
        raise UsageError(f"SQS client for {host}: {error}; check the queue's URL and the profile") from error


class SqsQueue:
    """Implements ports.DeadLetters. botocore asks again where SQS or the network fails."""

    def __init__(self, client: "SQSClient", url: str) -> None:
        self.url = url
        self._client = client

    def receive(self, *, limit: int, wait_seconds: int, visibility_seconds: int) -> Sequence[Message]:
        with translated(self.url):
            answer = self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=limit,
                WaitTimeSeconds=wait_seconds,
                VisibilityTimeout=visibility_seconds,
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
                MessageAttributeNames=["All"],
            )
            return [_message(found) for found in answer.get("Messages", [])]

    def delete(self, receipts: Mapping[str, str]) -> Mapping[str, str]:
        entries = [{"Id": str(n), "ReceiptHandle": receipt} for n, receipt in enumerate(receipts.values())]
        with translated(self.url):
            answer = self._client.delete_message_batch(QueueUrl=self.url, Entries=entries)  # type: ignore[arg-type]
            return _refused([*receipts], answer)

    def extend(self, receipts: Mapping[str, str], seconds: int) -> Mapping[str, str]:
        entries = [
            {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
            for number, receipt in enumerate(receipts.values())
        ]
        with translated(self.url):
            answer = self._client.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)  # type: ignore[arg-type]
            return _refused([*receipts], answer)

    def counts(self) -> QueueCounts:
        with translated(self.url):
            answer = self._client.get_queue_attributes(
                QueueUrl=self.url,
                AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
            )["Attributes"]
            return QueueCounts(
                int(answer["ApproximateNumberOfMessages"]),
                int(answer["ApproximateNumberOfMessagesNotVisible"]),
            )

    def send(self, messages: Sequence[Message]) -> Mapping[str, str]:
        """One by one: together, messages of 1 MiB would be more than one call takes."""
        refused = {}
        for message in messages:
            attributes = {
                name: {"DataType": "String", "StringValue": value}
                for name, value in message.attributes.items()
            }
            try:
                with translated(self.url):
                    self._client.send_message(
                        QueueUrl=self.url,
                        MessageBody=message.body,
                        MessageAttributes=attributes,  # type: ignore[arg-type]
                    )["MessageId"]  # an answer that was cut short has none
            except UsageError as error:
                refused[message.id] = str(error)
        return refused

    def can_move(self) -> bool:
        with translated(self.url):
            return bool(self._client.list_dead_letter_source_queues(QueueUrl=self.url).get("queueUrls"))

    def start_move(self, target: str, rate: int | None) -> None:
        with translated(self.url):
            limit: Any = {} if rate is None else {"MaxNumberOfMessagesPerSecond": min(rate, 500)}
            self._client.start_message_move_task(
                SourceArn=self._arn, DestinationArn=SqsQueue(self._client, target)._arn, **limit
            )

    def move(self) -> Move | None:
        with translated(self.url):
            tasks = self._client.list_message_move_tasks(SourceArn=self._arn, MaxResults=1)["Results"]
        if not tasks:
            return None
        task = tasks[0]
        return Move(
            MOVES.get(task.get("Status", ""), "failed"),  # type: ignore[arg-type]
            task.get("ApproximateNumberOfMessagesMoved", 0),
            task.get("FailureReason", ""),
        )

    @cached_property
    def _arn(self) -> str:
        with translated(self.url):
            answer = self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
            return answer["Attributes"]["QueueArn"]


def _message(found: Any) -> Message:
    told = found.get("Attributes", {})
    sent = told.get("SentTimestamp")
    return Message(
        found["MessageId"],
        found["Body"],
        found["ReceiptHandle"],
        int(told.get("ApproximateReceiveCount", 1)),
        int(sent) if sent is not None else None,
        {
            name: attribute["StringValue"]
            for name, attribute in found.get("MessageAttributes", {}).items()
            if "StringValue" in attribute
        },
    )


def _refused(ids: Sequence[str], answer: Any) -> dict[str, str]:
    """botocore takes an answer that was cut short for an empty one: so what is not told to be done is not done."""
    done = {entry["Id"] for entry in answer.get("Successful", [])}
    failed = {e["Id"]: f"{e['Code']}: {e.get('Message', '')}" for e in answer.get("Failed", [])}
    return {
        message: failed.get(str(number), "the answer says nothing of it")
        for number, message in enumerate(ids)
        if str(number) not in done
    }
