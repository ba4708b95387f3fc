"""What a re-index knows of itself: one record in the bucket, replaced with If-Match, one active at a time."""

from enum import StrEnum
from typing import Literal, Protocol

from batchjob import layout
from batchjob.errors import ObjectMissingError, PreconditionFailedError, TransientError, UsageError
from batchjob.ports import CreateOnce, Delete, Get, ReplaceIfMatch
from batchjob.records import Record
from batchjob.runs import parse_record


class StateStore(Get, CreateOnce, ReplaceIfMatch, Delete, Protocol):
    """The verbs for the record."""


class OvertakenError(TransientError):
    """Another process advanced the same re-index meanwhile."""


class Phase(StrEnum):
    """What a re-index does next."""

    CREATE = "create"
    LIST = "list"
    LOAD = "load"
    CHECK = "check"
    SWAP = "swap"
    FOLLOW = "follow"
    DONE = "done"
    ABANDONED = "abandoned"


ENDED = (Phase.DONE, Phase.ABANDONED)


class Round(Record):
    """Runs that were frozen together.

    They hold the whole source, or what the runs `covers` hold, or the rows that came back from the rounds `repeats`
    (by number); `depth` says how often those came back. `rows` of all its runs.
    """

    runs: tuple[str, ...]
    rows: int
    covers: tuple[str, ...] = ()
    repeats: tuple[int, ...] = ()
    depth: int = 0


class Reindex(Record):
    """`reindex/<name>.json`. `places` are the sources, `old` and `new` the indexes, `alias` what searches ask.

    `fingerprint` is that of the extraction that fills `new`. `watermark`: the ledger's generation when it began, at
    `watermark_at` or before; the ledger keeps the runs since then. `before`: those of them that the swap came after.
    `retired`: runs that were finished without loading them. Times in ms. `writer` makes each version
    unlike any other.
    """

    format: Literal[1] = 1
    name: str
    kind: Literal["reindex", "rollback"] = "reindex"
    alias: str
    places: tuple[str, ...] = ()
    fingerprint: str
    old: str | None
    new: str
    phase: Phase = Phase.CREATE
    watermark: int = 0
    watermark_at: int = 0
    started_at: int
    swapped_at: int | None = None
    ended_at: int | None = None
    rounds: tuple[Round, ...] = ()
    before: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    writer: str = ""
    sequence: int = 0

    @property
    def building(self) -> str:
        """The private alias through which the new index is filled until it is swapped in."""
        return building_alias(self.alias)

    @property
    def active(self) -> bool:
        return self.phase not in ENDED

    @property
    def covered(self) -> set[str]:
        """Runs since the watermark that a round has taken."""
        return {run for one in self.rounds for run in one.covers}


def building_alias(alias: str) -> str:
    return f"{alias}-building"


def read_state(store: Get, name: str) -> tuple[Reindex, str]:
    """The record and its ETag. Raises UsageError where it is missing or damaged, TransientError."""
    key = layout.reindex(name)
    try:
        with store.open(key) as opened:
            return parse_record(Reindex, key, opened.body.read()), opened.meta.etag
    except ObjectMissingError:
        raise UsageError(
            f"{key} is missing, though {layout.LEDGER} names it: put an earlier version back"
        ) from None


class StateFile:
    """The record as this process read or wrote it last."""

    def __init__(self, store: StateStore, name: str, writer: str) -> None:
        self._store = store
        self._writer = writer
        self.state, self._etag = read_state(store, name)

    def change(self, **update: object) -> Reindex:
        """Raises OvertakenError, TransientError."""
        state = self.state.model_copy(
            update={**update, "writer": self._writer, "sequence": self.state.sequence + 1}
        )
        key = layout.reindex(state.name)
        try:
            self._etag = self._store.replace_if_match(key, state.to_json(), self._etag)
        except PreconditionFailedError:
            raise OvertakenError(
                f"another process advances the re-index {state.name}: try again", cause="reindex"
            ) from None
        self.state = state
        return state
