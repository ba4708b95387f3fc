"""Which rows of a listing, an inventory or a file become rows of a manifest."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True, slots=True)
class Selection:
    """Keys by `prefix` and by `suffixes` in any case (none: all), sizes in bytes, changes in ms since 1970.

    What a row does not say leaves it in: a size that is not known is neither too small nor too large. Deletions have
    no size.
    """

    prefix: str = ""
    suffixes: tuple[str, ...] = ()
    smallest: int | None = None
    largest: int | None = None
    changed_from: int | None = None
    changed_before: int | None = None

    def takes(self, rows: pa.RecordBatch) -> pa.BooleanArray:
        """One truth value a row."""
        found = pc.starts_with(rows["key"], self.prefix)
        if self.suffixes:
            ends = pc.ends_with(rows["key"], self.suffixes[0], ignore_case=True)
            for suffix in self.suffixes[1:]:
                ends = pc.or_(ends, pc.ends_with(rows["key"], suffix, ignore_case=True))
            found = pc.and_(found, ends)
        for limit, column, compare in (
            (self.smallest, "size", pc.greater_equal),
            (self.largest, "size", pc.less_equal),
            (self.changed_from, "event_time", pc.greater_equal),
            (self.changed_before, "event_time", pc.less),
        ):
            if limit is not None:
                found = pc.and_(found, pc.fill_null(compare(rows[column], limit), True))
        return found


@dataclass(slots=True)
class Tally:
    """What became of rows that were read: `passed_over` by the selection, `unchanged` since a former run,

    `older` versions and `deleted` ones (a delete marker is the latest) of an inventory. All others are `rows`.
    """

    read: int = 0
    passed_over: int = 0
    unchanged: int = 0
    older: int = 0
    deleted: int = 0

    @property
    def rows(self) -> int:
        return self.read - self.passed_over - self.unchanged - self.older - self.deleted


def select(batches: Iterable[pa.RecordBatch], selection: Selection, tally: Tally) -> Iterator[pa.RecordBatch]:
    """The rows that the selection takes; the others are counted."""
    for batch in batches:
        taken = batch.filter(selection.takes(batch))
        tally.passed_over += len(batch) - len(taken)
        yield taken
