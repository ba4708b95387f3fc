"""The ledger, the one commit of intake: which inbox segments are in a run, which runs are open (invariant 6)."""

import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from pydantic import ValidationError

from batchjob import layout
from batchjob.errors import (
    AlreadyExistsError,
    BatchjobError,
    ObjectMissingError,
    PreconditionFailedError,
    TransientError,
    UsageError,
)
from batchjob.ports import CreateOnce, Get, ReplaceIfMatch
from batchjob.records import Adoption, Ledger, RunInfo

REMEMBERED_MS = 14 * 24 * 3600 * 1000
"""How long an adopted segment is known by name after it left the inbox: a late writer may bring it back."""
TRIES = 50
"""Of several writers at once one wins each time, so this many are served."""


class LedgerStore(Get, CreateOnce, ReplaceIfMatch, Protocol):
    """The verbs for the ledger."""


class SegmentsTakenError(BatchjobError):
    """Another drain's run holds some of the segments: what was made of them must be discarded."""


def read_ledger(store: Get) -> Ledger:
    """The ledger as it is now, an empty one before the first run. Raises UsageError (damaged), TransientError."""
    return _read(store)[0]


def check_committed(store: Get, run: RunInfo) -> None:
    """Nobody may work on a run that a drain left before its commit: its events go into another one (invariant 6).

    Runs of `local` and of a re-index are never in the ledger. Raises UsageError, TransientError.
    """
    if run.kind == "incremental" and run.run_id not in read_ledger(store).open:
        raise UsageError(
            f"run {run.run_id} was never committed: its events are still in the inbox, and `batchjob drain` takes them"
        )


def _read(store: Get) -> tuple[Ledger, str | None]:
    try:
        with store.open(layout.LEDGER) as opened:
            return Ledger.model_validate_json(opened.body.read()), opened.meta.etag
    except ObjectMissingError:
        return Ledger(), None
    except ValidationError as error:
        raise UsageError(
            f"{layout.LEDGER} in the work folder is damaged, or of another version of batchjob "
            f"({error.errors()[0]['msg']}): restore it, or use that version"
        ) from None


def change_ledger(store: LedgerStore, writer: str, change: Callable[[Ledger], Ledger]) -> Ledger:
    """Replaces the ledger by what `change` makes of it, of the newest one again where another writer was first.

    A version of one's own is known by its writer, so that a lost answer does no harm. Where others may have replaced
    it since, `change` must find its own work and return the ledger as it is. Raises what `change` raises,
    TransientError.
    """
    written: set[str] = set()
    for _ in range(TRIES):
        found, etag = _read(store)
        if found.writer in written:
            return found
        changed = change(found)
        if changed == found:
            return found
        name = f"{writer}-{secrets.token_hex(4)}"
        written.add(name)
        new = changed.model_copy(update={"generation": found.generation + 1, "writer": name})
        try:
            _write(store, new, etag)
        except (AlreadyExistsError, PreconditionFailedError, TransientError):
            continue
        return new
    raise TransientError(f"{layout.LEDGER} could not be replaced {TRIES} times: try again", cause="ledger")


def _write(store: LedgerStore, ledger: Ledger, etag: str | None) -> None:
    if etag is None:
        store.create_once(layout.LEDGER, ledger.to_json())
    else:
        store.replace_if_match(layout.LEDGER, ledger.to_json(), etag)


def commit_runs(
    store: LedgerStore, writer: str, runs: Sequence[str], segments: Collection[str], now: int
) -> Ledger:
    """Makes frozen runs, all at once, part of the system, and their segments adopted.

    Raises SegmentsTakenError where another run holds one of the segments, TransientError.
    """

    def change(ledger: Ledger) -> Ledger:
        holders = {ledger.adopted[key].run for key in segments if key in ledger.adopted}
        if runs[0] in ledger.open or runs[0] in holders:
            return ledger
        if holders:
            raise SegmentsTakenError(f"segments of run {runs[0]} are in {', '.join(sorted(holders))} already")
        adopted = {**ledger.adopted, **{key: Adoption(at=now, run=runs[0]) for key in segments}}
        return ledger.model_copy(
            update={
                "adopted": adopted,
                "open": (*ledger.open, *runs),
                "unsubmitted": (*ledger.unsubmitted, *runs),
                "since": (*ledger.since, *runs) if ledger.reindex else (),
            }
        )

    return change_ledger(store, writer, change)


def mark_submitted(store: LedgerStore, writer: str, runs: Collection[str]) -> Ledger:
    """These runs have their jobs. Raises TransientError."""
    return change_ledger(
        store,
        writer,
        lambda ledger: ledger.model_copy(update={"unsubmitted": _without(ledger.unsubmitted, runs)}),
    )


def close_runs(store: LedgerStore, writer: str, runs: Collection[str]) -> Ledger:
    """These runs are finished. Raises TransientError."""
    return change_ledger(
        store,
        writer,
        lambda ledger: ledger.model_copy(
            update={"open": _without(ledger.open, runs), "unsubmitted": _without(ledger.unsubmitted, runs)}
        ),
    )


def begin_reindex(store: LedgerStore, writer: str, name: str, before: str | None) -> Ledger:
    """From here on runs are noted in `since`. Raises UsageError where another re-index than `before` is the newest."""

    def change(ledger: Ledger) -> Ledger:
        if ledger.reindex == name:
            return ledger
        if ledger.reindex != before:
            raise UsageError(f"another process began the re-index {ledger.reindex} at this moment")
        return ledger.model_copy(update={"reindex": name, "since": ledger.open})

    return change_ledger(store, writer, change)


def follow_reindex(store: LedgerStore, writer: str, name: str | None, before: str) -> Ledger:
    """Puts a re-index's way back in its place, with the same runs; None ends the noting. Raises TransientError."""

    def change(ledger: Ledger) -> Ledger:
        if ledger.reindex != before:
            return ledger
        return ledger.model_copy(update={"reindex": name, "since": ledger.since if name else ()})

    return change_ledger(store, writer, change)


def forget_segments(store: LedgerStore, writer: str, still_there: Collection[str], now: int) -> Ledger:
    """Drops segments that were adopted 14 days ago and are not in the inbox. Raises TransientError."""

    def change(ledger: Ledger) -> Ledger:
        kept = {
            key: adoption
            for key, adoption in ledger.adopted.items()
            if key in still_there or now - adoption.at < REMEMBERED_MS
        }
        return ledger.model_copy(update={"adopted": kept})

    return change_ledger(store, writer, change)


def _without(names: Iterable[str], dropped: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in dropped)
