"""How quickly one file's history is found in a thousand runs."""

import io
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batchjob import layout
from batchjob.adapters.folder import FolderStore
from batchjob.records import OUTCOME_SCHEMA, FinalState, Outcome, RunInfo, outcomes_to_parquet
from batchjob.reduce.outcomes import MergedFile
from tests.bench.context import BATCHJOB, Context, objects
from tests.bench.measure import Variant, commands, in_turn
from tests.bench.page import Section, timings

ROWS = 10_000
DIFFERENT = 20
"""Files of outcomes that are made; runs share them."""
BUCKET, KEY = "example-bucket", "files/sales/報告書 2026.pdf"
FOUND_IN = 3


def explain(context: Context) -> Section:
    """`batchjob explain` over runs in a folder store, of which three had the object."""
    runs = context.size(1000, 100)
    work = context.scratch / "history"
    make_runs(work, runs, context.scratch)
    output = context.scratch / "explain.json"
    line = [*BATCHJOB, "explain", f"s3://{BUCKET}/{KEY}", "--work", work, "--json"]
    variant = Variant("`batchjob explain`", lambda: commands(line, output=output), runs)
    measured = in_turn([variant], context.rounds)
    [answer] = objects(output)
    found = sum(event["what"] == "indexed" for event in answer["events"])
    if found != FOUND_IN:
        raise RuntimeError(f"{found} runs were found, not {FOUND_IN}")
    return Section(
        "One file's history",
        f"`explain` of an object that {FOUND_IN} of {runs:,} runs of {ROWS:,} rows had, in a folder store, with the "
        f"program's start and without an index. {DIFFERENT} different files of outcomes stand for all. The limit for "
        "1,000 runs is 5 s.",
        timings("run", [variant], measured, []),
    )


def make_runs(work: Path, runs: int, scratch: Path) -> None:
    store = FolderStore(work)
    files = [_outcomes(scratch / f"outcomes-{number}.parquet", number) for number in range(DIFFERENT)]
    wanted = _outcomes(scratch / "wanted.parquet", DIFFERENT, with_object=True)
    info = RunInfo(run_id="-", kind="local", index="i", fingerprint="f", rows=ROWS, shards=1)
    holders = {runs // FOUND_IN * turn for turn in range(FOUND_IN)}
    for number in range(runs):
        run_id = f"20260101T{number // 3600:02d}{number // 60 % 60:02d}{number % 60:02d}Z-{number:06x}"
        folder = work / "runs" / run_id
        store.put(layout.run_info(run_id), info.model_copy(update={"run_id": run_id}).to_json())
        shutil.copyfile(
            wanted if number in holders else files[number % DIFFERENT], folder / "outcomes.parquet"
        )
        (folder / "summary.json").write_text("{}")


def _outcomes(path: Path, seed: int, *, with_object: bool = False) -> Path:
    random = np.random.default_rng(seed)
    ids = [random.bytes(20).hex() for _ in range(ROWS)]
    rows = [
        Outcome(
            *(
                name,
                BUCKET,
                f"files/sales/{name[:12]}.pdf",
                FinalState.INDEXED,
                1,
                1_790_000_000_000,
                f'"{name[:32]}"',
            ),
            size=100_000,
            sha256=name + name[:24],
            page_count=3,
            pages_read=3,
            part="part-00000",
        )
        for name in ids
    ]
    if with_object:
        rows[0] = Outcome(layout.doc_id(BUCKET, KEY), BUCKET, KEY, FinalState.INDEXED, 1, 1_790_000_000_000)
    table = pq.read_table(io.BytesIO(outcomes_to_parquet(rows)), schema=OUTCOME_SCHEMA)
    merged = MergedFile(path)
    merged.add(pa.table(table).sort_by("doc_id"))
    merged.close()
    return path
