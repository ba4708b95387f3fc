"""Every body of a run into the index, a few at a time, with the checkpoint behind it."""

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import orjson

from batchjob import layout
from batchjob.errors import TooManyFailedError
from batchjob.ports import BulkLoad, Get, Put, ReadDocuments, read_or_none
from batchjob.reduce.bulk import Delivery, Rejection, Sender, deliver, join_operations, split_operations
from batchjob.reduce.checkpoint import CheckpointFile
from batchjob.reduce.gate import Gate
from batchjob.reduce.limit import MOST
from batchjob.reduce.receipts import Item, read_output
from batchjob.reduce.retrying import Patience

REJECTIONS_ALLOWED = 100
REJECTION_SHARE_ALLOWED = 0.01


class LoadStore(Get, Put, Protocol):
    """The verbs for reading bodies and writing what was refused."""


class LoadIndex(BulkLoad, ReadDocuments, Protocol):
    """The verbs for loading, and for asking what is there already."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run goes: written through the alias, read back from the index behind it.

    `retry_seconds`: how long a request is sent again without progress.
    """

    run_id: str
    rows: int
    alias: str
    index: str
    retry_seconds: float


@dataclass(frozen=True, slots=True)
class Landed:
    """A body of which every document has landed, was refused for good, or was kept as it was."""

    item: Item
    requests: int
    retries: int
    rejections: Sequence[Rejection]
    kept: int


class Observer(Protocol):
    """Told of every body as it lands, with how many there are."""

    def body_landed(self, landed: Landed, total: int) -> None: ...


def load_items(
    target: Target,
    items: Sequence[Item],
    store: LoadStore,
    index: LoadIndex,
    checkpoint: CheckpointFile,
    observer: Observer,
) -> None:
    """Loads what the checkpoint lacks. Raises TooManyFailedError, FencedError, TransientError, UsageError."""
    waiting = iter([item for item in items if not checkpoint.has(item.number)])
    rejected = _rejected_before(store, target.run_id, items, checkpoint)
    gate = Gate()
    sender = Sender(index, target.alias, gate, Patience(target.retry_seconds, gate.stopped))
    pool = ThreadPoolExecutor(MOST, thread_name_prefix="bulk")

    def start(count: int) -> set[Future[Landed]]:
        return {
            pool.submit(_load_item, target, item, store, index, sender) for item in islice(waiting, count)
        }

    try:
        running = start(MOST)
        while running:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            landed = [future.result() for future in finished]
            rejected += sum(len(body.rejections) for body in landed)
            _check_rejections(rejected, target.rows, landed)
            _acknowledge(target, landed, store, checkpoint)
            for body in landed:
                observer.body_landed(body, len(items))
            running |= start(len(finished))
    finally:
        gate.stop()
        pool.shutdown(cancel_futures=True)


def _rejected_before(store: Get, run_id: str, items: Sequence[Item], checkpoint: CheckpointFile) -> int:
    marked = set(checkpoint.state.marked)
    return sum(len(refused(store, run_id, item)) for item in items if item.number in marked)


def _check_rejections(rejected: int, rows: int, landed: Sequence[Landed]) -> None:
    """Before any of these is written: what is wrong as a whole is no document's own fault (invariant 9)."""
    limit = max(REJECTIONS_ALLOWED, int(rows * REJECTION_SHARE_ALLOWED))
    if rejected > limit:
        example = next(rejection for body in landed for rejection in body.rejections)
        raise TooManyFailedError(
            f"OpenSearch refused {rejected} documents of {rows}, more than {limit}: the mapping or the documents are "
            f"wrong as a whole, for example {example.why}"
        )


def _acknowledge(target: Target, landed: Sequence[Landed], store: Put, checkpoint: CheckpointFile) -> None:
    """What was refused is written before the checkpoint passes it."""
    for body in landed:
        if body.rejections:
            lines = b"\n".join(rejection.line() for rejection in body.rejections)
            store.put(layout.rejected(target.run_id, body.item.shard, body.item.part), lines + b"\n")
    checkpoint.advance(
        (body.item.number for body in landed),
        (body.item.number for body in landed if body.rejections or body.kept),
        sum(body.requests for body in landed),
        sum(body.retries for body in landed),
    )


def _load_item(target: Target, item: Item, store: LoadStore, index: LoadIndex, sender: Sender) -> Landed:
    body = read_output(store, item.output)
    kept: list[str] = []
    if item.failures:
        data = body
        body, kept = sender.patience.call(lambda: _without_good_documents(index, target.index, data))
    delivery = deliver(sender, body) if body else Delivery([])
    if kept:
        store.put(layout.kept(target.run_id, item.shard, item.part), orjson.dumps(kept))
    return Landed(item, delivery.requests, delivery.retries, delivery.rejections, len(kept))


def _without_good_documents(index: ReadDocuments, name: str, body: bytes) -> tuple[bytes, list[str]]:
    """Leaves out failures of which the index holds a good document of the same ETag (invariant 5).

    A document that was given up unseen has no ETag: it says nothing against any good one.
    """
    operations = split_operations(body)
    stored = index.documents(name, [o.doc_id for o in operations], ["etag", "extraction.status"])
    kept = []
    loaded = []
    for operation in operations:
        found = stored.get(operation.doc_id)
        source = found.source if found else {}
        good = source.get("extraction", {}).get("status") in ("ok", "partial")
        if good and orjson.loads(operation.document).get("etag") in (None, source.get("etag")):
            kept.append(operation.doc_id)
        else:
            loaded.append(operation)
    if not kept:
        return body, kept
    return (join_operations(loaded) if loaded else b""), kept


def refused(store: Get, run_id: str, item: Item) -> dict[str, str]:
    """The documents of a body that OpenSearch refused for good, and why."""
    data = read_or_none(store, layout.rejected(run_id, item.shard, item.part)) or b""
    lines = map(orjson.loads, data.splitlines())
    return {str(line["doc_id"]): f"{line['type']}: {line['reason']}" for line in lines}


def kept(store: Get, run_id: str, item: Item) -> list[str]:
    """The documents of a body that stay as the index had them, since their new version cannot be read."""
    if not item.failures:
        return []
    return [
        str(name)
        for name in orjson.loads(read_or_none(store, layout.kept(run_id, item.shard, item.part)) or b"[]")
    ]
