"""Rows from anywhere, in any number, to one row an object, in bounded memory: what a run is cut from."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchjob.drain.cost import RATES, Rate, estimated_costs
from batchjob.records import MANIFEST_SCHEMA

PARTITIONS = 64
HELD_BYTES = 32 * 1024 * 1024
"""Rows held before they are spilled, in bytes; fewer rows than that never touch the disk."""
TELLING = (
    "bucket",
    "key",
    "action",
    "version_id",
    "size",
    "etag",
    "event_time",
    "sequencer",
    "attempt",
    "cost",
)
"""Columns that tell two events apart; the same in all of them is the same event, delivered again."""
IPC = pa.ipc.IpcWriteOptions(compression="lz4")


class Spill:
    """Rows by partition: in memory while they are few, then in files of `folder`, which is made."""

    def __init__(self, folder: Path, partitions: int) -> None:
        self._folder = folder
        self._partitions = partitions
        self._held: list[tuple[pa.Table, np.ndarray]] = []
        self._bytes = 0
        self._files: dict[int, pa.ipc.RecordBatchStreamWriter] = {}

    def add(self, rows: pa.Table, partitions: np.ndarray) -> None:
        self._held.append((rows, partitions))
        self._bytes += rows.nbytes
        if self._bytes > HELD_BYTES:
            self._flush()

    def _flush(self) -> None:
        rows = pa.concat_tables([table for table, _ in self._held])
        partitions = np.concatenate([numbers for _, numbers in self._held])
        self._held, self._bytes = [], 0
        order = np.argsort(partitions, kind="stable")
        rows, starts = rows.take(order), np.searchsorted(partitions[order], np.arange(self._partitions + 1))
        for number, (start, end) in enumerate(itertools.pairwise(starts.tolist())):
            if end > start:
                self._file(number, rows.schema).write_table(rows.slice(start, end - start))

    def _file(self, number: int, schema: pa.Schema) -> pa.ipc.RecordBatchStreamWriter:
        if number not in self._files:
            self._folder.mkdir(exist_ok=True)
            path = self._folder / f"{number:04d}.arrow"
            self._files[number] = pa.ipc.new_stream(path, schema, options=IPC)
        return self._files[number]

    def tables(self) -> Iterator[pa.Table]:
        """The rows, each partition whole in one of the tables; to be asked for once, when all are added."""
        if not self._files:
            if self._held:
                yield pa.concat_tables([table for table, _ in self._held])
            return
        if self._held:
            self._flush()
        for writer in self._files.values():
            writer.close()
        for number in sorted(self._files):
            path = self._folder / f"{number:04d}.arrow"
            yield read_ipc(path)
            path.unlink()


def read_ipc(path: Path) -> pa.Table:
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
        return stream.read_all()


class Rows:
    """One row an object, in tables of bounded size; `costs` (CPU seconds) are in the order of the tables' rows.

    `repeated` rows named an object that another row names.
    """

    def __init__(self, places: Sequence[pa.Table | Path], costs: np.ndarray, repeated: int) -> None:
        self._places = places
        self.costs = costs
        self.repeated = repeated

    def __len__(self) -> int:
        return len(self.costs)

    def tables(self) -> Iterator[pa.Table]:
        for place in self._places:
            yield read_ipc(place) if isinstance(place, Path) else place


def gather(batches: Iterable[pa.RecordBatch], scratch: Path, rates: Mapping[str, Rate] = RATES) -> Rows:
    """Reads batches in MANIFEST_SCHEMA, of any length, and keeps one row an object. `scratch`: an empty folder.

    Memory is bounded by the costs (8 bytes a row) and 1/64 of the rows. Raises what reading the batches raises.
    """
    spill, weights, count = Spill(scratch / "gathered", PARTITIONS), Weights(), 0
    for batch in batches:
        count += len(batch)
        rows = without_repeats(pa.Table.from_batches([batch]))
        spill.add(rows, weights.hashes(rows) % np.uint64(PARTITIONS))
    places: list[pa.Table | Path] = []
    costs: list[np.ndarray] = []
    for number, table in enumerate(spill.tables()):
        rows = one_row_an_object(table)
        costs.append(estimated_costs(rows, rates))
        places.append(_store(rows, scratch / f"rows-{number:04d}.arrow"))
    found = np.concatenate(costs) if costs else np.empty(0)
    return Rows(places, found, count - len(found))


def _store(rows: pa.Table, path: Path) -> pa.Table | Path:
    if rows.nbytes <= HELD_BYTES // PARTITIONS:
        return rows
    with pa.ipc.new_stream(path, rows.schema, options=IPC) as writer:
        writer.write_table(rows)
    return path


class Weights:
    """A hash of bucket and key over the bytes of columns: multilinear, with weights that nobody can guess.

    (Lemire and Kaser, Strongly universal string hashing is fast, 2014, https://arxiv.org/abs/1202.4961)
    """

    def __init__(self) -> None:
        self._random = np.random.default_rng()
        self._weights = {name: self._more(1025) for name in ("bucket", "key")}

    def _more(self, count: int) -> np.ndarray:
        return self._random.integers(0, 2**64, count, dtype=np.uint64)

    def hashes(self, rows: pa.Table) -> np.ndarray:
        """32 bits a row, as uint64."""
        sums = sum(self._sums(name, rows[name].combine_chunks()) for name in ("bucket", "key"))
        return np.asarray(sums >> np.uint64(32))

    def _sums(self, name: str, column: pa.StringArray) -> np.ndarray:
        offsets = np.frombuffer(column.buffers()[1], np.int32)[
            column.offset : column.offset + len(column) + 1
        ]
        lengths = np.diff(offsets)
        data = np.frombuffer(column.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
        longest = int(lengths.max(initial=0))
        if longest >= len(self._weights[name]):
            self._weights[name] = np.concatenate([self._weights[name], self._more(longest)])
        weights = self._weights[name]
        places = np.arange(len(data)) - np.repeat(offsets[:-1] - offsets[0], lengths)
        products = np.concatenate([data * weights[places], np.zeros(1, np.uint64)])
        sums = np.add.reduceat(products, offsets[:-1] - offsets[0])
        return np.asarray(np.where(lengths == 0, np.uint64(0), sums) + weights[lengths])


def without_repeats(rows: pa.Table) -> pa.Table:
    """Rows without those that say the same as another: an event may be delivered any number of times."""
    if len(rows) < 2:
        return rows
    numbered = rows.select(TELLING).append_column("place", pa.array(np.arange(len(rows))))
    last = numbered.group_by(list(TELLING), use_threads=False).aggregate([("place", "max")])["place_max"]
    return rows if len(last) == len(rows) else rows.take(np.sort(last.to_numpy()))


def one_row_an_object(rows: pa.Table) -> pa.Table:
    """Of each object the latest event's row, with the most attempts and the greatest cost of its ETag.

    Later is the greater sequencer where two events have one (S3 defines it for one key: the shorter is padded with
    zeros, then texts are compared), else the later event time, else the place. It only is a hint: a worker looks at the
    object.
    """
    if len(rows) < 2:
        return rows
    objects = _numbers(pc.binary_join_element_wise(rows["bucket"], rows["key"], "\n"))
    times = pc.fill_null(rows["event_time"], -1).to_numpy()
    sequencers = _ranks(rows["sequencer"])
    order = np.lexsort((times, sequencers, sequencers >= 0, objects))
    latest = order[_last_of_each(objects[order], sequencers[order] >= 0)]
    latest = latest[np.lexsort((sequencers[latest], times[latest], objects[latest]))]
    chosen = latest[_last_of_each(objects[latest])]
    kept = rows.take(chosen)
    for name, least in (("attempt", 1), ("cost", 0.0)):
        values = pc.fill_null(rows[name], least).to_numpy()
        kept = _set(kept, name, _most(rows, objects, values, chosen))
    return kept


def _most(rows: pa.Table, objects: np.ndarray, values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """At most three attempts are made an object and ETag (invariant 5), so another ETag begins anew.

    The same for the cost, by which a row that may have killed its shard is set apart.
    """
    etags = _numbers(rows["etag"])
    mine = np.zeros(int(objects.max()) + 1, np.int64)
    mine[objects[chosen]] = etags[chosen]
    same = etags == mine[objects]
    most = np.zeros(len(mine), values.dtype)
    np.maximum.at(most, objects[same], values[same])
    return np.asarray(most[objects[chosen]])


def _numbers(column: Any) -> np.ndarray:
    """Equal values, equal numbers; null is a value too."""
    encoded = pc.fill_null(column, "").combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.to_numpy(zero_copy_only=False))


def _ranks(sequencers: pa.ChunkedArray) -> np.ndarray:
    """Greater for later ones; -1 for none."""
    if sequencers.null_count == len(sequencers):
        return np.full(len(sequencers), -1)
    width = pc.max(pc.utf8_length(sequencers)).as_py()
    padded = pc.utf8_rpad(sequencers, width, "0")
    ranks = pc.rank(padded, tiebreaker="dense").to_numpy()
    return np.asarray(np.where(pc.is_null(sequencers).to_numpy(), -1, ranks.astype(np.int64)))


def _last_of_each(*columns: np.ndarray) -> np.ndarray:
    """Marks the last of each group of equal neighbours."""
    differs = np.zeros(len(columns[0]), bool)
    differs[-1:] = True
    for column in columns:
        differs[:-1] |= column[1:] != column[:-1]
    return differs


def _set(rows: pa.Table, name: str, values: np.ndarray) -> pa.Table:
    place = rows.schema.get_field_index(name)
    field = MANIFEST_SCHEMA.field(name)
    return rows.set_column(place, field, pa.array(values, field.type))
