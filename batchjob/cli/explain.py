"""`explain`: one file's history."""

from collections.abc import Mapping
from dataclasses import asdict

import click

from batchjob.cli import options, services
from batchjob.cli.output import notice, print_json, print_table, printable
from batchjob.drain.filters import key_filter
from batchjob.errors import BatchjobError
from batchjob.operate.explain import Event, explain
from batchjob.operate.naming import name_object
from batchjob.operate.verdict import when
from batchjob.settings import load_settings


@click.command("explain")
@click.argument("key")
@options.work
@options.index
@options.opensearch
@options.as_json
def explain_command(
    key: str, work: str | None, index: str | None, opensearch_url: str | None, as_json: bool
) -> None:
    """Say where KEY is (s3://bucket/key, a key, or a path), and all that happened to it, oldest first.

    Looks into the inbox, all runs, quarantine, the index and the source. Changes nothing.
    """
    settings = load_settings(work=work, index=index, opensearch_url=opensearch_url)
    try:
        server = services.open_index(settings)
        server.version()
    except BatchjobError as error:
        server = None
        notice(f"the index is not asked: {error}")
    found = explain(
        name_object(key, server, settings.index),
        services.work_store(settings),
        server,
        settings.index,
        lambda bucket: services.source(settings, bucket),
        key_filter(settings),
    )
    if as_json:
        events = [{**asdict(event), "at": when(event.at)} for event in found.events]
        print_json({**asdict(found.name), "answer": found.answer, "events": events})
        return
    click.echo(f"{printable(found.name.key)} {printable(found.answer)}")
    print_table(found.name.bucket, ["when", "where", "what", ""], [_cells(event) for event in found.events])


def _cells(event: Event) -> list[str]:
    return [when(event.at), event.where, event.what, _shown(event.details)]


def _shown(details: Mapping[str, object]) -> str:
    return "  ".join(f"{name} {value}" for name, value in details.items() if value not in ("", [], {}))
