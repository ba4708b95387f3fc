"""How far a reducer is, in the bucket, fenced by an epoch (invariant 9)."""

from collections.abc import Iterable
from typing import Protocol

from batchjob import layout
from batchjob.errors import AlreadyExistsError, FencedError, ObjectMissingError, PreconditionFailedError
from batchjob.ports import CreateOnce, Get, ReplaceIfMatch
from batchjob.records import Checkpoint


class CheckpointStore(Get, CreateOnce, ReplaceIfMatch, Protocol):
    """The verbs a checkpoint needs."""


class CheckpointFile:
    """The one checkpoint of a run, held by the reducer that took it over last."""

    def __init__(self, store: CheckpointStore, run_id: str, state: Checkpoint, etag: str) -> None:
        self._store = store
        self._key = layout.checkpoint(run_id)
        self._etag = etag
        self.state = state

    @classmethod
    def take_over(cls, store: CheckpointStore, run_id: str, writer: str) -> "CheckpointFile":
        """Raises the epoch once, at start. Raises FencedError where another reducer starts at the same moment."""
        key = layout.checkpoint(run_id)
        try:
            with store.open(key) as opened:
                before = Checkpoint.model_validate_json(opened.body.read())
                etag = opened.meta.etag
        except ObjectMissingError:
            return cls(store, run_id, *_create(store, key, writer))
        state = before.model_copy(update={"epoch": before.epoch + 1, "writer": writer, "sequence": 0})
        try:
            return cls(store, run_id, state, store.replace_if_match(key, state.to_json(), etag))
        except PreconditionFailedError:
            raise FencedError(f"another reducer of run {run_id} starts at this moment; it goes on") from None

    def advance(self, items: Iterable[int], marked: Iterable[int], requests: int, retries: int) -> None:
        """Marks items as landed. Raises FencedError where a later reducer took over."""
        done = set(self.state.done).union(items)
        prefix = self.state.prefix
        while prefix in done:
            done.remove(prefix)
            prefix += 1
        self._replace(
            prefix=prefix,
            done=tuple(sorted(done)),
            marked=tuple(sorted({*self.state.marked, *marked})),
            requests=self.state.requests + requests,
            retries=self.state.retries + retries,
        )

    def reset(self) -> None:
        """Forgets what landed: the alias moved to another index, or what landed is not there."""
        self._replace(prefix=0, done=(), marked=())

    def confirm(self) -> None:
        """Raises FencedError where a later reducer took over: it may have finished the run already."""
        self._replace()

    def has(self, item: int) -> bool:
        return item < self.state.prefix or item in self.state.done

    def _replace(self, **update: object) -> None:
        state = self.state.model_copy(update={**update, "sequence": self.state.sequence + 1})
        try:
            self._etag = self._store.replace_if_match(self._key, state.to_json(), self._etag)
        except PreconditionFailedError:
            raise FencedError("a later reducer took over this run; it goes on") from None
        self.state = state


def _create(store: CreateOnce, key: str, writer: str) -> tuple[Checkpoint, str]:
    state = Checkpoint(epoch=1, writer=writer)
    try:
        return state, store.create_once(key, state.to_json())
    except AlreadyExistsError:
        raise FencedError("another reducer of this run starts at this moment; it goes on") from None
