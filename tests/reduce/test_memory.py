"""A run of very many rows is reduced in bounded memory."""

import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchjob import layout
from batchjob.adapters import embedded
from batchjob.adapters.embedded import EmbeddedServer
from batchjob.adapters.folder import FolderStore
from batchjob.process.parts import output
from batchjob.records import OUTCOME_SCHEMA, Receipt, RunInfo, ShardCounts
from tests.support.command import environment

RUN = "20260101T000000Z-aaaaaa"
SHARDS, ROWS = 60, 10_000
MOST_MB = 200
MEASURE = """
import resource, subprocess, sys
code = subprocess.call([sys.executable, "-m", "batchjob", "reduce", sys.argv[1], "--json"])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
sys.exit(code)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    server = embedded.start(tmp_path, keep=False)
    yield server
    server.stop()


def outcomes(shard: int) -> bytes:
    """Rows that need no document in the index."""
    ids = [hashlib.sha256(f"{shard}/{number}".encode()).hexdigest() for number in range(ROWS)]
    told = {
        "doc_id": [one[:40] for one in ids],
        "bucket": ["bucket"] * ROWS,
        "key": [f"files/department/project/{shard}/document number {n}.pdf" for n in range(ROWS)],
        "state": ["skipped"] * ROWS,
        "etag": [f'"{one[:32]}"' for one in ids],
        "sha256": ids,
    }
    columns = [pa.array(told.get(one.name, [None] * ROWS), one.type) for one in OUTCOME_SCHEMA]
    file = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(columns, schema=OUTCOME_SCHEMA), file, compression="zstd")
    return file.getvalue()


def write_run(store: FolderStore) -> None:
    rows = SHARDS * ROWS
    run = RunInfo(run_id=RUN, kind="local", index="documents", fingerprint="f", rows=rows, shards=SHARDS)
    store.put(layout.run_info(RUN), run.to_json())
    for shard in range(SHARDS):
        key, data = layout.outcomes(RUN, shard, "w"), outcomes(shard)
        store.put(key, data)
        receipt = Receipt(
            shard=shard,
            writer="w",
            parts=(),
            failures=(),
            outcomes=output(key, data),
            counts=ShardCounts(rows=ROWS, skipped=ROWS),
            seconds=0.0,
        )
        store.create_once(layout.receipt(RUN, shard), receipt.to_json())


@pytest.mark.slow
def test_600_000_rows_take_no_more_than_200_mb(tmp_path: Path, server: EmbeddedServer) -> None:
    store = FolderStore(tmp_path / "work")
    write_run(store)
    env = environment(work=tmp_path / "work", scratch=tmp_path / "scratch", opensearch_url=server.url)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, RUN], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    *_, answer, peak = done.stdout.splitlines()
    assert json.loads(answer)["skipped"] == SHARDS * ROWS
    assert int(peak) < MOST_MB
    with pq.ParquetFile(tmp_path / "work" / layout.merged_outcomes(RUN)) as merged:
        assert merged.metadata.num_rows == SHARDS * ROWS
        ids = merged.read(columns=["doc_id"])["doc_id"].to_pylist()
    assert ids == sorted(ids)
