"""Freezes made-up rows as runs: ROWS SHARDS FOLDER; 0 shards: as many as their cost asks for. Prints what came out."""

import json
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.drain.commit import Intake, commit_rows
from batchjob.drain.freeze import Target
from batchjob.drain.ledger import read_ledger
from batchjob.records import MANIFEST_SCHEMA
from batchjob.settings import Settings

BATCH = 50_000
REPEATED = 20
"""One row in so many is of an object that came before."""
ENDINGS = (".pdf", ".pdf", ".pdf", ".PDF", ".jpg", ".tif", ".xdw")


def batches(rows: int) -> Iterator[pa.RecordBatch]:
    """Keys of about 60 bytes, sizes as in a file share: most below 1 MB, some of hundreds."""
    random = np.random.default_rng(1)
    for start in range(0, rows, BATCH):
        numbers = np.arange(start, min(start + BATCH, rows))
        numbers[::REPEATED] //= 2
        given = {
            "bucket": ["example-bucket"] * len(numbers),
            "key": [
                f"files/部{n % 37}/project-{n % 991}/報告書 {n:08d}{ENDINGS[n % 7]}" for n in numbers.tolist()
            ],
            "action": ["upsert"] * len(numbers),
            "size": np.exp(random.normal(12.0, 1.6, len(numbers))).astype(np.int64),
            "etag": [f"{n:032x}" for n in numbers.tolist()],
            "event_time": numbers + 1_790_000_000_000,
            "attempt": np.ones(len(numbers), np.int32),
        }
        yield pa.RecordBatch.from_arrays(
            [
                pa.array(given[field.name], field.type)
                if field.name in given
                else pa.nulls(len(numbers), field.type)
                for field in MANIFEST_SCHEMA
            ],
            schema=MANIFEST_SCHEMA,
        )


def main() -> None:
    rows, shards, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    store = FolderStore(folder / "work")
    target = Target("incremental", "documents", "0123456789abcdef")
    intake = Intake(target, "bench", Settings().shard_cost, shards or None, folder / "scratch")
    done = commit_rows(intake, store, SystemClock(), batches(rows))
    assert list(read_ledger(store).open) == [run.run_id for run in done.runs]
    told = {
        "rows": done.rows,
        "repeated": done.repeated,
        "runs": len(done.runs),
        "shards": sum(run.shards for run in done.runs),
        "imbalance": done.imbalance,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
