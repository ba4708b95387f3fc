"""What the shards left: receipts, and the outputs they vouch for (invariant 4)."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from batchjob.errors import TransientError
from batchjob.ports import Get, read_or_none
from batchjob.records import Output, Receipt, RunInfo
from batchjob.runs import read_receipt

READERS = 8
"""Small objects that are read at once; each takes some ten milliseconds of waiting."""
Given = TypeVar("Given")
Made = TypeVar("Made")


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
    found = [*in_order(lambda shard: read_receipt(store, run.run_id, shard), range(run.shards))]
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


def in_order(
    action: Callable[[Given], Made], values: Iterable[Given], at_once: int = READERS
) -> Iterator[Made]:
    """What `action` makes of each value, a few of them at once and no more than that in memory."""
    with ThreadPoolExecutor(at_once, thread_name_prefix="read") as pool:
        remaining = iter(values)
        waiting = deque(pool.submit(action, value) for value in islice(remaining, at_once))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(action, value) for value in islice(remaining, 1))
