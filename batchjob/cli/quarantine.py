"""`quarantine`: rows that were given up, why, and their way back."""

from datetime import UTC, datetime

import click

from batchjob.cli import options, services
from batchjob.cli.output import print_json, print_table
from batchjob.drain.giveups import find_given_up, given_up, retry, row_of
from batchjob.errors import UsageError
from batchjob.records import GivenUp
from batchjob.settings import load_settings


@click.group()
def quarantine() -> None:
    """What was given up after three attempts. A later success clears it."""


@quarantine.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Rows to show.")
@options.work
@options.as_json
def list_rows(limit: int, work: str | None, as_json: bool) -> None:
    """List the documents that were given up, with the cause of each."""
    found = sorted(given_up(services.work_store(load_settings(work=work))), key=lambda one: -one.at)
    if as_json:
        print_json({"rows": len(found), "shown": [_values(one) for one in found[:limit]]})
        return
    rows = [[row_of(one).key, one.category, one.message, _when(one), one.run_id] for one in found[:limit]]
    print_table(f"{len(found)} documents given up", ["document", "why", "", "when", "run"], rows)


@quarantine.command()
@click.argument("key")
@options.work
@options.as_json
def show(key: str, work: str | None, as_json: bool) -> None:
    """Show all that is known of KEY (a key, a URI, or a document's id)."""
    found = find_given_up(services.work_store(load_settings(work=work)), [key])
    if as_json:
        print_json({"rows": [_values(one) | one.row for one in found]})
        return
    for one in found:
        values = {
            **_values(one),
            **{name: value for name, value in one.row.items() if value not in (None, [])},
        }
        print_table(str(row_of(one).key), ["", ""], [*values.items()])


@quarantine.command("retry")
@click.argument("keys", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Everything that was given up.")
@options.work
@options.as_json
def retry_rows(keys: tuple[str, ...], everything: bool, work: str | None, as_json: bool) -> None:
    """Put KEYS back into the inbox, for a first attempt in the next drain's run."""
    if bool(keys) == everything:
        raise UsageError("name the documents to try again, or give --all")
    store = services.work_store(load_settings(work=work))
    chosen = list(given_up(store)) if everything else find_given_up(store, keys)
    segment = retry(store, chosen, services.new_writer())
    if as_json:
        print_json({"rows": len(chosen), "segment": segment})
    else:
        click.echo(f"{len(chosen)} documents go into the next run")


def _values(found: GivenUp) -> dict[str, object]:
    row = row_of(found)
    return {
        "bucket": row.bucket,
        "key": row.key,
        "category": found.category,
        "message": found.message,
        "run_id": found.run_id,
        "given_up_at": _when(found),
    }


def _when(found: GivenUp) -> str:
    return datetime.fromtimestamp(found.at / 1000, UTC).isoformat(timespec="seconds")
