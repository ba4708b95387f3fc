"""Runs as their shards leave them, made up without any document: bulk parts, outcomes, receipts, manifests."""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from batchjob import layout
from batchjob.ports import Store
from batchjob.process.document import bulk_lines
from batchjob.process.parts import PartWriter, output
from batchjob.records import (
    FinalState,
    ManifestRow,
    Outcome,
    Receipt,
    RunInfo,
    ShardCounts,
    manifest_to_parquet,
    outcomes_to_parquet,
)

BUCKET = "made-up"
WORDS = [
    "請求書",
    "見積書",
    "東京都",
    "会議",
    "議事録",
    "invoice",
    "report",
    "meeting",
    "quarter",
    "設計",
    "図面",
    "契約",
]
COUNTED = {
    FinalState.INDEXED: "documents",
    FinalState.DELETED: "deletions",
    FinalState.FAILED: "failures",
    FinalState.REQUEUED: "requeued",
    FinalState.SKIPPED: "skipped",
}


@dataclass(frozen=True)
class Row:
    """A row to be: its key, how its shard ended it, when it was observed, and its text.

    `spoil` changes its document so that the index refuses it.
    """

    key: str
    state: FinalState = FinalState.INDEXED
    observed_at: int = 1_000
    text: str = ""
    attempt: int = 1
    spoil: Callable[[dict[str, Any]], dict[str, Any] | bytes] | None = None

    @property
    def doc_id(self) -> str:
        return layout.doc_id(BUCKET, self.key)


def wrong_size(document: dict[str, Any]) -> dict[str, Any]:
    """Contradicts the mapping."""
    return document | {"size": "no number"}


def unknown_field(document: dict[str, Any]) -> dict[str, Any]:
    """Has no place in the mapping."""
    return document | {"no_such_field": 1}


def text_of(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def document(row: Row) -> dict[str, Any]:
    common = {"file_id": row.doc_id, "s3_key": row.key}
    if row.state is FinalState.DELETED:
        return {**common, "deleted_at": row.observed_at}
    status = "failed" if row.state is FinalState.FAILED else "ok"
    return {
        **common,
        "bucket": BUCKET,
        "etag": etag(row),
        "content": row.text,
        "content_sha256": sha256(row),
        "size": len(row.text),
        "extraction": {"status": status, "seconds": 0.1 * len(row.key)},
    }


def etag(row: Row) -> str:
    return f'"{hashlib.md5(row.key.encode()).hexdigest()}"'  # noqa: S324 - as S3 does


def sha256(row: Row) -> str:
    return hashlib.sha256(row.text.encode()).hexdigest()


def lines(row: Row) -> bytes:
    if row.state in (FinalState.REQUEUED, FinalState.SKIPPED):
        return b""
    made = document(row)
    spoiled = row.spoil(made) if row.spoil else made
    if isinstance(spoiled, bytes):
        return bulk_lines(made, row.observed_at).split(b"\n")[0] + b"\n" + spoiled + b"\n"
    return bulk_lines(spoiled, row.observed_at)


def outcome(row: Row, part: str | None) -> Outcome:
    made = Outcome(
        *(row.doc_id, BUCKET, row.key, row.state, row.attempt),
        etag=etag(row),
        sha256=None if row.state is FinalState.DELETED else sha256(row),
        part=part,
        observed_at=row.observed_at,
    )
    return replace(made, observed_at=None) if row.state is FinalState.REQUEUED else made


def make_run(
    store: Store, name: str, alias: str, fingerprint: str, shards: Sequence[Sequence[Row]], part_bytes: int
) -> RunInfo:
    """Writes what the shards of a run would have left, and returns the run."""
    rows = sum(map(len, shards))
    run = RunInfo(
        run_id=name, kind="local", index=alias, fingerprint=fingerprint, rows=rows, shards=len(shards)
    )
    store.put(layout.run_info(name), run.to_json())
    for number, shard in enumerate(shards):
        _make_shard(store, name, number, shard, part_bytes)
    return run


def _make_shard(store: Store, name: str, number: int, rows: Sequence[Row], part_bytes: int) -> None:
    writers = {
        kind: PartWriter(store, name, number, "writer", kind, part_bytes) for kind in ("part", "failures")
    }
    outcomes = []
    for row in rows:
        writer = writers["failures" if row.state is FinalState.FAILED else "part"]
        made = lines(row)
        outcomes.append(outcome(row, writer.add(made) if made else None))
    for writer in writers.values():
        writer.flush()
    manifest = [ManifestRow(BUCKET, row.key) for row in rows]
    store.put(layout.manifest(name, number), manifest_to_parquet(manifest))
    key, data = layout.outcomes(name, number, "writer"), outcomes_to_parquet(outcomes)
    store.put(key, data)
    counts = {COUNTED[state]: sum(row.state is state for row in rows) for state in COUNTED}
    receipt = Receipt(
        shard=number,
        writer="writer",
        parts=tuple(writers["part"].outputs),
        failures=tuple(writers["failures"].outputs),
        outcomes=output(key, data),
        counts=ShardCounts(rows=len(rows), **counts),
        seconds=0.0,
    )
    store.create_once(layout.receipt(name, number), receipt.to_json())


def rejected_ids(store: Store, run: RunInfo) -> list[str]:
    """Ids in rejected/, sorted; one that is there twice is here twice."""
    found = []
    for meta in store.list(f"runs/{run.run_id}/rejected/"):
        with store.open(meta.key) as opened:
            found += [orjson.loads(line)["doc_id"] for line in opened.body.read().splitlines()]
    return sorted(found)
