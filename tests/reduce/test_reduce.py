"""The reducer on a real OpenSearch node: final states, what stops it, and who may go on."""

from pathlib import Path
from typing import Any

import opensearchpy
import pytest

from batchjob import layout
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.errors import (
    FencedError,
    MachineError,
    PermanentError,
    TooManyFailedError,
    TransientError,
    UsageError,
)
from batchjob.records import Checkpoint, FinalState, GivenUp, ManifestRow, RunInfo, manifest_from_parquet
from batchjob.reduce.bulk import Operation, Sender, deliver, join_operations
from batchjob.reduce.checkpoint import CheckpointFile
from batchjob.reduce.mapping import HIDE_TOMBSTONES, check_meta, index_body
from batchjob.reduce.retrying import Patience
from tests.support.documents import text_pdf, write_folder
from tests.support.faults import KINDS, FaultPlan, Faults, Kind, SimulatedCrash
from tests.support.pipeline import FINGERPRINT, Pipeline
from tests.support.servers import unique_name

GOOD = text_pdf("a good document")


@pytest.fixture
def pipeline(tmp_path: Path, index: OpenSearchIndex) -> Pipeline:
    return Pipeline(tmp_path / "run", index, unique_name("alias"))


def frozen(pipeline: Pipeline, files: dict[str, bytes], *more: str, marker: bool = True) -> RunInfo:
    bucket = write_folder(pipeline.folder / "source", files, marker=marker)
    return pipeline.freeze([ManifestRow(bucket, name) for name in (*files, *more)], 1)


def states(pipeline: Pipeline, run: RunInfo) -> dict[str, FinalState]:
    return {outcome.key: outcome.state for outcome in pipeline.outcomes(run)}


def shown(client: opensearchpy.OpenSearch, alias: str) -> dict[str, Any]:
    hits = client.search(index=alias, body={"query": {"match_all": {}}, "size": 100})["hits"]["hits"]
    return {hit["_source"]["s3_key"]: hit["_source"] for hit in hits}


def test_the_alias_hides_what_was_deleted(pipeline: Pipeline, client: opensearchpy.OpenSearch) -> None:
    run = frozen(pipeline, {"kept.pdf": GOOD, "leaves.pdf": GOOD})
    pipeline.run(run)
    assert set(shown(client, pipeline.alias)) == {"kept.pdf", "leaves.pdf"}
    (pipeline.folder / "source" / "leaves.pdf").unlink()
    pipeline.run(again := pipeline.freeze([ManifestRow(row, "leaves.pdf") for row in [bucket(pipeline)]], 1))
    assert states(pipeline, again) == {"leaves.pdf": FinalState.DELETED}
    assert set(shown(client, pipeline.alias)) == {"kept.pdf"}


def bucket(pipeline: Pipeline) -> str:
    return (pipeline.folder / "source").resolve().as_uri()


def test_an_absent_file_without_the_marker_is_no_deletion(pipeline: Pipeline) -> None:
    run = frozen(pipeline, {"kept.pdf": GOOD}, "unmounted.pdf", marker=False)
    pipeline.run(run)
    assert states(pipeline, run) == {"kept.pdf": FinalState.INDEXED, "unmounted.pdf": FinalState.REQUEUED}
    with pipeline.store.open(layout.retry_segment(run.run_id, 0)) as opened:
        [row] = manifest_from_parquet(opened.body.read())
    assert (row.key, row.attempt) == ("unmounted.pdf", 2)
    assert row.not_before is not None


def test_the_third_attempt_is_the_last(pipeline: Pipeline, client: opensearchpy.OpenSearch) -> None:
    source = write_folder(pipeline.folder / "source", {}, marker=False)
    run = pipeline.freeze([ManifestRow(source, "unmounted.pdf", attempt=3)], 1)
    pipeline.run(run)
    assert states(pipeline, run) == {"unmounted.pdf": FinalState.FAILED}
    assert shown(client, pipeline.alias)["unmounted.pdf"]["extraction"]["error"]["category"] == "gave_up"
    assert not list(pipeline.store.list("inbox/"))
    with pipeline.store.open(layout.quarantined_row(layout.doc_id(source, "unmounted.pdf"))) as opened:
        given_up = GivenUp.model_validate_json(opened.body.read())
    assert (given_up.run_id, given_up.row["key"], given_up.category) == (
        run.run_id,
        "unmounted.pdf",
        "gave_up",
    )
    (pipeline.folder / "source" / ".batchjob-root").touch()
    pipeline.run(pipeline.freeze([ManifestRow(source, "unmounted.pdf")], 1))
    assert not list(pipeline.store.list("quarantine/"))


