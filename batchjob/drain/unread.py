"""Messages that nobody could read: what they are, and a second reading once the parser knows them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

from batchjob import layout
from batchjob.drain.filters import KeyFilter
from batchjob.drain.messages import parse
from batchjob.drain.quarantine import QuarantinedMessage, from_lines, to_lines
from batchjob.errors import UsageError
from batchjob.ports import CreateOnce, Delete, Get, List, ObjectMeta, Put, read_or_none
from batchjob.records import ManifestRow, manifest_to_parquet


class ReadStore(Get, List, Protocol):
    """The verbs for looking at them."""


class RereadStore(Get, List, Put, CreateOnce, Delete, Protocol):
    """The verbs for reading them again."""


def unread_messages(store: ReadStore, damaged: list[UsageError]) -> Iterator[QuarantinedMessage]:
    """Every message in quarantine; `damaged` gets an error for each file that cannot be read. Raises TransientError."""
    for _, messages in _files(store, damaged):
        yield from messages


def _files(store: ReadStore, damaged: list[UsageError]) -> Iterator[tuple[str, list[QuarantinedMessage]]]:
    for meta in store.list(layout.QUARANTINED_MESSAGES):
        data = read_or_none(store, meta.key)
        if data is not None:
            try:
                yield meta.key, from_lines(meta.key, data)
            except UsageError as error:
                damaged.append(error)


def damaged_segments(store: ReadStore) -> list[ObjectMeta]:
    """Inbox segments that a drain could not read and set aside. Raises TransientError."""
    return list(store.list(layout.DAMAGED_SEGMENTS))


@dataclass(frozen=True, slots=True)
class Reread:
    """`read` messages were understood, and gave `rows`; `still_unread` stay where they are."""

    read: int
    still_unread: int
    rows: int


def reread(store: RereadStore, ids: Collection[str] | None, keys: KeyFilter, writer: str) -> Reread:
    """Parses messages again (None: all) and puts what they say into the inbox; then they leave the quarantine.

    A crash between leaves events in both, which is harmless. A damaged file stays as it is. Raises TransientError.
    """
    files = list(_files(store, []))
    chosen = [
        message for _, messages in files for message in messages if ids is None or message.message_id in ids
    ]
    parsed = {message: parse(message.body) for message in chosen}
    understood = {message for message, said in parsed.items() if not said.problems}
    rows: list[ManifestRow] = [
        row for message in understood for row in parsed[message].rows if keys.takes(row.key)
    ]
    if rows:
        store.create_once(layout.segment(f"reread-{writer}"), manifest_to_parquet(rows))
    for key, messages in files:
        left = [message for message in messages if message not in understood]
        if not left:
            store.delete(key)
        elif len(left) < len(messages):
            store.put(key, to_lines(left))
    return Reread(len(understood), len(chosen) - len(understood), len(rows))
