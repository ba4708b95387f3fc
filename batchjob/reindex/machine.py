"""The re-index's main flow: each call advances it as far as it can without waiting, and is resumable anywhere."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import pyarrow as pa

from batchjob import layout
from batchjob.drain.ledger import begin_reindex, follow_reindex, read_ledger
from batchjob.errors import UsageError
from batchjob.ports import Store
from batchjob.reindex.gates import Answers, Gate, Limits, check_gates
from batchjob.reindex.indexes import (
    ReindexIndex,
    check_ready,
    copied,
    create_new,
    drop_new,
    next_name,
    restore,
    swap,
)
from batchjob.reindex.retire import retirable, retire
from batchjob.reindex.rounds import Freezer, behind, catch_up, lacking, list_source, repeat, unfinished
from batchjob.reindex.state import Phase, Reindex, StateFile, read_state

Rows = Callable[[Sequence[str], int], AbstractContextManager[Iterator[pa.RecordBatch]]]
"""All documents of some places as they are at a time (ms) or later; closes without an error once they are committed."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a re-index works with.

    `drive` brings runs one step on: submits, heals. `alias` and `by.intake.target.fingerprint` are those of the
    settings of this process.
    """

    by: Freezer
    index: ReindexIndex
    alias: str
    rows: Rows
    drive: Callable[[Sequence[str]], None]
    answers: Answers
    limits: Limits
    dictionary: tuple[str, ...] = ()
    told: Callable[[Reindex], None] = field(default=lambda state: None)

    @property
    def store(self) -> Store:
        return self.by.store

    @property
    def writer(self) -> str:
        return self.by.intake.writer

    @property
    def fingerprint(self) -> str:
        return self.by.intake.target.fingerprint


def newest(store: Store) -> Reindex | None:
    """The re-index that the ledger names, ended or not. Raises UsageError (damaged), TransientError."""
    name = read_ledger(store).reindex
    return None if name is None else read_state(store, name)[0]


def begin(machine: Machine, places: Sequence[str]) -> str:
    """Begins a re-index of the places, and returns its name; one of the same places that is active goes on.

    A job of AWS Batch that is tried again after it ended one begins no other. Raises UsageError (another one is
    active), TransientError.
    """
    before = newest(machine.store)
    if before is not None and before.active:
        if before.kind == "reindex" and before.places == tuple(places):
            return before.name
        raise UsageError(
            f"re-index {before.name} of {', '.join(before.places) or before.new} is at `{before.phase}`: let it go on "
            "with `batchjob reindex`, or end it with `batchjob reindex --abandon`"
        )
    if before is not None and _same_job(before.writer, machine.writer):
        return before.name
    now = machine.by.clock.now_ms()
    state = Reindex(
        name=layout.new_run_id(now),
        alias=machine.alias,
        places=tuple(places),
        fingerprint=machine.fingerprint,
        old=check_ready(machine.index, machine.alias),
        new=next_name(machine.index, machine.alias),
        started_at=now,
        writer=machine.writer,
    )
    machine.store.create_once(layout.reindex(state.name), state.to_json())
    begin_reindex(machine.store, machine.writer, state.name, before.name if before else None)
    return state.name


def _same_job(writer: str, other: str) -> bool:
    """Writers are named by job, attempt and random digits; people are all called `hand`."""
    job = writer.rsplit("-", 2)[0]
    return job not in ("hand", "") and "-" in job and job == other.rsplit("-", 2)[0]


def begin_rollback(machine: Machine) -> str:
    """Begins the way back from the newest swap, and returns its name. Raises UsageError, TransientError."""
    last = newest(machine.store)
    if last is not None and last.kind == "rollback" and last.active:
        return last.name
    if last is None or last.swapped_at is None or last.old is None:
        raise UsageError(
            "there is no swap to go back from: the last re-index has not swapped, or its old index was dropped"
        )
    if not machine.index.indexes(last.old):
        raise UsageError(f"index {last.old!r}, which {last.new!r} replaced, is gone: there is no way back")
    now = machine.by.clock.now_ms()
    state = Reindex(
        name=layout.new_run_id(now),
        kind="rollback",
        alias=last.alias,
        fingerprint=str(machine.index.meta(last.old).get("extraction")),
        old=last.new,
        new=last.old,
        phase=Phase.SWAP,
        started_at=now,
        writer=machine.writer,
    )
    machine.store.create_once(layout.reindex(state.name), state.to_json())
    ledger = follow_reindex(machine.store, machine.writer, state.name, last.name)
    if ledger.reindex != state.name:
        raise UsageError(f"another process began the re-index {ledger.reindex} at this moment")
    return state.name


def advance(machine: Machine, name: str, *, anyway: bool = False) -> Reindex:
    """Advances a re-index until it is done or waits for jobs. `anyway` swaps in spite of gates.

    Raises UsageError (a gate is shut, other settings), TransientError.
    """
    file = StateFile(machine.store, name, machine.writer)
    if file.state.phase is Phase.DONE and lacking(machine.store, file.state):
        file.change(phase=Phase.FOLLOW, ended_at=None)
    while file.state.active:
        step = STEPS[file.state.phase]
        if not step(machine, file, anyway):
            break
        machine.told(file.state)
    return file.state


def _create(machine: Machine, file: StateFile, anyway: bool) -> bool:
    _check_settings(machine, file.state)
    create_new(machine.index, file.state, machine.dictionary)
    generation = read_ledger(machine.store).generation
    file.change(phase=Phase.LIST, watermark=generation, watermark_at=machine.by.clock.now_ms())
    return True


def _list(machine: Machine, file: StateFile, anyway: bool) -> bool:
    _check_settings(machine, file.state)
    if not file.state.rounds:
        with machine.rows(file.state.places, file.state.watermark_at) as batches:
            list_source(machine.by, file, batches)
    file.change(phase=Phase.LOAD)
    return True


def _load(machine: Machine, file: StateFile, anyway: bool) -> bool:
    """Rounds until the new index has everything that the old one has."""
    if not _rounds_done(machine, file):
        return False
    if repeat(machine.by, file):
        return True
    if behind(machine.store, file.state):
        return catch_up(machine.by, file)
    file.change(phase=Phase.CHECK)
    return True


def _rounds_done(machine: Machine, file: StateFile) -> bool:
    waiting = unfinished(machine.store, file.state)
    if waiting:
        _check_settings(machine, file.state)
        machine.drive(waiting)
        waiting = unfinished(machine.store, file.state)
    elif file.state.phase is Phase.FOLLOW and lacking(machine.store, file.state):
        _check_settings(machine, file.state)
    return not waiting


def _check(machine: Machine, file: StateFile, anyway: bool) -> bool:
    state = file.state
    restore(machine.index, state)
    if not copied(machine.index, state):
        return False
    gates = check_gates(state, machine.store, machine.index, machine.answers, machine.limits)
    shut = [gate for gate in gates if not gate.passed]
    if shut and not anyway:
        raise UsageError(_shut(state, shut))
    file.change(phase=Phase.LOAD if behind(machine.store, state) else Phase.SWAP)
    return True


def _shut(state: Reindex, shut: Sequence[Gate]) -> str:
    figures = "; ".join(f"{gate.name}: {gate.told}" for gate in shut)
    return (
        f"not swapped, searches still ask {state.old!r} ({figures}): look at {state.building!r}, then "
        "`batchjob reindex --swap-anyway`, or `batchjob reindex --abandon`"
    )


def _swap(machine: Machine, file: StateFile, anyway: bool) -> bool:
    behind = machine.index.resolve(file.state.alias)
    if file.state.old is None and behind not in (None, file.state.new):
        file.change(old=behind)
    swap(machine.index, file.state)
    before = read_ledger(machine.store).since
    file.change(phase=Phase.FOLLOW, swapped_at=machine.by.clock.now_ms(), before=before)
    return True


def _follow(machine: Machine, file: StateFile, anyway: bool) -> bool:
    """Rounds of what changed around the swap; runs that are still open are ended when theirs are done."""
    if not _rounds_done(machine, file):
        return False
    if repeat(machine.by, file) or catch_up(machine.by, file):
        return True
    ended = []
    for run, done_by in retirable(machine.store, file.state):
        retire(machine.store, machine.by.clock, run, done_by)
        ended.append(run.run_id)
    file.change(phase=Phase.DONE, ended_at=machine.by.clock.now_ms(), retired=(*file.state.retired, *ended))
    return True


def abandon(machine: Machine) -> Reindex:
    """Ends the active re-index before its swap, and deletes what it filled. Raises UsageError, TransientError."""
    state = newest(machine.store)
    if state is None or not state.active:
        raise UsageError("no re-index is active: there is nothing to abandon")
    if state.swapped_at is not None or state.kind == "rollback":
        raise UsageError(f"re-index {state.name} has swapped already: `batchjob rollback` goes back")
    file = StateFile(machine.store, state.name, machine.writer)
    drop_new(machine.index, state)
    file.change(phase=Phase.ABANDONED, ended_at=machine.by.clock.now_ms())
    follow_reindex(machine.store, machine.writer, None, state.name)
    return file.state


def drop_old(machine: Machine) -> Reindex:
    """Deletes the index that was replaced: there is no way back then. Raises UsageError, TransientError."""
    state = newest(machine.store)
    if state is None or state.phase is not Phase.DONE or state.old is None:
        raise UsageError("no re-index is done whose old index is still there")
    if machine.index.resolve(state.alias) != state.new:
        raise UsageError(f"alias {state.alias!r} does not stand for {state.new!r}: nothing was deleted")
    machine.index.drop(state.old)
    follow_reindex(machine.store, machine.writer, None, state.name)
    return state


def _check_settings(machine: Machine, state: Reindex) -> None:
    if machine.fingerprint != state.fingerprint or machine.alias != state.alias:
        raise UsageError(
            f"re-index {state.name} fills {state.new!r} for alias {state.alias!r} under extraction settings "
            f"{state.fingerprint}, this process has {machine.alias!r} and {machine.fingerprint}: run it with the "
            "settings and the image of that index"
        )


STEPS: dict[Phase, Callable[[Machine, StateFile, bool], bool]] = {
    Phase.CREATE: _create,
    Phase.LIST: _list,
    Phase.LOAD: _load,
    Phase.CHECK: _check,
    Phase.SWAP: _swap,
    Phase.FOLLOW: _follow,
}
