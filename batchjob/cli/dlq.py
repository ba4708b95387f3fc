"""`dlq`: what is in the dead-letter queue, why, and back to the queue of events."""

import click

from batchjob.cli import options, services
from batchjob.cli.output import print_json, print_result, print_table, printable
from batchjob.errors import ExitCode
from batchjob.operate.dlq import Choice, Group, Inspection, Sample, count_chosen, inspect, redrive
from batchjob.settings import load_settings

BODY_SHOWN = 160
from_queue = click.option(
    "--queue", "dead_letter_queue_url", metavar="URL", help="The queue (BATCHJOB_DEAD_LETTER_QUEUE_URL)."
)


@click.group()
def dlq() -> None:
    """Look at the dead-letter queue, and send messages back to the queue of events."""


@dlq.command("inspect")
@from_queue
@click.option(
    "--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="Messages to look at."
)
@options.as_json
def inspect_command(dead_letter_queue_url: str | None, limit: int, as_json: bool) -> None:
    """Group messages by cause, with samples of each. None is consumed; each is hidden for some seconds."""
    settings = load_settings(dead_letter_queue_url=dead_letter_queue_url)
    found = inspect(services.dead_letters(settings), limit)
    if as_json:
        print_json(_values(found))
        return
    click.echo(f"about {found.counts.visible} messages; {found.looked_at} looked at")
    for group in found.groups:
        rows = [_cells(sample) for sample in group.samples]
        columns = ["message", "received", "keys", "reason", "body"]
        print_table(f"{group.count} × {printable(group.cause)}", columns, rows, numbers=[1])


def _values(found: Inspection) -> dict[str, object]:
    return {
        "visible": found.counts.visible,
        "in_flight": found.counts.in_flight,
        "looked_at": found.looked_at,
        "groups": [_group(group) for group in found.groups],
    }


def _group(group: Group) -> dict[str, object]:
    samples = [
        {
            "message_id": sample.message.id,
            "received": sample.message.received,
            "sent_at": sample.message.sent_at,
            "keys": sample.keys,
            "reason": sample.reason,
            "body": _valid(sample.message.body),
        }
        for sample in group.samples
    ]
    return {"cause": group.cause, "count": group.count, "samples": samples}


def _valid(text: str) -> str:
    """The start of a body that may hold half a surrogate pair."""
    return text[:1000].encode("utf-8", "replace").decode()


def _cells(sample: Sample) -> list[object]:
    message = sample.message
    keys = ", ".join(sample.keys[:3])
    return [message.id, message.received, keys, sample.reason, _valid(message.body)[:BODY_SHOWN]]


@dlq.command("redrive")
@from_queue
@click.option("--to", "queue_url", metavar="URL", help="Where to (BATCHJOB_QUEUE_URL).")
@click.option("--rate", type=click.IntRange(1, 500), help="Messages a second at the most.")
@click.option("--cause", default="", metavar="WORDS", help="Only messages whose cause contains this.")
@click.option("--contains", default="", metavar="WORDS", help="Only messages whose body contains this.")
@click.option("--dry-run", is_flag=True, help="Only say how many messages it would move.")
@options.as_json
def redrive_command(
    dead_letter_queue_url: str | None,
    queue_url: str | None,
    rate: int | None,
    cause: str,
    contains: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send messages back: all by the service where it can, else each is copied, then deleted."""
    settings = load_settings(dead_letter_queue_url=dead_letter_queue_url, queue_url=queue_url)
    dead, choice = services.dead_letters(settings), Choice(cause, contains)
    if dry_run:
        told, title = count_chosen(dead, choice), "would be moved"
    else:
        told, title = redrive(dead, services.queue(settings), choice, rate), "moved"
    values: dict[str, object] = {"moved": told.moved, "left": told.left, "refused": len(told.refused)}
    print_result(title, values | {"by": "service" if told.service else "copy"}, as_json)
    if told.refused:
        message, reason = next(iter(told.refused.items()))
        click.echo(f"message {printable(message)} was refused, and stays: {printable(reason)}", err=True)
        raise click.exceptions.Exit(int(ExitCode.TOO_MANY_FAILED))
