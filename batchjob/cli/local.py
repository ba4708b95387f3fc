"""`local`: the whole pipeline on one machine, against a manifest or a folder."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import click
import orjson
from rich.progress import Progress as RichProgress

from batchjob.adapters import embedded
from batchjob.adapters.opensearch_connection import safe_url
from batchjob.cli import options, services
from batchjob.cli.dictionary import read_dictionary
from batchjob.cli.manifests import read_folder
from batchjob.cli.output import log, notice, print_json, print_problems, print_table, progress_bar
from batchjob.cli.stations import check_failure_limit
from batchjob.drain.commit import Intake, freeze_rows
from batchjob.drain.cost import learn_costs
from batchjob.drain.cut import MAX_SHARDS
from batchjob.drain.freeze import Target
from batchjob.drain.inbox import local_retries, read_segments, remove_segments
from batchjob.errors import TransientError, UsageError
from batchjob.local.jobs import LocalJobs
from batchjob.local.pipeline import LocalRun, run_pipeline, shard_count
from batchjob.local.retry import JobEnd
from batchjob.manifest.read import Manifest, read_manifest
from batchjob.ocr.installed import check as check_ocr
from batchjob.operate.status import RunStore, read_status
from batchjob.ports import Store
from batchjob.process.capacity import capacity
from batchjob.process.fingerprint import extraction_fingerprint
from batchjob.records import FinalState, RunInfo, Summary, manifest_batches
from batchjob.reduce.mapping import ensure_index
from batchjob.runs import read_summary
from batchjob.settings import Settings, load_settings


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@options.work
@options.index
@options.opensearch
@click.option("--keep", is_flag=True, help="Leave the embedded search server running, for `batchjob search`.")
@click.option("--shards", type=click.IntRange(1, 10_000), help="Shards to cut into (default: two a CPU).")
@click.option("--parallel", type=click.IntRange(min=1), help="Shards in work at once (default: the CPUs).")
@options.as_json
def local(
    target: Path,
    work: str | None,
    index: str | None,
    opensearch_url: str | None,
    keep: bool,
    shards: int | None,
    parallel: int | None,
    as_json: bool,
) -> None:
    """Index TARGET, a manifest (CSV, Parquet) or a folder, on this machine.

    Without --opensearch an embedded in-memory search server is started. What was extracted before is taken from the
    cache in the work folder, so running again is quick, and a run that was interrupted goes on from there.
    """
    started = time.monotonic()
    settings = load_settings(work=work, index=index, opensearch_url=opensearch_url)
    check_ocr(settings)
    store = services.work_store(settings)
    found = read_folder(target, settings) if target.is_dir() else read_manifest(target)
    if not found.rows:
        raise UsageError(f"{target} has no rows: nothing to do")
    workers = capacity(None).workers
    with search_server(settings, keep) as url:
        server = services.open_server(settings, url)
        server.version()
        fingerprint = extraction_fingerprint(settings)
        ensure_index(server, settings.index, fingerprint, read_dictionary(settings))
        retries = local_retries(store)
        run = _freeze(
            Intake(
                Target("local", settings.index, fingerprint),
                services.new_writer(),
                settings.shard_cost,
                min(shards or shard_count(len(found.rows), workers), MAX_SHARDS),
                settings.scratch,
            ),
            store,
            found,
            retries,
        )
        at_once = min(parallel or workers, run.shards)
        environment = {
            "BATCHJOB_WORK": settings.work,
            "BATCHJOB_INDEX": settings.index,
            "BATCHJOB_OPENSEARCH_URL": url,
            "BATCHJOB_WORKERS": str(settings.workers or max(1, workers // at_once)),
        }
        _run(LocalRun(run, environment), at_once)
        summary = read_summary(store, run.run_id)
        if summary is None:
            raise TransientError(f"run {run.run_id} has no summary; run `batchjob reduce {run.run_id}` again")
        remove_segments(store, retries)
        learn_costs(store, run)
        _show(summary, store, found, url, time.monotonic() - started, as_json)
    check_failure_limit(summary, settings)
    requeued = summary.states[FinalState.REQUEUED]
    if requeued:
        raise TransientError(
            f"{requeued} documents could not be reached this time: run the same command again"
        )


def _freeze(intake: Intake, store: Store, found: Manifest, retries: Sequence[str]) -> RunInfo:
    """A run of the manifest's rows and of those that earlier runs could not reach, due or not: people asked now."""
    if retries:
        notice("documents that an earlier run could not reach are tried again")
    batches = chain(read_segments(store, retries), manifest_batches(found.rows))
    [run] = freeze_rows(intake, store, services.CLOCK, batches).runs
    return run


@contextmanager
def search_server(settings: Settings, keep: bool) -> Iterator[str]:
    """The URL of the given OpenSearch, or of an embedded one that ends here unless it is kept."""
    if settings.opensearch_url:
        yield settings.opensearch_url
        return
    folder = services.work_folder(settings)
    if folder is None:
        raise UsageError("the work is in S3, so the index must be a real one: give --opensearch URL")
    notice(embedded.LIMITS)
    server = embedded.start(folder, keep=keep)
    try:
        yield server.url
    except BaseException:
        server.stop()
        raise
    if keep:
        embedded.replace_kept(folder, server)
        notice(f"search server kept at {server.url}; end it with: kill {server.pid}")
    else:
        server.stop()


class Progress:
    """On a terminal a bar and what went wrong; elsewhere the jobs' log lines as they are."""

    def __init__(self, bar: RichProgress, rows: int | None) -> None:
        self._bar = bar
        self._task = bar.add_task("processing", total=rows)
        self._done: set[str] = set()

    def log_line(self, line: bytes) -> None:
        if not sys.stderr.isatty():
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()
            return
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            self._bar.console.print(line.decode(errors="replace").rstrip(), markup=False)
            return
        if not isinstance(event, dict):
            return
        if event.get("event") == "document":
            self._done.add(event["doc_id"])
            self._bar.update(self._task, completed=len(self._done))
        elif event.get("level") in ("warning", "error", "critical"):
            self._bar.console.print(event.get("error") or event["event"], markup=False)

    def attempt_ended(self, job: str, attempt: int, end: JobEnd, again: bool) -> None:
        if end.exit_code:
            log().warning("attempt ended", job=job, attempt=attempt, exit_code=end.exit_code, again=again)


def _run(run: LocalRun, at_once: int) -> None:
    with progress_bar() as bar:
        run_pipeline(run, LocalJobs(at_once, Progress(bar, run.run.rows)))


def _show(
    summary: Summary, store: RunStore, found: Manifest, url: str, seconds: float, as_json: bool
) -> None:
    values = {
        "run_id": summary.run_id,
        "rows": summary.rows,
        **{str(state): count for state, count in summary.states.items()},
        "pages": summary.pages,
        "ocr_pages": summary.ocr_pages,
        "cache_hits": summary.cache_hits,
        "seconds": round(seconds, 2),
        "index": summary.index,
        "opensearch": safe_url(url),
    }
    if as_json:
        print_json(values)
        return
    shown = {
        name: value for name, value in values.items() if value or name not in FinalState.__members__.values()
    }
    print_table("result", ["", ""], [*shown.items()], numbers=[1])
    print_problems(read_status(store, summary.run_id).problems)
