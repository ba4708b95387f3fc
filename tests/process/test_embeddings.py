"""A shard's embeddings: no vector of zeros, nothing embedded or read twice, an outage blames no document."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from batchjob.adapters.folder import FolderStore
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.errors import TextRefusedError, TransientError, UsageError
from batchjob.records import MAX_ATTEMPTS, FinalState, ManifestRow, Outcome, RunInfo, outcomes_from_parquet
from batchjob.runs import read_receipt
from tests.support.documents import text_pdf, write_folder
from tests.support.embedders import PairEmbedder
from tests.support.pipeline import Pipeline

TIMEOUT = TransientError("no answer", cause="timeout")
OUTAGE = TransientError("no answer", cause="embedder_unavailable")


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    index = OpenSearchIndex("http://127.0.0.1:9")  # a shard never asks it
    yield Pipeline(tmp_path / "run", index, "alias", embedder=PairEmbedder())
    index.close()


class Shard:
    """What a run of one shard left behind."""

    def __init__(self, pipeline: Pipeline, files: dict[str, bytes], attempt: int = 1) -> None:
        bucket = write_folder(pipeline.folder / "source", files)
        rows = [ManifestRow(bucket, name, attempt=attempt) for name in files]
        self.run = pipeline.freeze(rows, 1)
        pipeline.process(self.run, 0)
        self.outcomes, self.documents = results(pipeline.store, self.run)


def results(store: FolderStore, run: RunInfo) -> tuple[dict[str, Outcome], dict[str, dict[str, Any]]]:
    receipt = read_receipt(store, run.run_id, 0)
    assert receipt is not None
    with store.open(receipt.outcomes.key) as opened:
        outcomes = outcomes_from_parquet(opened.body.read())
    documents = {}
    for part in (*receipt.parts, *receipt.failures):
        with store.open(part.key) as opened:
            lines = gzip.decompress(opened.body.read()).splitlines()
        documents |= {document["s3_key"]: document for document in map(orjson.loads, lines[1::2])}
    return {outcome.key: outcome for outcome in outcomes}, documents


def embedder_of(pipeline: Pipeline) -> PairEmbedder:
    assert isinstance(pipeline.embedder, PairEmbedder)
    return pipeline.embedder


def test_documents_have_a_unit_vector_or_a_reason(pipeline: Pipeline) -> None:
    shard = Shard(
        pipeline, {"a.pdf": text_pdf("some words"), "blank.pdf": text_pdf("- — -"), "b.pdf": b"broken"}
    )

    assert np.isclose(np.linalg.norm(shard.documents["a.pdf"]["embedding"]), 1, atol=1e-4)
    assert shard.documents["a.pdf"]["embedding_status"] == "ok"
    assert shard.documents["blank.pdf"]["embedding_status"] == "no_text"
    assert "embedding" not in shard.documents["blank.pdf"]
    assert "embedding" not in shard.documents["b.pdf"]
    assert shard.outcomes["a.pdf"].embedding_calls == 1
    assert shard.outcomes["a.pdf"].embedding_tokens > 0
    assert shard.outcomes["blank.pdf"].embedding_status == "no_text"


def test_without_an_embedder_the_document_says_so(pipeline: Pipeline) -> None:
    pipeline.embedder = None
    shard = Shard(pipeline, {"a.pdf": text_pdf("some words")})

    assert shard.documents["a.pdf"]["embedding_status"] == "none"
    assert "embedding" not in shard.documents["a.pdf"]


def test_a_full_cache_asks_the_embedder_nothing_and_another_model_reads_nothing(pipeline: Pipeline) -> None:
    files = {f"{n}.pdf": text_pdf(f"words of document {n}") for n in range(3)}
    first = Shard(pipeline, files)
    assert embedder_of(pipeline).calls == 3

    again = Shard(pipeline, files)
    assert embedder_of(pipeline).calls == 3
    assert [d["embedding"] for d in again.documents.values()] == [
        d["embedding"] for d in first.documents.values()
    ]

    pipeline.embedder = PairEmbedder("another model")
    other = Shard(pipeline, files)
    assert embedder_of(pipeline).calls == 3
    assert all(outcome.cached for outcome in other.outcomes.values())


def test_what_could_not_be_embedded_is_indexed_and_comes_back(pipeline: Pipeline) -> None:
    files = {f"{n}.pdf": text_pdf(f"words of document {n}") for n in range(3)}
    embedder_of(pipeline).trouble = {"document 1": TIMEOUT}
    shard = Shard(pipeline, files)

    outcome, document = shard.outcomes["1.pdf"], shard.documents["1.pdf"]
    assert (outcome.state, outcome.category) == (FinalState.REQUEUED, "timeout")
    assert "without an embedding: no answer" in str(outcome.message)
    assert document["content"] == "words of document 1"
    assert (document["embedding_status"], "embedding" in document) == ("missing", False)
    assert [shard.outcomes[f"{n}.pdf"].state for n in (0, 2)] == [FinalState.INDEXED] * 2

    embedder_of(pipeline).trouble = {}
    again = Shard(pipeline, files, attempt=2)
    assert again.outcomes["1.pdf"].cached
    assert again.documents["1.pdf"]["embedding_status"] == "ok"
    assert embedder_of(pipeline).calls == 3


@pytest.mark.parametrize(
    ("trouble", "attempt"),
    [(TextRefusedError("a bad text"), 1), (TIMEOUT, MAX_ATTEMPTS)],
    ids=["refused", "given up"],
)
def test_what_will_never_be_embedded_is_indexed_without(
    pipeline: Pipeline, trouble: TransientError, attempt: int
) -> None:
    embedder_of(pipeline).trouble = {"words": trouble}
    shard = Shard(pipeline, {"a.pdf": text_pdf("some words"), "b.pdf": text_pdf("more")}, attempt)

    outcome = shard.outcomes["a.pdf"]
    assert (outcome.state, outcome.embedding_status) == (FinalState.INDEXED, "missing")
    assert str(trouble) in str(outcome.message)


def test_an_outage_of_the_embedder_stops_the_shard_and_blames_no_row(pipeline: Pipeline) -> None:
    embedder_of(pipeline).trouble = {"words": OUTAGE}
    with pytest.raises(TransientError, match="no document is blamed"):
        Shard(pipeline, {f"{n}.pdf": text_pdf(f"words {n}") for n in range(3)})

    embedder_of(pipeline).trouble = {"words 0": OUTAGE}
    files = {f"{n}.pdf": text_pdf(f"words {n}") for n in range(3)}
    assert Shard(pipeline, files, MAX_ATTEMPTS).outcomes["0.pdf"].state is FinalState.REQUEUED


def test_a_wrong_setup_stops_the_shard(pipeline: Pipeline) -> None:
    embedder_of(pipeline).trouble = {"words": UsageError("no such model")}
    with pytest.raises(UsageError, match="no such model"):
        Shard(pipeline, {"a.pdf": text_pdf("some words")})


def test_a_run_under_another_embedder_is_refused(pipeline: Pipeline) -> None:
    bucket = write_folder(pipeline.folder / "source", {"a.pdf": text_pdf("a")})
    run = pipeline.freeze([ManifestRow(bucket, "a.pdf")], 1)
    pipeline.embedder = PairEmbedder("another model")
    with pytest.raises(UsageError, match="BATCHJOB_EMBEDDER"):
        pipeline.process(run, 0)


def test_a_damaged_cache_entry_is_a_miss(pipeline: Pipeline) -> None:
    files = {"a.pdf": text_pdf("some words")}
    Shard(pipeline, files)
    [entry] = [meta.key for meta in pipeline.store.list("cache/embed/")]
    pipeline.store.put(entry, b"0" * 64 + b"\n{}")

    assert Shard(pipeline, files).documents["a.pdf"]["embedding_status"] == "ok"
    assert embedder_of(pipeline).calls == 2
