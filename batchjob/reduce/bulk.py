"""One bulk body into the index: what landed, what is sent again, what OpenSearch refuses for good."""

import gzip
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import orjson
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from batchjob.errors import BodyTooLargeError, MachineError, TransientError, UsageError
from batchjob.ports import BulkItem, BulkLoad

RETRY_SECONDS = 120.0
"""How long one body is sent again before the reducer gives the whole attempt up (exit 75)."""
LONGEST_PAUSE_SECONDS = 20.0
VERSION_CONFLICT = 409
"""Under `external_gte`: a later observation is there already, which is as good as landed."""
DOCUMENTS_OWN_FAULTS = frozenset(
    (
        "document_parsing_exception",
        "mapper_parsing_exception",
        "parsing_exception",
        "parse_exception",
        "strict_dynamic_mapping_exception",
    )
)
"""Errors of status 400 that are a document's own. A closed index or an alias without a write index is 400 too."""
IMMENSE_TERM = "immense term"
"""In the reason of an illegal_argument_exception: Lucene's limit of 32,766 bytes a term."""
REQUEST_TOO_LARGE = 413


@dataclass(frozen=True, slots=True)
class Operation:
    """An action line and its document, as they stand in the body."""

    action: bytes
    document: bytes

    @property
    def doc_id(self) -> str:
        return str(orjson.loads(self.action)["index"]["_id"])


@dataclass(frozen=True, slots=True)
class Rejection:
    """A document that OpenSearch refuses for good, with its cause."""

    operation: Operation
    item: BulkItem

    def line(self) -> bytes:
        return orjson.dumps(
            {
                "doc_id": self.operation.doc_id,
                "type": self.item.error_type,
                "reason": self.item.reason,
                "document": orjson.loads(self.operation.document),
            }
        )


@dataclass(slots=True)
class Delivery:
    """A body on its way: `remaining` operations have neither landed nor been refused (None: all of `body`)."""

    body: bytes
    remaining: list[Operation] | None = None
    rejections: list[Rejection] = field(default_factory=list)
    requests: int = 0
    retries: int = 0


def split_operations(body: bytes) -> list[Operation]:
    """The operations of a gzip-compressed body."""
    lines = gzip.decompress(body).split(b"\n")
    return [Operation(*pair) for pair in zip(lines[0::2], lines[1::2], strict=False)]


def join_operations(operations: Iterable[Operation]) -> bytes:
    return gzip.compress(b"".join(o.action + b"\n" + o.document + b"\n" for o in operations), 1, mtime=0)


def deliver(index: BulkLoad, alias: str, body: bytes) -> Delivery:
    """Sends a body until every operation has landed or is refused for good.

    Retries with full jitter (tenacity's wait_random_exponential) for RETRY_SECONDS in all.
    Raises TransientError, MachineError or UsageError with nothing decided about the rest.
    """
    delivery = Delivery(body)
    for attempt in Retrying(
        retry=retry_if_exception(lambda e: isinstance(e, TransientError) and not isinstance(e, MachineError)),
        wait=wait_random_exponential(multiplier=0.5, max=LONGEST_PAUSE_SECONDS),
        stop=stop_after_delay(RETRY_SECONDS),
        reraise=True,
    ):
        with attempt:
            delivery.retries = attempt.retry_state.attempt_number - 1
            _send(index, alias, delivery)
    return delivery


def _send(index: BulkLoad, alias: str, delivery: Delivery) -> None:
    body = delivery.body if delivery.remaining is None else join_operations(delivery.remaining)
    answer = _ask(index, alias, body, delivery)
    if answer is None:
        delivery.remaining = []
        return
    operations = split_operations(body)
    if len(operations) != len(answer):
        raise TransientError(
            f"OpenSearch answered for {len(answer)} of {len(operations)} operations", cause="index_answer"
        )
    delivery.remaining = _sort(operations, answer, alias, delivery.rejections)
    if delivery.remaining:
        raise TransientError(
            f"OpenSearch is busy: {len(delivery.remaining)} of {len(operations)} documents were turned away",
            cause="index_busy",
        )


def _ask(index: BulkLoad, alias: str, body: bytes, delivery: Delivery) -> Sequence[BulkItem] | None:
    """The answer to a body; one that is too large is sent in halves, and what is too large alone is refused."""
    delivery.requests += 1
    try:
        return index.bulk(alias, body)
    except BodyTooLargeError as error:
        operations = split_operations(body)
        if len(operations) == 1:
            return [BulkItem(REQUEST_TOO_LARGE, "request_too_large", str(error))]
        middle = len(operations) // 2
        halves = (join_operations(operations[:middle]), join_operations(operations[middle:]))
        answers = [_ask(index, alias, half, delivery) for half in halves]
        sizes = (middle, len(operations) - middle)
        return [
            item
            for answer, size in zip(answers, sizes, strict=True)
            for item in (answer if answer is not None else [BulkItem(200)] * size)
        ]


def _sort(
    operations: Sequence[Operation], answer: Sequence[BulkItem], alias: str, rejections: list[Rejection]
) -> list[Operation]:
    """What to send again. Only a document's own 400 is a rejection (invariant 9)."""
    _stop_at_machine_failures(answer, alias)
    again = []
    for operation, item in zip(operations, answer, strict=True):
        if _is_busy(item.status):
            again.append(operation)
        elif _is_rejection(item):
            rejections.append(Rejection(operation, item))
    return again


def _is_rejection(item: BulkItem) -> bool:
    own = item.error_type in DOCUMENTS_OWN_FAULTS or IMMENSE_TERM in item.reason
    return item.status == REQUEST_TOO_LARGE or (item.status == 400 and own)


def _is_busy(status: int) -> bool:
    return status == 429 or status >= 500


def _stop_at_machine_failures(answer: Sequence[BulkItem], alias: str) -> None:
    for item in answer:
        landed = 200 <= item.status < 300 or item.status == VERSION_CONFLICT
        if landed or _is_rejection(item) or _is_busy(item.status):
            continue
        if item.status == 404:
            raise UsageError(
                f"OpenSearch has no alias {alias!r} any more ({item.reason}): was the index deleted?"
            )
        raise MachineError(
            f"OpenSearch refuses to write to {alias!r} ({item.status} {item.error_type}: {item.reason}): lift the "
            "block or give the role its permission, then reduce again",
            cause="index_refuses",
        )
