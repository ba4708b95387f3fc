"""One bulk body into the index: what landed, what is sent again, what OpenSearch refuses for good."""

import gzip
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from batchjob.errors import BodyTooLargeError, MachineError, TransientError, UsageError
from batchjob.ports import BulkItem, BulkLoad
from batchjob.reduce.gate import Gate
from batchjob.reduce.retrying import Patience

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
BLOCK = "cluster_block_exception"
LONE_REFUSALS = 3
"""How often a document alone must be refused as too large: it would be lost to a network's single false answer."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An action line and its document, as they stand in the body."""

    action: bytes
    document: bytes

    @property
    def doc_id(self) -> str:
        return str(orjson.loads(self.action)["index"]["_id"])

    @property
    def version(self) -> int:
        return int(orjson.loads(self.action)["index"]["version"])


@dataclass(frozen=True, slots=True)
class Rejection:
    """A document that OpenSearch refuses for good, with its cause."""

    operation: Operation
    item: BulkItem

    @property
    def why(self) -> str:
        return f"{self.item.error_type}: {_encodable(self.item.reason)}"

    def line(self) -> bytes:
        """A line of rejected/; a document that is no JSON is told as text."""
        told = {
            "doc_id": self.operation.doc_id,
            "type": self.item.error_type,
            "reason": _encodable(self.item.reason),
        }
        return orjson.dumps(told | _document(self.operation.document))


def _document(line: bytes) -> dict[str, Any]:
    try:
        return {"document": orjson.loads(line)}
    except ValueError:
        return {"text": line.decode("utf-8", "replace")}


def _encodable(text: str) -> str:
    """Without lone surrogates, which a server may send back as they were sent to it."""
    return text.encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class Sender:
    """To whom bodies go, and what all that are on their way have in common."""

    index: BulkLoad
    alias: str
    gate: Gate = field(default_factory=Gate)
    patience: Patience = field(default_factory=Patience)


@dataclass(slots=True)
class Delivery:
    """A body on its way: what is in `pending` (bodies, too) has neither landed nor been refused."""

    pending: list[bytes]
    rejections: list[Rejection] = field(default_factory=list)
    requests: int = 0
    retries: int = 0
    progressed_at: float = field(default_factory=time.monotonic)
    refusals: int = 0

    def settle(self, rest: Sequence[bytes]) -> None:
        """The first pending body came to this: some of it landed, was refused, or goes in smaller bodies."""
        self.pending[0:1] = rest
        self.refusals = 0
        self.progressed_at = time.monotonic()


def split_operations(body: bytes) -> list[Operation]:
    """The operations of a gzip-compressed body."""
    lines = gzip.decompress(body).split(b"\n")
    return [Operation(*pair) for pair in zip(lines[0::2], lines[1::2], strict=False)]


def join_operations(operations: Iterable[Operation]) -> bytes:
    return gzip.compress(b"".join(o.action + b"\n" + o.document + b"\n" for o in operations), 1, mtime=0)


def raw_size(body: bytes) -> int:
    """Bytes of NDJSON in a gzip-compressed body below 4 GiB (ISIZE, RFC 1952, section 2.3.1)."""
    return int.from_bytes(body[-4:], "little")


def deliver(sender: Sender, body: bytes) -> Delivery:
    """Sends a body until every operation has landed or is refused for good.

    Raises TransientError (the time without progress is used up), MachineError, UsageError or PermanentError with
    nothing decided about the rest.
    """
    delivery = Delivery([body])
    for attempt in sender.patience.attempts(lambda: delivery.progressed_at):
        with attempt:
            delivery.retries = attempt.retry_state.attempt_number - 1
            while delivery.pending:
                _send_first(sender, delivery)
    return delivery


def _send_first(sender: Sender, delivery: Delivery) -> None:
    body = delivery.pending[0]
    size = raw_size(body)
    if sender.gate.is_too_large(size) and _halve(sender.gate, delivery):
        return
    delivery.requests += 1
    try:
        with sender.gate.turn(size) as started:
            answer = sender.index.bulk(sender.alias, body)
    except BodyTooLargeError as error:
        _make_smaller(sender.gate, delivery, size, error)
        return
    if answer is None:
        delivery.settle([])
        return
    try:
        with sender.gate.unpacking:
            _read_answer(sender.alias, delivery, split_operations(body), answer)
    except TransientError:
        sender.gate.busy(started)
        raise


def _halve(gate: Gate, delivery: Delivery) -> bool:
    """Puts two bodies in place of the first; False where that is a single document."""
    with gate.unpacking:
        operations = split_operations(delivery.pending[0])
        middle = len(operations) // 2
        if middle:
            delivery.settle([join_operations(operations[:middle]), join_operations(operations[middle:])])
        return bool(middle)


def _make_smaller(gate: Gate, delivery: Delivery, size: int, error: BodyTooLargeError) -> None:
    """A body that is too large goes in halves, and what is too large alone is refused. Raises TransientError."""
    if _halve(gate, delivery):
        gate.refused(size)
        return
    delivery.refusals += 1
    if delivery.refusals < LONE_REFUSALS:
        raise TransientError(str(error), cause="index_busy")
    item = BulkItem(REQUEST_TOO_LARGE, "request_too_large", str(error))
    delivery.rejections += [Rejection(one, item) for one in split_operations(delivery.pending[0])]
    delivery.settle([])


def _read_answer(
    alias: str, delivery: Delivery, operations: Sequence[Operation], answer: Sequence[BulkItem]
) -> None:
    """Keeps what was turned away, and raises TransientError where there is any."""
    if len(operations) != len(answer):
        raise TransientError(
            f"OpenSearch answered for {len(answer)} of {len(operations)} operations", cause="index_answer"
        )
    rest = _sort(operations, answer, alias, delivery.rejections)
    if len(rest) < len(operations):
        delivery.settle([join_operations(rest)] if rest else [])
    if rest:
        raise TransientError(
            f"OpenSearch is busy: {len(rest)} of {len(operations)} documents were turned away "
            f"({_reason(answer)})",
            cause="index_busy",
        )


def _reason(answer: Sequence[BulkItem]) -> str:
    first = next(item for item in answer if _is_busy(item.status))
    return f"{first.status} {first.error_type}: {_encodable(first.reason)}"


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


def _is_block(item: BulkItem) -> bool:
    """A full disk's is 429, others are 403; 503 is a cluster that is not up yet."""
    return item.error_type == BLOCK and item.status in (403, 429)


def _is_busy(status: int) -> bool:
    return status == 429 or status >= 500


def _stop_at_machine_failures(answer: Sequence[BulkItem], alias: str) -> None:
    for item in answer:
        landed = 200 <= item.status < 300 or item.status == VERSION_CONFLICT
        if _is_block(item):
            raise MachineError(
                f"a block keeps OpenSearch from writing to {alias!r} ({item.status}: {item.reason}): where the disk is "
                "full, free some room or add nodes; else lift the block; then reduce again",
                cause="index_blocked",
            )
        if landed or _is_rejection(item) or _is_busy(item.status):
            continue
        if item.status == 404:
            raise UsageError(
                f"OpenSearch has no alias {alias!r} any more ({item.reason}): was the index deleted?"
            )
        raise MachineError(
            f"OpenSearch refuses to write to {alias!r} ({item.status} {item.error_type}: {item.reason}): give the "
            "role its permission, or open the index, then reduce again",
            cause="index_refuses",
        )
