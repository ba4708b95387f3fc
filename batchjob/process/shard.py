"""A shard's main flow: frozen manifest rows in, bulk parts and outcomes out, receipt last."""

import shutil
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from batchjob import layout
from batchjob.errors import AlreadyExistsError, TransientError, UsageError
from batchjob.ports import Store, read_or_none
from batchjob.process.ahead import ReadAhead
from batchjob.process.parts import PartWriter, output
from batchjob.process.readers import Readers
from batchjob.process.reconcile import Processed, Surroundings, process_row
from batchjob.records import (
    DEPENDENCY_CAUSES,
    FinalState,
    ManifestRow,
    Outcome,
    Receipt,
    RunInfo,
    ShardCounts,
    manifest_from_parquet,
    outcomes_to_parquet,
    run_fingerprint,
)
from batchjob.scratch import scratch_folder

LEAST_AHEAD = 4
"""Rows whose objects are fetched while the workers are busy; at least as many as there are workers."""
HELD_BYTES = 32 * 1024 * 1024
HELD_ROWS = 1000
"""Results that wait for a slow row before them, in bytes of bulk lines and in rows; then it is waited for."""
OUTAGE_WINDOW = 50
OUTAGE_MINIMUM = 8
"""Fewer failures than these say nothing about a dependency while there are more rows to come."""


class Observer(Protocol):
    """Told of the shard's size, and of every row as it ends."""

    def shard_started(self, rows: int) -> None: ...

    def row_done(self, outcome: Outcome) -> None: ...


@dataclass(frozen=True, slots=True)
class ShardJob:
    """Which shard this process works on, and under which writer's name its outputs go."""

    run: RunInfo
    shard: int
    writer: str
    workers: int


class OutageWatch:
    """Stops the shard when more than half of the last 50 rows failed for one transient cause (invariant 5)."""

    def __init__(self) -> None:
        self._recent: deque[str] = deque(maxlen=OUTAGE_WINDOW)
        self._messages: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    def saw(self, cause: str, message: str) -> None:
        """Raises TransientError when `cause` (empty: none) looks like an outage."""
        self._recent.append(cause)
        self._counts[cause] += 1
        self._messages[cause] = message
        failures = self._recent.count(cause)
        if cause and failures >= OUTAGE_MINIMUM and failures * 2 > len(self._recent):
            self._stop(cause, failures, len(self._recent))

    def check_whole(self) -> None:
        """The same at the shard's end, where few rows must do. Raises TransientError."""
        rows = self._counts.total()
        for cause, failures in self._counts.items():
            every_row = rows > 1 and failures == rows
            if cause and (every_row or (cause in DEPENDENCY_CAUSES and failures * 2 > rows)):
                self._stop(cause, failures, rows)

    def _stop(self, cause: str, failures: int, rows: int) -> None:
        raise TransientError(
            f"{failures} of {rows} documents failed alike, so no document is blamed: {self._messages[cause]}",
            cause=cause,
        )


def process_shard(job: ShardJob, store: Store, around: Surroundings, observer: Observer) -> Receipt | None:
    """Processes one shard and creates its receipt; None where another writer's receipt is there already.

    Raises UsageError (no such shard, other settings than the run's), TransientError (try again).
    """
    _check_fingerprint(job.run, around)
    if read_or_none(store, layout.receipt(job.run.run_id, job.shard)) is not None:
        return None
    started = time.monotonic()
    rows = _read_rows(store, job)
    observer.shard_started(len(rows))
    writers = {
        name: PartWriter(store, job.run.run_id, job.shard, job.writer, name) for name in ("part", "failures")
    }
    outcomes: list[Outcome] = []
    tally = ShardCounts(rows=len(rows))
    watch = OutageWatch()
    with (
        scratch_folder(around.settings.scratch) as scratch,
        Readers(around.settings, job.workers, scratch) as readers,
        closing(_in_order(rows, around, scratch, readers, job.workers)) as results,
    ):
        for done in results:
            watch.saw(done.cause, done.outcome.message or "")
            outcomes.append(_file(done, writers))
            tally = _count(tally, done)
            observer.row_done(outcomes[-1])
        watch.check_whole()
    for writer in writers.values():
        writer.flush()
    return _publish(job, store, writers, outcomes, tally, time.monotonic() - started)


