"""Every row's outcome in order of its document's id, of millions of rows in bounded memory: an external sort.

Document ids are hashes, so ranges of them are filled alike: rows go to one scratch file a range, and each file is
sorted by itself.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batchjob.records import OUTCOME_SCHEMA

ROWS_A_GROUP = 16_384
"""About so many rows are in a range, which is sorted in memory."""
HELD_ROWS = 32_768
"""Rows in memory before they go to their files; fewer would be many tiny pieces."""
ROWS_A_PAGE = 2048
"""Rows of a row group in the merged file: what is read to find one id."""
MOST_RANGES = 512
"""Open files."""
_DIGITS = 4


class OutcomeSorter:
    """Takes outcomes in any order, then gives them range by range. `rows`: about how many there will be."""

    def __init__(self, folder: Path, rows: int) -> None:
        self._folder = folder
        ranges = min(MOST_RANGES, max(1, -(-rows // ROWS_A_GROUP)))
        step = 16**_DIGITS / ranges
        self._bounds = np.array(
            [f"{int(number * step):04x}" for number in range(1, ranges)], dtype=f"S{_DIGITS}"
        )
        self._held: list[pa.Table] = []
        self._files: dict[int, pa.RecordBatchFileWriter] = {}

    def add(self, outcomes: pa.Table) -> None:
        """Rows of OUTCOME_SCHEMA."""
        self._held.append(outcomes)
        if sum(map(len, self._held)) >= HELD_ROWS:
            self._spill()

    def groups(self) -> Iterator[pa.Table]:
        """All rows, sorted by document id, some ten thousand at a time; nothing can be added any more."""
        if not self._files:
            yield from self._in_memory()
            return
        self._spill()
        for writer in self._files.values():
            writer.close()
        for number in sorted(self._files):
            with pa.OSFile(str(self._path(number))) as file:
                yield pa.ipc.open_stream(file).read_all().sort_by("doc_id")
            self._path(number).unlink()

    def _in_memory(self) -> Iterator[pa.Table]:
        rows = pa.concat_tables(self._held or [OUTCOME_SCHEMA.empty_table()]).sort_by("doc_id")
        self._held = []
        for start in range(0, len(rows), ROWS_A_GROUP):
            yield rows.slice(start, ROWS_A_GROUP)

    def _spill(self) -> None:
        if not self._held:
            return
        rows = pa.concat_tables(self._held).sort_by("doc_id").combine_chunks()
        self._held = []
        heads = np.array([name[:_DIGITS] for name in rows["doc_id"].to_pylist()], dtype=f"S{_DIGITS}")
        places = [0, *np.searchsorted(heads, self._bounds).tolist(), len(rows)]
        for number, (start, end) in enumerate(pairwise(places)):
            if end > start:
                self._writer(number).write_table(rows.slice(start, end - start))

    def _writer(self, number: int) -> pa.RecordBatchFileWriter:
        if number not in self._files:
            self._files[number] = pa.ipc.new_stream(str(self._path(number)), OUTCOME_SCHEMA)
        return self._files[number]

    def _path(self, number: int) -> Path:
        return self._folder / f"range-{number:04d}.arrows"


class MergedFile:
    """The merged outcomes as a Parquet file on this machine, in small row groups, so that one id is found quickly."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = pq.ParquetWriter(
            path,
            OUTCOME_SCHEMA,
            compression="zstd",
            sorting_columns=pq.SortingColumn.from_ordering(OUTCOME_SCHEMA, [("doc_id", "ascending")]),
            write_page_index=True,
        )

    def add(self, group: pa.Table) -> None:
        self._writer.write_table(group, ROWS_A_PAGE)

    def close(self) -> None:
        self._writer.close()
