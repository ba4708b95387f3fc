"""What a run would be, take and cost, told from rows that nothing is made of."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from batchjob.drain.cost import TYPES, USUAL_BYTES, Rate, types_of
from batchjob.drain.cut import cut, cut_evenly
from batchjob.drain.gather import gather
from batchjob.drain.inbox import ReadStore, list_segments, read_segments, sort_by_due
from batchjob.drain.ledger import read_ledger
from batchjob.errors import UsageError
from batchjob.ports import MAX_CHILDREN

QUEUED_TYPE = ".pdf"
"""What a message is taken for where no rows say what documents are usual."""


class Price(BaseModel):
    """A vCPU for an hour, in the currency of the file."""

    model_config = ConfigDict(extra="forbid")

    on_demand: float
    spot: float


class Prices(BaseModel):
    """Prices; `noted` is the day when they were written into the file, `vcpu_hour` is by family of machines."""

    model_config = ConfigDict(extra="forbid")

    region: str
    currency: str
    noted: date
    source: str
    vcpu_hour: dict[str, Price]


def read_prices(path: Path | None = None) -> Prices:
    """The prices in a file, or those that came with the program. Raises UsageError."""
    try:
        data = path.read_bytes() if path else files("batchjob.operate").joinpath("prices.json").read_bytes()
        return Prices.model_validate_json(data)
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "JSON"
        raise UsageError(f"{path} is no file of prices: {place}: {first['msg']}") from None


@dataclass(frozen=True, slots=True)
class Kind:
    """Documents of a type, and the CPU seconds that they are estimated to take."""

    documents: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be indexed. `queued` are the messages that are counted in as rows of usual cost.

    `repeated` rows name an object that another row names. `loads` are the shards' CPU seconds, `heaviest_row` those of
    the dearest document.
    """

    rows: int
    queued: int
    repeated: int
    kinds: Mapping[str, Kind]
    loads: np.ndarray
    heaviest_row: float
    imbalance: float

    @property
    def cpu_seconds(self) -> float:
        return float(self.loads.sum())

    @property
    def shards(self) -> int:
        return len(self.loads)

    @property
    def runs(self) -> int:
        return math.ceil(self.shards / MAX_CHILDREN)

    def seconds(self, vcpus: int, vcpus_a_job: int) -> float:
        """Wall time with so many vCPUs, from the first job's start to the last one's end.

        Shards go to the job that is free first, the dearest first; a document keeps one worker busy, so no time is
        shorter than that of the dearest. Without waiting for machines, downloads, embeddings and the reducer.
        """
        if not self.shards:
            return 0.0
        jobs = max(1, vcpus // vcpus_a_job)
        busiest = float(cut(self.loads, jobs).loads.max()) / min(vcpus, vcpus_a_job)
        return max(busiest, self.heaviest_row)

    def price(self, vcpu_hour: float) -> float:
        """For the CPU time alone: what a machine costs while it waits comes on top, as do storage and requests."""
        return self.cpu_seconds / 3600 * vcpu_hour


def plan(
    batches: Iterable[pa.RecordBatch],
    scratch: Path,
    rates: Mapping[str, Rate],
    *,
    shard_cost: float,
    queued: int = 0,
) -> Plan:
    """Plans rows in MANIFEST_SCHEMA as `drain` would cut them, and `queued` messages of which nobody knows more.

    `scratch` is an empty folder. Memory is bounded as in drain.gather. Raises what reading the batches raises.
    """
    rows = gather(batches, scratch, rates)
    usual = rates[QUEUED_TYPE].of(None, USUAL_BYTES) if not len(rows) else float(rows.costs.mean())
    costs = np.concatenate([rows.costs, np.full(queued, usual)])
    if not len(costs):
        return Plan(0, 0, rows.repeated, {}, np.zeros(0), 0.0, 1.0)
    pieces = cut_evenly(costs, shard_cost)
    numbers, sums = np.zeros(len(TYPES), np.int64), np.zeros(len(TYPES))
    start = 0
    for table in rows.tables():
        types = types_of(table["key"])
        numbers += np.bincount(types, minlength=len(TYPES))
        sums += np.bincount(types, rows.costs[start : start + len(table)], minlength=len(TYPES))
        start += len(table)
    kinds = {name: Kind(int(n), float(s)) for name, n, s in zip(TYPES, numbers, sums, strict=True) if n}
    return Plan(len(rows), queued, rows.repeated, kinds, pieces.loads, float(costs.max()), pieces.imbalance)


def waiting_rows(store: ReadStore, now: int) -> Iterable[pa.RecordBatch]:
    """The rows of the inbox that the next drain would take. Raises SegmentsDamagedError, TransientError."""
    adopted = read_ledger(store).adopted
    pending = [key for key in list_segments(store) if key not in adopted]
    return read_segments(store, sort_by_due(store, pending, now).due)
