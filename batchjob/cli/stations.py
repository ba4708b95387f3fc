"""`process` and `reduce`: the jobs that Batch runs, and that people may run by hand."""

import os
from dataclasses import asdict
from typing import Any

import click
import pyarrow as pa
import structlog

from batchjob.cli import options, services
from batchjob.cli.dictionary import read_dictionary
from batchjob.cli.output import log, print_result, progress_bar
from batchjob.drain.ledger import check_committed
from batchjob.errors import TooManyFailedError, UsageError
from batchjob.ocr.installed import check as check_ocr
from batchjob.process.capacity import capacity
from batchjob.process.shard import ShardJob, process_shard
from batchjob.records import FinalState, Outcome, Receipt, RunInfo, Summary
from batchjob.reduce.load import Landed
from batchjob.reduce.run import ReduceJob, reduce_run
from batchjob.runs import read_receipt, read_run, read_summary
from batchjob.settings import Settings, load_settings

SHARD_VARIABLE = "AWS_BATCH_JOB_ARRAY_INDEX"


class Documents:
    """A log line a document, and a step of the bar."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task = bar.add_task("processing", total=None)

    def shard_started(self, rows: int) -> None:
        self._bar.update(self._task, total=rows)

    def row_done(self, outcome: Outcome) -> None:
        self._bar.advance(self._task)
        told = {name: value for name, value in asdict(outcome).items() if value not in (None, 0, 0.0, False)}
        log().info("document", document=told.pop("key"), **told)


class Bodies:
    """A log line a bulk body, and a step of the bar."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task = bar.add_task("loading", total=None)

    def body_landed(self, landed: Landed, total: int) -> None:
        self._bar.update(self._task, total=total, advance=1)
        log().info(
            "body",
            shard=landed.item.shard,
            part=landed.item.part,
            requests=landed.requests,
            rejected=len(landed.rejections),
            kept=landed.kept,
        )


@click.command()
@click.argument("run")
@click.option(
    "--shard", type=click.IntRange(min=0), help=f"Which shard; in an array job {SHARD_VARIABLE} says it."
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Documents at once (BATCHJOB_WORKERS; default: by CPUs and memory).",
)
@options.work
@options.as_json
def process(run: str, shard: int | None, workers: int | None, work: str | None, as_json: bool) -> None:
    """Process one shard of RUN: download, extract, write bulk parts, outcomes and the receipt.

    A shard that has its receipt is left as it is. Exit code 75 means: run it again.
    """
    settings = load_settings(work=work, workers=workers)
    check_ocr(settings)
    store = services.work_store(settings)
    info = read_run(store, run)
    number = _shard(shard, info)
    structlog.contextvars.bind_contextvars(run=run, shard=number, attempt=_attempt(), phase="process")
    allowed = capacity(settings.workers)
    log().info("workers", workers=allowed.workers, because=allowed.because)
    job = ShardJob(info, number, services.new_writer(), allowed.workers)
    with progress_bar() as bar:
        receipt = process_shard(job, store, services.surroundings(settings, run, store), Documents(bar))
    if receipt is None:
        log().info("shard has its receipt already")
        receipt = read_receipt(store, run, number)
    if receipt is not None:
        _show_shard(receipt, as_json)


def _attempt() -> int:
    return int(os.environ.get("AWS_BATCH_JOB_ATTEMPT", "1"))


def _shard(given: int | None, info: RunInfo) -> int:
    """The shard by option, by Batch's variable, or the only one there is. Raises UsageError."""
    index = os.environ.get(SHARD_VARIABLE)
    if given is not None:
        return given
    if index is not None and index.isdigit():
        return int(index)
    if info.shards == 1:
        return 0
    raise UsageError(f"run {info.run_id} has {info.shards} shards: say which with --shard N")


def _show_shard(receipt: Receipt, as_json: bool) -> None:
    counts = receipt.counts
    values = {
        "shard": receipt.shard,
        "rows": counts.rows,
        "documents": counts.documents,
        "deletions": counts.deletions,
        "failures": counts.failures,
        "requeued": counts.requeued,
        "skipped": counts.skipped,
        "pages": counts.pages,
        "ocr_pages": counts.ocr_pages,
        "cache_hits": counts.cache_hits,
        "bytes": counts.bytes,
        "seconds": receipt.seconds,
    }
    print_result(f"shard {receipt.shard}", values, as_json)


@click.command()
@click.argument("run")
@click.option(
    "--allow-deletes", is_flag=True, help="Load a run that deletes more than 1,000 documents and 5 %."
)
@options.work
@options.opensearch
@options.as_json
def reduce(
    run: str, allow_deletes: bool, work: str | None, opensearch_url: str | None, as_json: bool
) -> None:
    """Load RUN into OpenSearch and finish it.

    Goes on from the checkpoint of an earlier attempt. A finished run is left as it is.
    """
    settings = load_settings(work=work, opensearch_url=opensearch_url)
    store = services.work_store(settings)
    info = read_run(store, run)
    if read_summary(store, run) is None:
        check_committed(store, info)
    structlog.contextvars.bind_contextvars(run=run, attempt=_attempt(), phase="reduce")
    pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own keeps what was freed: a third of the peak
    index = services.open_index(settings)
    index.version()
    with progress_bar() as bar:
        job = ReduceJob(
            info,
            services.new_writer(),
            allow_deletes,
            settings.scratch,
            settings.opensearch_retry_seconds,
            read_dictionary(settings),
        )
        summary = reduce_run(job, store, index, services.CLOCK, Bodies(bar))
    _show_reduce(summary, as_json)
    check_failure_limit(summary, settings)


def _show_reduce(summary: Summary, as_json: bool) -> None:
    values = {
        "documents": summary.states[FinalState.INDEXED],
        "deletions": summary.states[FinalState.DELETED],
        **{str(state): count for state, count in summary.states.items()},
        "requests": summary.requests,
        "retries": summary.retries,
        "bytes": summary.bytes,
        "seconds": summary.seconds,
    }
    print_result(f"run {summary.run_id}", values, as_json)


def check_failure_limit(summary: Summary, settings: Settings) -> None:
    """Raises TooManyFailedError where more of a finished run failed than the settings allow."""
    failed = summary.states[FinalState.FAILED] + summary.states[FinalState.REJECTED]
    if failed > summary.rows * settings.failure_limit:
        raise TooManyFailedError(
            f"{failed} of {summary.rows} documents failed, more than BATCHJOB_FAILURE_LIMIT={settings.failure_limit:g} "
            f"allows; the run is loaded, `batchjob status {summary.run_id}` shows why they failed"
        )
