"""`gc` and `purge`: what is not needed any more, and what must not be kept."""

import sys
from dataclasses import asdict

import click

from batchjob.cli import options, services
from batchjob.cli.output import log, print_json, print_result, print_table, printable
from batchjob.errors import UsageError
from batchjob.operate.gc import KEEP_DAYS, collect
from batchjob.operate.naming import name_object
from batchjob.operate.purge import Places, check_purge, purge
from batchjob.scratch import scratch_folder
from batchjob.settings import load_settings


@click.command()
@click.option(
    "--days",
    type=click.IntRange(min=1),
    default=KEEP_DAYS,
    show_default=True,
    help="Keep finished runs so long.",
)
@click.option("--dry-run", is_flag=True, help="Tell what would be removed; change nothing.")
@options.work
@options.as_json
def gc(days: int, dry_run: bool, work: str | None, as_json: bool) -> None:
    """Remove finished runs, and runs that were frozen more than a day ago and never committed.

    Runs that are open, that a re-index or its rollback needs, or of which rows still come back, stay however old they
    are. The cache is left to the bucket's lifecycle rule.
    """
    store = services.work_store(load_settings(work=work))
    found = collect(store, services.CLOCK, keep_days=days, dry_run=dry_run)
    size = sum(run.size for run in found)
    if as_json:
        print_json({"dry_run": dry_run, "bytes": size, "runs": [asdict(run) for run in found]})
        return
    rows = [[run.run_id, run.why, run.objects, f"{run.size / 1e6:,.1f}"] for run in found]
    title = f"{len(found)} runs {'would be' if dry_run else 'were'} removed, {size / 1e6:,.1f} MB"
    print_table(title, ["run", "why", "objects", "MB"], rows, numbers=[2, 3])


@click.command("purge")
@click.argument("key")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.work
@options.index
@options.opensearch
@options.as_json
def purge_command(
    key: str, yes: bool, work: str | None, index: str | None, opensearch_url: str | None, as_json: bool
) -> None:
    """Erase all that is kept of KEY (s3://bucket/key, a key, or a path): index, cache, runs, quarantine, thumbnails.

    The object itself must be gone already, or it would come back. There is no way back.
    """
    settings = load_settings(work=work, index=index, opensearch_url=opensearch_url)
    server = services.open_index(settings)
    name = name_object(key, server, settings.index)
    with scratch_folder(settings.scratch) as scratch:
        places = Places(
            services.work_store(settings),
            services.thumbnails_store(settings),
            server,
            settings.index,
            lambda bucket: services.source(settings, bucket),
            scratch,
        )
        warning = check_purge(name, places)
        if warning:
            log().warning("the object cannot be looked at: where it still is, it comes back", why=warning)
        if not yes:
            _ask(f"erase all that is kept of {printable(name.key)} in {name.bucket}?")
        done = purge(name, places)
    values = {title: value for title, value in asdict(done).items() if title != "warning"}
    print_result(f"erased of {name.key}", values, as_json)


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked: give --yes")
    click.confirm(question, abort=True, err=True)
