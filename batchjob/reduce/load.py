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
from batchjob.reduce.bulk import Delivery, Rejection, deliver, join_operations, split_operations
from batchjob.reduce.checkpoint import CheckpointFile
from batchjob.reduce.receipts import Item, read_output

IN_FLIGHT = 4
REJECTIONS_ALLOWED = 100
REJECTION_SHARE_ALLOWED = 0.01


class LoadStore(Get, Put, Protocol):
    """The verbs for reading bodies and writing what was refused."""


class LoadIndex(BulkLoad, ReadDocuments, Protocol):
    """The verbs for loading, and for asking what is there already."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run goes: written through the alias, read back from the index behind it."""

    run_id: str
    rows: int
    alias: str
    index: str


@dataclass(frozen=True, slots=True)
class Landed:
    """A body of which every document has landed, was refused for good, or was kept as it was."""

    item: Item
    requests: int
    retries: int
    rejected: int
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
    rejected = len(rejected_ids(store, target.run_id, items, checkpoint.state.marked))
    pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="bulk")

    def start(count: int) -> set[Future[Landed]]:
        return {pool.submit(_load_item, target, item, store, index) for item in islice(waiting, count)}

    try:
        running = start(IN_FLIGHT * 2)
        while running:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            landed = [future.result() for future in finished]
            rejected += sum(body.rejected for body in landed)
            _check_rejections(rejected, target.rows)
            checkpoint.advance(
                (body.item.number for body in landed),
                (body.item.number for body in landed if body.rejected or body.kept),
                sum(body.requests for body in landed),
                sum(body.retries for body in landed),
            )
            for body in landed:
                observer.body_landed(body, len(items))
            running |= start(len(finished))
    finally:
        pool.shutdown(cancel_futures=True)


def _check_rejections(rejected: int, rows: int) -> None:
    limit = max(REJECTIONS_ALLOWED, int(rows * REJECTION_SHARE_ALLOWED))
    if rejected > limit:
        raise TooManyFailedError(
            f"OpenSearch refused {rejected} documents of {rows}, more than {limit}: the mapping or the documents are "
            "wrong as a whole; see the run's rejected/ folder"
        )


def _load_item(target: Target, item: Item, store: LoadStore, index: LoadIndex) -> Landed:
    body = read_output(store, item.output)
    kept: list[str] = []
    if item.failures:
        body, kept = _without_good_documents(index, target.index, body)
    delivery = deliver(index, target.alias, body) if body else Delivery(body)
    _record_rejections(store, target.run_id, item, delivery.rejections)
    if kept:
        store.put(layout.kept(target.run_id, item.shard, item.part), orjson.dumps(kept))
    return Landed(item, delivery.requests, delivery.retries, len(delivery.rejections), len(kept))


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


def _record_rejections(store: Put, run_id: str, item: Item, rejections: Sequence[Rejection]) -> None:
    if rejections:
        lines = b"\n".join(rejection.line() for rejection in rejections)
        store.put(layout.rejected(run_id, item.shard, item.part), lines + b"\n")


def rejected_ids(store: Get, run_id: str, items: Sequence[Item], marked: Sequence[int]) -> set[str]:
    """The documents that OpenSearch refused for good."""
    return {
        str(orjson.loads(line)["doc_id"])
        for item in items
        if item.number in marked
        for line in (read_or_none(store, layout.rejected(run_id, item.shard, item.part)) or b"").splitlines()
    }


def kept_ids(store: Get, run_id: str, items: Sequence[Item], marked: Sequence[int]) -> set[str]:
    """The documents that stay as the index had them, since their new version cannot be read."""
    return {
        str(doc_id)
        for item in items
        if item.number in marked and item.failures
        for doc_id in orjson.loads(read_or_none(store, layout.kept(run_id, item.shard, item.part)) or b"[]")
    }
