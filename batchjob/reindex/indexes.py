"""The two indexes of a re-index: the new one behind its private alias, its settings while it is filled, the swap."""

import re
from typing import Any, Protocol

from batchjob.errors import UsageError
from batchjob.ports import ManageIndex, ReadDocuments, Search
from batchjob.reduce.mapping import HIDE_TOMBSTONES, REPLICAS, index_body
from batchjob.reindex.state import Reindex, building_alias

WHILE_FILLED: dict[str, Any] = {"refresh_interval": "-1", "number_of_replicas": 0}
"""Nobody searches it, and a copy is cheaper to make at the end."""
AFTERWARDS: dict[str, Any] = {"refresh_interval": None, "number_of_replicas": REPLICAS}


class ReindexIndex(ManageIndex, ReadDocuments, Search, Protocol):
    """The verbs of a re-index."""


def next_name(index: ManageIndex, alias: str) -> str:
    """`<alias>-00000N` after all that there are; the first is that of ordinary runs. Raises TransientError."""
    numbers = [
        int(found[1])
        for name in index.indexes(f"{alias}-*")
        if (found := re.fullmatch(re.escape(alias) + r"-(\d{6})", name))
    ]
    return f"{alias}-{max(numbers, default=1) + 1:06d}"


def create_new(index: ManageIndex, state: Reindex, dictionary: tuple[str, ...]) -> None:
    """The empty index behind the building alias. Raises UsageError where something else is behind that."""
    behind = index.resolve(state.building)
    if behind not in (None, state.new):
        raise UsageError(
            f"alias {state.building!r} stands for {behind!r}, which no re-index is filling: delete that index, then "
            "run the same command again"
        )
    body = index_body(state.building, state.fingerprint, dictionary, icu=index.normalises())
    body["settings"]["index"].update(WHILE_FILLED)
    index.create(state.new, body)
    if index.resolve(state.building) != state.new:
        raise UsageError(
            f"index {state.new!r} exists already, and is no re-index's: delete it, or abandon this one"
        )


def restore(index: ManageIndex, state: Reindex) -> None:
    """Makes the new index one that can be searched: refreshes and copies as ever."""
    index.configure(state.new, {"index": AFTERWARDS})
    index.refresh(state.new)


def copied(index: ManageIndex, state: Reindex) -> bool:
    """Whether the new index has its copies, where the old one has."""
    return state.old is None or not index.complete(state.old) or index.complete(state.new)


def swap(index: ManageIndex, state: Reindex) -> None:
    """Moves the alias in one step; searches see the old index or the new one. Raises UsageError, TransientError."""
    behind = index.resolve(state.alias)
    if behind == state.new:
        return
    if behind != state.old:
        raise UsageError(
            f"alias {state.alias!r} stands for {behind!r}, and stood for {state.old!r} when this re-index began: "
            "somebody moved it; `batchjob reindex --abandon`, then begin anew"
        )
    actions: list[dict[str, Any]] = [
        {"add": {"index": state.new, "alias": state.alias, "filter": HIDE_TOMBSTONES}}
    ]
    if state.old is not None:
        actions.insert(0, {"remove": {"index": state.old, "alias": state.alias}})
    if index.resolve(state.building) == state.new:
        actions.append({"remove": {"index": state.new, "alias": state.building}})
    index.change_aliases(actions)


def drop_new(index: ManageIndex, state: Reindex) -> None:
    """Deletes what was being filled. Raises UsageError where searches ask it."""
    if index.resolve(state.alias) == state.new:
        raise UsageError(
            f"{state.new!r} is what searches ask: `batchjob rollback` goes back to {state.old!r}"
        )
    index.drop(state.new)


def check_ready(index: ManageIndex, alias: str) -> str | None:
    """The index behind the alias, None where there is none yet. Raises UsageError."""
    if index.resolve(building_alias(alias)) == index.resolve(alias) is not None:
        raise UsageError(f"alias {building_alias(alias)!r} must not stand for the index that searches ask")
    return index.resolve(alias)