def _check_fingerprint(run: RunInfo, around: Surroundings) -> None:
    fingerprint = run_fingerprint(around.fingerprint, around.embedder.identity if around.embedder else None)
    if run.fingerprint != fingerprint:
        raise UsageError(
            f"run {run.run_id} was planned under the settings {run.fingerprint}, this process has {fingerprint}: "
            "use the same settings, OCR data and embedder (BATCHJOB_EMBEDDER) everywhere, or start a new run"
        )


def _read_rows(store: Store, job: ShardJob) -> list[ManifestRow]:
    data = read_or_none(store, layout.manifest(job.run.run_id, job.shard))
    if data is None:
        raise UsageError(
            f"run {job.run.run_id} has no shard {job.shard}: its shards are 0 to {job.run.shards - 1}"
        )
    return manifest_from_parquet(data)


def _in_order(
    rows: Iterable[ManifestRow], around: Surroundings, scratch: Path, readers: Readers, workers: int
) -> Generator[Processed]:
    """Results in manifest order, while rows after a slow one go on; the next objects are fetched meanwhile."""
    threads = workers + max(LEAST_AHEAD, workers)
    ahead = ReadAhead(scratch, workers)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="row")
    waiting: deque[Future[Processed]] = deque()
    running: set[Future[Processed]] = set()
    held = 0
    try:
        for number, row in enumerate(rows):
            while len(running) == threads or held > HELD_BYTES or len(waiting) == HELD_ROWS:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                held += sum(len(future.result().lines) for future in done)
                while waiting and waiting[0] not in running:
                    processed = waiting.popleft().result()
                    held -= len(processed.lines)
                    yield processed
            future = pool.submit(_in_own_folder, row, around, scratch / f"{number:08d}", readers, ahead)
            waiting.append(future)
            running.add(future)
        while waiting:
            yield waiting.popleft().result()
    finally:
        ahead.close()
        pool.shutdown(wait=False, cancel_futures=True)


def _in_own_folder(
    row: ManifestRow, around: Surroundings, folder: Path, readers: Readers, ahead: ReadAhead
) -> Processed:
    with ahead.claim() as claim:
        folder.mkdir(mode=0o700)
        try:
            return process_row(row, around, folder, readers, claim)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _file(done: Processed, writers: dict[str, PartWriter]) -> Outcome:
    """Puts a row's lines into its part; failures go apart, since the reducer asks before it loads them."""
    if not done.lines:
        return done.outcome
    writer = writers["failures" if done.outcome.state is FinalState.FAILED else "part"]
    return replace(done.outcome, part=writer.add(done.lines))


COUNTED_AS = {
    FinalState.INDEXED: "documents",
    FinalState.DELETED: "deletions",
    FinalState.FAILED: "failures",
    FinalState.REQUEUED: "requeued",
    FinalState.SKIPPED: "skipped",
}


def _count(tally: ShardCounts, done: Processed) -> ShardCounts:
    name = COUNTED_AS[done.outcome.state]
    return tally.model_copy(
        update={
            name: getattr(tally, name) + 1,
            "pages": tally.pages + done.outcome.pages_read,
            "ocr_pages": tally.ocr_pages + done.outcome.ocr_pages,
            "cache_hits": tally.cache_hits + done.outcome.cached,
            "bytes": tally.bytes + done.bytes_read,
            "embedding_calls": tally.embedding_calls + done.outcome.embedding_calls,
            "embedding_tokens": tally.embedding_tokens
            + (done.outcome.embedding_tokens if done.outcome.embedding_calls else 0),
        }
    )


def _publish(
    job: ShardJob,
    store: Store,
    writers: dict[str, PartWriter],
    outcomes: list[Outcome],
    tally: ShardCounts,
    seconds: float,
) -> Receipt | None:
    """Outcomes, then the receipt that names everything; None where another writer was first (invariant 4)."""
    ended = sum(getattr(tally, name) for name in COUNTED_AS.values())
    if ended != tally.rows or len(outcomes) != tally.rows:
        raise AssertionError(f"shard {job.shard}: {tally.rows} rows, {ended} final states")
    key = layout.outcomes(job.run.run_id, job.shard, job.writer)
    data = outcomes_to_parquet(outcomes)
    store.put(key, data)
    receipt = Receipt(
        shard=job.shard,
        writer=job.writer,
        parts=tuple(writers["part"].outputs),
        failures=tuple(writers["failures"].outputs),
        outcomes=output(key, data),
        counts=tally,
        seconds=round(seconds, 3),
    )
    try:
        store.create_once(layout.receipt(job.run.run_id, job.shard), receipt.to_json())
    except AlreadyExistsError:
        return None
    return receipt
