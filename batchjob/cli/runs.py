"""`runs`: what is not finished, and giving up shards that no process will do."""

import click

from batchjob.cli import options, services
from batchjob.cli.output import print_json, print_table
from batchjob.drain.ledger import check_committed, read_ledger
from batchjob.drain.openruns import OpenRun, abandon, look_at, missing_shards, never_committed
from batchjob.errors import UsageError
from batchjob.runs import read_run, read_summary
from batchjob.settings import load_settings


@click.group()
def runs() -> None:
    """Runs that are not finished."""


@runs.command("list")
@options.work
@options.as_json
def list_runs(work: str | None, as_json: bool) -> None:
    """List the runs that the ledger calls open, oldest first, with how far they are, and what dead drains left."""
    store = services.work_store(load_settings(work=work))
    ledger, found, failures = read_ledger(store), list[OpenRun](), list[UsageError]()
    for run_id in sorted(ledger.open):
        try:
            found.append(look_at(store, ledger, run_id))
        except UsageError as error:
            failures.append(error)
    loose = never_committed(store)
    if as_json:
        print_json({"runs": [_values(one) for one in found], "never_committed": loose})
    else:
        rows = [list(_values(one).values()) for one in found]
        columns = ["run", "kind", "phase", "rows", "shards", "done"]
        print_table(f"{len(found)} open runs", columns, rows, numbers=[3, 4, 5])
        if loose:
            print_table(
                f"{len(loose)} runs that were never committed", ["run"], [[run_id] for run_id in loose]
            )
    if failures:
        raise failures[0]


def _values(found: OpenRun) -> dict[str, object]:
    run = found.run
    return {
        "run_id": run.run_id,
        "kind": run.kind,
        "phase": str(found.phase),
        "rows": run.rows,
        "shards": run.shards,
        "shards_done": run.shards - len(found.missing),
    }


@runs.command("abandon")
@click.argument("run")
@click.option(
    "--shard",
    "shards",
    type=click.IntRange(min=0),
    multiple=True,
    help="Only this shard; several are possible. Without it every shard that is not done.",
)
@click.option("--why", default="abandoned by hand", show_default=True, help="Kept in the receipts.")
@options.work
@options.as_json
def abandon_run(run: str, shards: tuple[int, ...], why: str, work: str | None, as_json: bool) -> None:
    """Give up what is left of RUN: rows of shards that are not done come back in a later run.

    What is done stays. A process that still works on such a shard finds out at its end, and stops.
    """
    store = services.work_store(load_settings(work=work))
    info = read_run(store, run)
    if read_summary(store, run) is not None:
        raise UsageError(f"run {run} is finished: there is nothing to give up")
    check_committed(store, info)
    missing = missing_shards(store, info)
    chosen = [shard for shard in shards or missing if shard in missing or shard >= info.shards]
    given_up = abandon(store, info, chosen, services.new_writer(), why)
    if as_json:
        print_json({"run_id": run, "abandoned": given_up})
    else:
        click.echo(
            f"{len(given_up)} shards given up; `batchjob reduce {run}` loads the others and returns these rows"
        )