def test_a_failure_never_replaces_a_good_document_of_the_same_etag(
    pipeline: Pipeline, client: opensearchpy.OpenSearch
) -> None:
    pipeline.run(frozen(pipeline, {"report.pdf": GOOD}))
    strict = Pipeline(pipeline.folder, pipeline.index, pipeline.alias)
    strict.settings = strict.settings.model_copy(update={"max_bytes": 10})
    run = strict.freeze([ManifestRow(bucket(pipeline), "report.pdf")], 1)
    strict.run(run)
    assert states(pipeline, run) == {"report.pdf": FinalState.KEPT_PREVIOUS}
    assert "a good document" in shown(client, pipeline.alias)["report.pdf"]["content"]


def test_an_object_given_up_unseen_leaves_a_good_document_alone(
    pipeline: Pipeline, client: opensearchpy.OpenSearch
) -> None:
    pipeline.run(frozen(pipeline, {"report.pdf": GOOD}, marker=False))
    (pipeline.folder / "source" / "report.pdf").unlink()
    run = pipeline.freeze([ManifestRow(bucket(pipeline), "report.pdf", attempt=3)], 1)
    pipeline.run(run)
    assert states(pipeline, run) == {"report.pdf": FinalState.KEPT_PREVIOUS}
    assert "a good document" in shown(client, pipeline.alias)["report.pdf"]["content"]


def test_a_failure_replaces_the_document_of_other_content(
    pipeline: Pipeline, client: opensearchpy.OpenSearch
) -> None:
    pipeline.run(frozen(pipeline, {"report.pdf": GOOD}))
    run = frozen(pipeline, {"report.pdf": b"%PDF-1.7 and then nothing"})
    pipeline.run(run)
    assert states(pipeline, run) == {"report.pdf": FinalState.FAILED}
    assert shown(client, pipeline.alias)["report.pdf"]["extraction"]["error"]["category"] == "corrupt"


def rejecting_index(client: opensearchpy.OpenSearch, alias: str) -> str:
    """An index whose mapping refuses documents of projects that are no numbers, and has all that is asked of it."""
    body = index_body(alias, FINGERPRINT)
    body["settings"]["index"]["number_of_replicas"] = 0
    fields = body["mappings"]["properties"]
    project = fields["project"] | {"copy_to": "project_number"}
    body["mappings"]["properties"] = fields | {"project": project, "project_number": {"type": "integer"}}
    name = f"{alias}-000001"
    client.indices.create(index=name, body=body)
    return name


def test_a_documents_own_400_is_rejected_with_its_cause(
    pipeline: Pipeline, client: opensearchpy.OpenSearch
) -> None:
    rejecting_index(client, pipeline.alias)
    source = write_folder(pipeline.folder / "source", {"good.pdf": GOOD, "refused.pdf": GOOD})
    rows = [ManifestRow(source, "good.pdf", project="7"), ManifestRow(source, "refused.pdf", project="x")]
    run = pipeline.freeze(rows, 1)
    summary = pipeline.run(run)
    assert states(pipeline, run) == {"good.pdf": FinalState.INDEXED, "refused.pdf": FinalState.REJECTED}
    assert sum(summary.states.values()) == summary.rows
    with pipeline.store.open(layout.rejected(run.run_id, 0, "part-00000")) as opened:
        text = opened.body.read().decode()
    assert "refused.pdf" in text
    assert "project" in text
    assert "good.pdf" not in text


def test_a_write_block_stops_the_run_with_the_checkpoint_unmoved(
    pipeline: Pipeline, client: opensearchpy.OpenSearch
) -> None:
    pipeline.run(frozen(pipeline, {"first.pdf": GOOD}))
    run = frozen(pipeline, {"second.pdf": GOOD})
    name = f"{pipeline.alias}-000001"
    client.indices.put_settings(index=name, body={"index.blocks.write": True})
    with pytest.raises(MachineError, match="block"):
        pipeline.run(run)
    assert checkpoint(pipeline, run).prefix == 0
    assert not list(pipeline.store.list(f"runs/{run.run_id}/rejected/"))
    client.indices.put_settings(index=name, body={"index.blocks.write": False})
    pipeline.run(run)
    assert "second.pdf" in shown(client, pipeline.alias)


