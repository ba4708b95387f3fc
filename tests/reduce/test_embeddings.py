"""A document without its vector is found by its words at once, and by its meaning after it came back in a run."""

from pathlib import Path

from batchjob import layout
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.errors import TransientError
from batchjob.operate.search import Hit, find
from batchjob.operate.vector import find_near, query_vector
from batchjob.records import FinalState, ManifestRow, manifest_from_parquet
from tests.support.documents import text_pdf, write_folder
from tests.support.embedders import PairEmbedder
from tests.support.pipeline import Pipeline
from tests.support.servers import unique_name


def keys(hits: list[Hit]) -> list[str]:
    return [hit.s3_key for hit in hits]


def test_an_enrichment_fills_in_what_was_missing(tmp_path: Path, opensearch_url: str) -> None:
    index, embedder = OpenSearchIndex(opensearch_url), PairEmbedder()
    pipeline = Pipeline(tmp_path, index, unique_name("alias"), embedder=embedder)
    files = {"lease.pdf": text_pdf("renewal of the lease"), "pump.pdf": text_pdf("stop the pump first")}
    bucket = write_folder(tmp_path / "source", files)
    embedder.trouble = {"lease": TransientError("no answer", cause="timeout")}

    first = pipeline.freeze([ManifestRow(bucket, name) for name in files], 1)
    summary = pipeline.run(first)
    index.refresh(pipeline.alias)

    assert (summary.states[FinalState.INDEXED], summary.states[FinalState.REQUEUED]) == (1, 1)
    assert keys(find(index, pipeline.alias, "lease", 5).hits) == ["lease.pdf"]
    embedder.trouble = {}
    vector = query_vector(index, pipeline.alias, "renewal of a lease", embedder)
    assert keys(find_near(index, pipeline.alias, vector, 5).hits) == ["pump.pdf"]

    with pipeline.store.open(layout.retry_segment(first.run_id, 0)) as opened:
        rows = manifest_from_parquet(opened.body.read())
    assert [(row.key, row.attempt) for row in rows] == [("lease.pdf", 2)]
    summary = pipeline.run(second := pipeline.freeze(rows, 1))
    index.refresh(pipeline.alias)

    assert summary.states[FinalState.INDEXED] == 1
    assert [outcome.cached for outcome in pipeline.outcomes(second)] == [True]
    assert keys(find_near(index, pipeline.alias, vector, 5).hits) == ["lease.pdf", "pump.pdf"]
    index.close()
