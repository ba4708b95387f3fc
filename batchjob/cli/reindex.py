"""`reindex` and `rollback`: a full rebuild into a new index beside the one that is searched, and the way back."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import structlog

from batchjob.cli import options, services
from batchjob.cli.dictionary import read_dictionary
from batchjob.cli.output import print_json, print_result
from batchjob.cli.rebuilding import all_rows, check_places, open_machine
from batchjob.drain.cost import read_rates
from batchjob.errors import UsageError
from batchjob.operate.plan import plan
from batchjob.process.fingerprint import extraction_fingerprint
from batchjob.reduce.mapping import drift
from batchjob.reindex import machine as reindexing
from batchjob.reindex.indexes import next_name
from batchjob.reindex.machine import Machine
from batchjob.reindex.rounds import lacking, unfinished
from batchjob.reindex.state import Reindex
from batchjob.scratch import scratch_folder
from batchjob.settings import Settings, load_settings

POLL_SECONDS = 30.0
POLL_SECONDS_HERE = 0.5


@click.command()
@click.argument("places", nargs=-1, metavar="[PLACE]…")
@click.option("--wait", is_flag=True, help="Go on until it is done; without it the next call goes on.")
@click.option("--status", is_flag=True, help="Show how far the newest re-index is; change nothing.")
@click.option("--dry-run", is_flag=True, help="Tell what a re-index of PLACE would do; change nothing.")
@click.option("--swap-anyway", is_flag=True, help="Swap although the new index differs too much.")
@click.option("--abandon", is_flag=True, help="End it before its swap, and delete what it filled.")
@click.option(
    "--drop-old", is_flag=True, help="Delete the index that was replaced; there is no rollback then."
)
@options.work
@options.index
@options.opensearch
@options.job_queue
@options.as_json
def reindex(
    places: tuple[str, ...],
    wait: bool,
    status: bool,
    dry_run: bool,
    swap_anyway: bool,
    abandon: bool,
    drop_old: bool,
    work: str | None,
    index: str | None,
    opensearch_url: str | None,
    job_queue: str | None,
    as_json: bool,
) -> None:
    """Fill a new index from all documents of PLACE (a folder or s3://bucket/prefix), then move the alias to it.

    Searches and runs go on meanwhile. Each call goes on as far as it can without waiting for jobs; without PLACE it
    goes on with the re-index that is active. docs/reindex.md tells what the states mean.
    """
    settings = load_settings(work=work, index=index, opensearch_url=opensearch_url, job_queue=job_queue)
    structlog.contextvars.bind_contextvars(phase="reindex")
    named = [place if place.startswith("s3:") else str(Path(place).absolute()) for place in places]
    check_places(settings, named)
    if status:
        show_status(settings, as_json)
    elif dry_run:
        _show_plan(settings, named, as_json)
    elif abandon or drop_old:
        with open_machine(settings, jobs=False) as machine:
            ended = reindexing.abandon(machine) if abandon else reindexing.drop_old(machine)
        _show(settings, ended, as_json)
    else:
        _go_on(
            settings,
            lambda machine: _name(machine, named),
            as_json,
            wait=wait,
            anyway=swap_anyway,
        )


@click.command()
@click.option("--wait", is_flag=True, help="Go on until it is done; without it the next call goes on.")
@options.work
@options.index
@options.opensearch
@options.job_queue
@options.as_json
def rollback(
    wait: bool,
    work: str | None,
    index: str | None,
    opensearch_url: str | None,
    job_queue: str | None,
    as_json: bool,
) -> None:
    """Move the alias back to the index before the last swap, at once, then bring that up to date.

    The second part needs the settings and the image that filled that index; `batchjob reindex` goes on with it.
    """
    settings = load_settings(work=work, index=index, opensearch_url=opensearch_url, job_queue=job_queue)
    structlog.contextvars.bind_contextvars(phase="rollback")
    _go_on(settings, reindexing.begin_rollback, as_json, wait=wait, anyway=False)


def _name(machine: Machine, places: Sequence[str]) -> str:
    if places:
        return reindexing.begin(machine, places)
    found = reindexing.newest(machine.store)
    if found is None:
        raise UsageError(
            "no re-index is active: name the folder or s3://bucket/prefix that holds all documents"
        )
    return found.name


def _go_on(
    settings: Settings, begin: Callable[[Machine], str], as_json: bool, *, wait: bool, anyway: bool
) -> None:
    here = services.job_queue(settings) == services.LOCAL_QUEUE
    with open_machine(settings) as machine:
        name = begin(machine)
        state = reindexing.advance(machine, name, anyway=anyway)
        while state.active and (wait or here):
            time.sleep(POLL_SECONDS_HERE if here else POLL_SECONDS)
            state = reindexing.advance(machine, name, anyway=anyway)
    _show(settings, state, as_json)


def show_status(settings: Settings, as_json: bool) -> None:
    state = reindexing.newest(services.work_store(settings))
    if state is None:
        if as_json:
            print_json({"state": None})
        else:
            click.echo("no re-index has a way on or back")
        return
    _show(settings, state, as_json)


def _show(settings: Settings, state: Reindex, as_json: bool) -> None:
    store = services.work_store(settings)
    waiting = unfinished(store, state) if state.active else []
    values: dict[str, object] = {
        "name": state.name,
        "kind": state.kind,
        "state": str(state.phase),
        "alias": state.alias,
        "old": state.old,
        "new": state.new,
        "swapped": state.swapped_at is not None,
        "rows": sum(one.rows for one in state.rounds),
        "rounds": len(state.rounds),
        "runs_waited_for": waiting,
        "runs_to_catch_up": len(lacking(store, state)) if state.active else 0,
        "runs_retired": len(state.retired),
    }
    if not as_json:
        values["runs_waited_for"] = "\n".join(waiting) or "-"
    print_result(f"{state.kind} {state.name}", values, as_json)


def _show_plan(settings: Settings, places: Sequence[str], as_json: bool) -> None:
    if not places:
        raise UsageError("--dry-run needs the PLACE of all documents")
    index, store = services.open_index(settings), services.work_store(settings)
    index.version()
    old = index.resolve(settings.index)
    found = index.structure(old) if old else None
    with scratch_folder(settings.scratch) as scratch:
        planned = plan(
            all_rows(settings, services.new_writer(), places),
            scratch,
            read_rates(store),
            shard_cost=settings.shard_cost,
        )
    values: dict[str, object] = {
        "old": old,
        "new": next_name(index, settings.index),
        "documents_before": index.count(settings.index) if old else 0,
        "rows": planned.rows,
        "runs": planned.runs,
        "shards": planned.shards,
        "cpu_hours_without_cache": round(planned.cpu_seconds / 3600, 3),
        "same_extraction": bool(found)
        and index.meta(str(old)).get("extraction") == extraction_fingerprint(settings),
        "differences": drift(found, read_dictionary(settings)) if found else [],
    }
    if not as_json:
        values["differences"] = (
            "\n".join(map(str, drift(found, read_dictionary(settings)) if found else [])) or "-"
        )
    print_result("re-index; nothing was changed", values, as_json)