def checkpoint(pipeline: Pipeline, run: RunInfo) -> Checkpoint:
    with pipeline.store.open(layout.checkpoint(run.run_id)) as opened:
        return Checkpoint.model_validate_json(opened.body.read())


@pytest.mark.parametrize("trouble", ["closed", "no write index"])
def test_a_400_of_the_machine_is_no_rejection(
    pipeline: Pipeline, client: opensearchpy.OpenSearch, trouble: str
) -> None:
    pipeline.run(frozen(pipeline, {"first.pdf": GOOD}))
    run = frozen(pipeline, {"second.pdf": GOOD})
    name = f"{pipeline.alias}-000001"
    alias = {"index": name, "alias": pipeline.alias, "filter": HIDE_TOMBSTONES}
    if trouble == "closed":
        client.indices.close(index=name)
    else:
        client.indices.update_aliases(body={"actions": [{"add": {**alias, "is_write_index": False}}]})
    with pytest.raises((MachineError, PermanentError)):
        pipeline.run(run)
    assert not list(pipeline.store.list(f"runs/{run.run_id}/rejected/"))
    if trouble == "closed":
        client.indices.open(index=name)
    else:
        client.indices.update_aliases(body={"actions": [{"add": {**alias, "is_write_index": True}}]})
    pipeline.run(run)
    assert states(pipeline, run) == {"second.pdf": FinalState.INDEXED}


@pytest.mark.parametrize("kind", KINDS)
def test_rejections_survive_every_fault_of_the_reducer(
    pipeline: Pipeline, client: opensearchpy.OpenSearch, tmp_path: Path, kind: Kind
) -> None:
    source = write_folder(pipeline.folder / "source", {"good.pdf": GOOD, "refused.pdf": GOOD})
    rows = [ManifestRow(source, "good.pdf", project="7"), ManifestRow(source, "refused.pdf", project="x")]
    run = pipeline.freeze(rows, 1)
    pipeline.process(run, 0)
    expected = {"good.pdf": FinalState.INDEXED, "refused.pdf": FinalState.REJECTED}
    for at in range(1, 8):
        copy = pipeline.copy_to(tmp_path / f"{kind}-{at}", unique_name("alias"))
        rejecting_index(client, copy.alias)
        faults = Faults(FaultPlan(at, kind))
        try:
            copy.reduce(run, faults)
        except (SimulatedCrash, TransientError, FencedError):
            copy.reduce(run)
        assert states(copy, run) == expected, (at, kind)
        with copy.store.open(layout.rejected(run.run_id, 0, "part-00000")) as opened:
            assert b"refused.pdf" in opened.body.read()
        if len(faults.operations) < at:
            break
    assert at > 4


