"""`quarantine`: rows that were given up and messages that nobody can read, why, and their way back."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import click

from batchjob.cli import options, services
from batchjob.cli.output import print_json, print_result, print_table
from batchjob.drain.filters import key_filter
from batchjob.drain.giveups import given_up, names_of, retry, row_of
from batchjob.drain.quarantine import QuarantinedMessage
from batchjob.drain.unread import damaged_segments, reread, unread_messages
from batchjob.errors import UsageError
from batchjob.ports import ObjectMeta
from batchjob.records import GivenUp
from batchjob.settings import load_settings


@click.group()
def quarantine() -> None:
    """Documents given up after three attempts (a later success clears them), and what nobody can read."""


@quarantine.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Of each to show.")
@options.work
@options.as_json
def list_all(limit: int, work: str | None, as_json: bool) -> None:
    """List what is there, the newest first, with the cause of each."""
    store = services.work_store(load_settings(work=work))
    damaged: list[UsageError] = []
    rows = sorted(given_up(store, damaged), key=lambda one: -one.at)
    messages = sorted(unread_messages(store, damaged), key=lambda one: -one.quarantined_at)
    segments = sorted(damaged_segments(store), key=lambda one: one.last_modified, reverse=True)
    if as_json:
        shown = {
            "documents": [_document(one) for one in rows[:limit]],
            "messages": [_message(one) for one in messages[:limit]],
            "segments": [_segment(one) for one in segments[:limit]],
        }
        counts = {"rows": len(rows), "unreadable_messages": len(messages), "damaged_segments": len(segments)}
        print_json({**counts, "damaged_files": list(map(str, damaged)), "shown": shown})
    else:
        _show_lists(rows, messages, segments, limit)
    _check(damaged)


def _check(damaged: Sequence[UsageError]) -> None:
    """Raises UsageError, once all else is done."""
    if damaged:
        more = f" (and {len(damaged) - 1} more)" if len(damaged) > 1 else ""
        raise UsageError(f"{damaged[0]}{more}")


def _show_lists(
    rows: Sequence[GivenUp],
    messages: Sequence[QuarantinedMessage],
    segments: Sequence[ObjectMeta],
    limit: int,
) -> None:
    cells = [[row_of(one).key, one.category, one.message, _when(one.at), one.run_id] for one in rows[:limit]]
    print_table(f"{len(rows)} documents given up", ["document", "why", "", "when", "run"], cells)
    cells = [[one.message_id, one.reason, _when(one.quarantined_at)] for one in messages[:limit]]
    print_table(f"{len(messages)} messages that nobody can read", ["message", "why", "when"], cells)
    places = [list(_segment(one).values()) for one in segments[:limit]]
    print_table(
        f"{len(segments)} damaged segments set aside", ["object", "bytes", "when"], places, numbers=[1]
    )


@quarantine.command()
@click.argument("name")
@options.work
@options.as_json
def show(name: str, work: str | None, as_json: bool) -> None:
    """Show all that is known of NAME: a key, a URI, a document's id, or a message's id."""
    store = services.work_store(load_settings(work=work))
    damaged: list[UsageError] = []
    found = [_document(one) | one.row for one in given_up(store, damaged) if name in names_of(one)]
    found += [asdict(one) for one in unread_messages(store, damaged) if one.message_id == name]
    if not found:
        _check(damaged)
        raise _unknown([name])
    if as_json:
        print_json({"found": found})
        return
    for values in found:
        print_table(
            name, ["", ""], [(key, value) for key, value in values.items() if value not in (None, [])]
        )


@quarantine.command("retry")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Everything that is there.")
@options.work
@options.as_json
def retry_all(names: tuple[str, ...], everything: bool, work: str | None, as_json: bool) -> None:
    """Put documents back into the inbox, for a first attempt in the next drain's run.

    NAMES are keys, URIs, documents' ids or messages' ids. Messages are read again; what still makes no sense stays.
    """
    if bool(names) == everything:
        raise UsageError("name what is to be tried again, or give --all")
    settings = load_settings(work=work)
    store, writer = services.work_store(settings), services.new_writer()
    damaged: list[UsageError] = []
    rows = given_up(store, damaged)
    chosen = [one for one in rows if everything or not names_of(one).isdisjoint(names)]
    messages = {one.message_id for one in unread_messages(store, damaged)}
    known = {name for one in chosen for name in names_of(one)} | messages
    if unknown := [name for name in names if name not in known]:
        raise _unknown(unknown)
    retry(store, chosen, writer)
    again = reread(store, None if everything else names, key_filter(settings), writer)
    values = {
        "rows": len(chosen) + again.rows,
        "messages_read": again.read,
        "messages_still_unreadable": again.still_unread,
    }
    print_result("into the next run", values, as_json)
    _check(damaged)


def _unknown(names: Sequence[str]) -> UsageError:
    some = ", ".join(map(repr, names[:3])) + (", …" if len(names) > 3 else "")
    return UsageError(
        f"nothing in quarantine is named {some}: `batchjob quarantine list` shows what is there"
    )


def _document(found: GivenUp) -> dict[str, object]:
    row = row_of(found)
    return {
        "bucket": row.bucket,
        "key": row.key,
        "category": found.category,
        "message": found.message,
        "run_id": found.run_id,
        "given_up_at": _when(found.at),
    }


def _message(found: QuarantinedMessage) -> dict[str, object]:
    return {
        "message_id": found.message_id,
        "reason": found.reason,
        "quarantined_at": _when(found.quarantined_at),
    }


def _segment(found: ObjectMeta) -> dict[str, object]:
    when = found.last_modified.astimezone(UTC).isoformat(timespec="seconds")
    return {"object": found.key, "size": found.size, "set_aside_at": when}


def _when(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="seconds")
