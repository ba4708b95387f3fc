"""What a row will cost, in CPU seconds, from its size and type: shards are cut by it, plans are told in it."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from batchjob import layout
from batchjob.ports import Get, Put, read_or_none
from batchjob.records import Action, Calibration, FinalState, ManifestRow, Measured, RunInfo
from batchjob.runs import read_receipt
from batchjob.settings import SUFFIXES

MEGABYTE = 1_000_000
DELETION_SECONDS = 0.02
MOST = 1e9
"""A given cost above this, or none at all, is no cost."""
OTHER = "other"
TYPES = (OTHER, *SUFFIXES)
"""What documents are told apart by: the end of the key."""
FEW = 50
"""Documents of a type below which its measured costs say too little."""
HALF_LIFE = 0.5
"""What an earlier run's measurements weigh beside those of the next one."""
SHARDS_READ = 20
MEASURED_COLUMNS = ("state", "key", "size", "reading_seconds")


class CalibrationStore(Get, Put, Protocol):
    """The verbs for what is known of costs."""


@dataclass(frozen=True, slots=True)
class Rate:
    """CPU seconds for a document of a type, and for each megabyte of it."""

    document: float
    megabyte: float

    def of(self, size: int | None, usual: int) -> float:
        return self.document + self.megabyte * (usual if size is None else size) / MEGABYTE


SCANS = Rate(0.5, 10.0)
PICTURE = Rate(1.2, 0.3)
RATES = {
    **dict.fromkeys(SUFFIXES, SCANS),
    ".pdf": Rate(0.1, 10.0),
    ".jpg": PICTURE,
    ".jpeg": PICTURE,
    ".png": PICTURE,
    OTHER: Rate(0.5, 5.0),
}
"""Before anything was measured: a scanned page takes about a second (docs/benchmarks.md) and 100,000 bytes."""
USUAL_BYTES = 100_000
"""Assumed where a row does not say its size."""


def estimated_costs(rows: pa.RecordBatch | pa.Table, rates: Mapping[str, Rate] = RATES) -> np.ndarray:
    """CPU seconds a row; a row that brings its own `cost` keeps it."""
    types = _types(rows["key"])
    sizes = pc.fill_null(rows["size"], USUAL_BYTES).to_numpy(zero_copy_only=False) / MEGABYTE
    documents = np.array([rates[name].document for name in TYPES])
    megabytes = np.array([rates[name].megabyte for name in TYPES])
    costs = documents[types] + megabytes[types] * sizes
    deletions = pc.equal(rows["action"], Action.DELETE.value).to_numpy(zero_copy_only=False)
    given = pc.fill_null(rows["cost"], 0.0).to_numpy(zero_copy_only=False)
    estimated = np.where(deletions, DELETION_SECONDS, np.maximum(costs, DELETION_SECONDS))
    return np.asarray(np.where((given > 0) & (given <= MOST), given, estimated))


def _types(keys: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """A number a key: the place of its type in TYPES."""
    types = np.zeros(len(keys), np.int8)
    for number, suffix in enumerate(SUFFIXES, 1):
        types[pc.ends_with(keys, suffix, ignore_case=True).to_numpy(zero_copy_only=False)] = number
    return types


def type_of(key: str) -> str:
    """The type that a key's cost is estimated by."""
    return next((suffix for suffix in SUFFIXES if key.lower().endswith(suffix)), OTHER)


def estimated_cost(row: ManifestRow, rates: Mapping[str, Rate] = RATES) -> float:
    """CPU seconds of one row."""
    if 0 < row.cost <= MOST:
        return row.cost
    if row.action is Action.DELETE:
        return DELETION_SECONDS
    return max(DELETION_SECONDS, rates[type_of(row.key)].of(row.size, USUAL_BYTES))


def read_rates(store: Get) -> Mapping[str, Rate]:
    """Rates as earlier runs measured them, the built-in ones for types with few documents. Raises TransientError."""
    measured = _known(store).types
    return RATES | {name: _fit(sums) for name, sums in measured.items() if sums.documents >= FEW}


def _known(store: Get) -> Calibration:
    """Nothing where the file is damaged: costs are only estimates, and are soon learned again."""
    try:
        return Calibration.model_validate_json(read_or_none(store, layout.CALIBRATION) or b"{}")
    except ValidationError:
        return Calibration()


def _fit(sums: Measured) -> Rate:
    """Least squares of seconds over megabytes, neither term below 0.

    (https://en.wikipedia.org/wiki/Simple_linear_regression)
    """
    count, x, y = sums.documents, sums.megabytes, sums.seconds
    spread = count * sums.megabytes_squared - x * x
    slope = (count * sums.megabytes_seconds - x * y) / spread if spread > 1e-9 else 0.0
    offset = (y - slope * x) / count
    if slope < 0:
        return Rate(y / count, 0.0)
    if offset < 0:
        return Rate(0.0, y / x)
    return Rate(offset, slope)


def learn_costs(store: CalibrationStore, run: RunInfo) -> None:
    """Adds what a finished run's documents took to what is known; a race with another run loses one of the two.

    A sample of the shards is read. Raises TransientError.
    """
    known = _known(store).types
    fresh: dict[str, Measured] = {}
    for shard in range(0, run.shards, -(-run.shards // SHARDS_READ)):
        receipt = read_receipt(store, run.run_id, shard)
        outcomes = None if receipt is None else read_or_none(store, receipt.outcomes.key)
        if outcomes is not None:
            _measure(pq.read_table(io.BytesIO(outcomes), columns=list(MEASURED_COLUMNS)), fresh)
    if fresh:
        types = known | {
            name: _sum(known.get(name, Measured()), sums, HALF_LIFE) for name, sums in fresh.items()
        }
        store.put(layout.CALIBRATION, Calibration(types=types).to_json())


def _measure(outcomes: pa.Table, sums: dict[str, Measured]) -> None:
    indexed = pc.equal(outcomes["state"], FinalState.INDEXED.value)
    read = outcomes.filter(pc.and_(indexed, pc.greater(outcomes["reading_seconds"], 0.0)))
    types = _types(read["key"])
    sizes = pc.fill_null(read["size"], 0).to_numpy() / MEGABYTE
    seconds = read["reading_seconds"].to_numpy()
    for number, name in enumerate(TYPES):
        x, y = sizes[types == number], seconds[types == number]
        if len(x):
            found = Measured(
                documents=len(x),
                megabytes=x.sum(),
                seconds=y.sum(),
                megabytes_squared=(x * x).sum(),
                megabytes_seconds=(x * y).sum(),
            )
            sums[name] = _sum(sums.get(name, Measured()), found, 1.0)


def _sum(before: Measured, found: Measured, weight: float) -> Measured:
    """`weight`: of what was known before."""
    earlier = before.model_dump()
    return Measured(**{name: weight * earlier[name] + value for name, value in found.model_dump().items()})
