"""What the shards left: receipts, and the outputs they vouch for (invariant 4)."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from batchjob.errors import TransientError
from batchjob.ports import Get, read_or_none
from batchjob.records import Outcome, Output, Receipt, RunInfo, outcomes_from_parquet
from batchjob.runs import read_receipt


@dataclass(frozen=True, slots=True)
class Item:
    """One bulk body to load; items are numbered over all receipts, so that a checkpoint can name them."""

    number: int
    shard: int
    output: Output
    failures: bool

    @property
    def part(self) -> str:
        """The part's name, for example `part-00000`."""
        return self.output.key.rpartition("/")[2].removesuffix(".ndjson.gz")


def read_receipts(store: Get, run: RunInfo) -> list[Receipt]:
    """Every shard's receipt. Raises TransientError while shards are missing."""
    found = [read_receipt(store, run.run_id, shard) for shard in range(run.shards)]
    missing = [shard for shard, receipt in enumerate(found) if receipt is None]
    if missing:
        names = ", ".join(map(str, missing[:10])) + (", …" if len(missing) > 10 else "")
        raise TransientError(
            f"run {run.run_id}: {len(missing)} of {run.shards} shards are not processed yet ({names}): "
            f"run `batchjob process {run.run_id} --shard N` for each, then reduce again",
            cause="shards_missing",
        )
    return [receipt for receipt in found if receipt is not None]


def items(receipts: Sequence[Receipt]) -> list[Item]:
    outputs = [
        (receipt.shard, output, failures)
        for receipt in receipts
        for group, failures in ((receipt.parts, False), (receipt.failures, True))
        for output in group
    ]
    return [Item(number, *output) for number, output in enumerate(outputs)]


def read_output(store: Get, output: Output) -> bytes:
    """The bytes a receipt vouches for. Raises TransientError where they are missing or damaged."""
    data = read_or_none(store, output.key)
    if data is None:
        raise TransientError(f"{output.key} is missing, though a receipt names it", cause="output_missing")
    if hashlib.sha256(data).hexdigest() != output.sha256:
        raise TransientError(
            f"{output.key} is damaged: its checksum is not the receipt's", cause="output_damaged"
        )
    return data


def read_outcomes(store: Get, receipts: Sequence[Receipt]) -> Iterator[tuple[int, list[Outcome]]]:
    """The outcomes of each shard, shard by shard."""
    for receipt in receipts:
        yield receipt.shard, outcomes_from_parquet(read_output(store, receipt.outcomes))