def test_the_limit_of_rejections_counts_over_attempts(
    pipeline: Pipeline, client: opensearchpy.OpenSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchjob.reduce.load.REJECTIONS_ALLOWED", 1)
    rejecting_index(client, pipeline.alias)
    source = write_folder(pipeline.folder / "source", {"a.pdf": GOOD, "b.pdf": GOOD})
    run = pipeline.freeze([ManifestRow(source, name, project="x") for name in ("a.pdf", "b.pdf")], 2)
    for shard in range(2):
        pipeline.process(run, shard)
    for _ in range(3):
        with pytest.raises(TooManyFailedError):
            pipeline.reduce(run)


def test_an_alias_that_would_show_the_deleted_is_refused(
    pipeline: Pipeline, client: opensearchpy.OpenSearch
) -> None:
    body = index_body(pipeline.alias, FINGERPRINT)
    body["aliases"] = {pipeline.alias: {}}
    client.indices.create(index=f"{pipeline.alias}-000001", body=body)
    with pytest.raises(UsageError, match="deleted_at"):
        pipeline.run(frozen(pipeline, {"first.pdf": GOOD}))


def test_a_deleted_index_is_no_rejection(pipeline: Pipeline, client: opensearchpy.OpenSearch) -> None:
    pipeline.run(frozen(pipeline, {"first.pdf": GOOD}))
    client.indices.delete(index=f"{pipeline.alias}-000001")
    body = join_operations([Operation(b'{"index":{"_id":"1"}}', b"{}")])
    with pytest.raises(UsageError, match="no alias"):
        deliver(Sender(pipeline.index, pipeline.alias), body)


def test_a_reducer_that_was_taken_over_stops(pipeline: Pipeline) -> None:
    run = frozen(pipeline, {"first.pdf": GOOD})
    old = CheckpointFile.take_over(pipeline.store, run.run_id, "old")
    new = CheckpointFile.take_over(pipeline.store, run.run_id, "new")
    with pytest.raises(FencedError):
        old.advance([0], [], 1, 0)
    new.advance([0], [], 1, 0)
    assert (checkpoint(pipeline, run).epoch, checkpoint(pipeline, run).prefix) == (2, 1)


def test_an_alias_that_moved_is_loaded_again(pipeline: Pipeline, client: opensearchpy.OpenSearch) -> None:
    pipeline.run(frozen(pipeline, {"first.pdf": GOOD}))
    other = pipeline.freeze([ManifestRow(bucket(pipeline), "first.pdf")], 1)
    pipeline.process(other, 0)
    checkpointed = 3  # create the checkpoint, bulk, advance
    with pytest.raises(SimulatedCrash):
        pipeline.reduce(other, Faults(FaultPlan(checkpointed, "crash_after")))
    assert checkpoint(pipeline, other).prefix == 1
    moved = index_body(pipeline.alias, FINGERPRINT)
    moved.pop("aliases")
    client.indices.create(index=f"{pipeline.alias}-000002", body=moved)
    actions = [
        {"remove": {"index": f"{pipeline.alias}-000001", "alias": pipeline.alias}},
        {"add": {"index": f"{pipeline.alias}-000002", "alias": pipeline.alias, "filter": HIDE_TOMBSTONES}},
    ]
    client.indices.update_aliases(body={"actions": actions})
    pipeline.run(other)
    assert set(shown(client, pipeline.alias)) == {"first.pdf"}


def test_an_index_filled_under_other_settings_is_refused(pipeline: Pipeline) -> None:
    run = frozen(pipeline, {"first.pdf": GOOD})
    pipeline.run(run)
    other = run.model_copy(update={"fingerprint": "another", "index": pipeline.alias})
    with pytest.raises(UsageError, match="--index NAME"):
        check_meta("name", {"extraction": FINGERPRINT, "mapping": 1}, other.fingerprint)


def test_reducing_before_every_shard_is_processed_says_which_are_missing(pipeline: Pipeline) -> None:
    source = write_folder(pipeline.folder / "source", {"a.pdf": GOOD, "b.pdf": GOOD})
    run = pipeline.freeze([ManifestRow(source, "a.pdf"), ManifestRow(source, "b.pdf")], 2)
    pipeline.process(run, 0)
    with pytest.raises(TransientError, match=r"1 of 2 shards are not processed yet \(1\)"):
        pipeline.reduce(run)


def test_a_damaged_part_is_never_loaded(pipeline: Pipeline) -> None:
    run = frozen(pipeline, {"first.pdf": GOOD})
    pipeline.process(run, 0)
    [part] = [meta.key for meta in pipeline.store.list(f"runs/{run.run_id}/bulk/")]
    pipeline.store.put(part, b"damaged")
    with pytest.raises(TransientError, match="checksum"):
        pipeline.reduce(run)


def test_a_run_that_would_empty_the_index_waits_for_a_word(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchjob.reduce.run.DELETIONS_ALLOWED", 1)
    run = frozen(pipeline, {"kept.pdf": GOOD}, "gone-1.pdf", "gone-2.pdf")
    with pytest.raises(UsageError, match="--allow-deletes"):
        pipeline.run(run)
    assert pipeline.reduce(run, allow_deletes=True).states[FinalState.DELETED] == 2


def test_no_server_ends_within_the_time_for_retries(pipeline: Pipeline) -> None:
    nobody = OpenSearchIndex("http://127.0.0.1:9", timeout=1)
    body = join_operations([Operation(b'{"index":{"_id":"1"}}', b"{}")])
    with pytest.raises(TransientError, match="does not answer"):
        deliver(Sender(nobody, pipeline.alias, patience=Patience(0.5)), body)
