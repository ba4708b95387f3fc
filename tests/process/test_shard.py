"""A shard: receipts under competing writers, outages, the cache, scratch folders, and the documents it makes."""

import gzip
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchjob import layout
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.errors import TransientError, UsageError
from batchjob.ports import Get, ObjectMeta, Opened
from batchjob.process.cache import ContentCache, recall_content, remember_content
from batchjob.process.document import cut_text, language
from batchjob.process.parts import MAX_RAW_BYTES, PartWriter
from batchjob.process.shard import OutageWatch
from batchjob.records import FinalState, ManifestRow, RunInfo, manifest_from_parquet, outcomes_from_parquet
from batchjob.runs import read_receipt
from batchjob.scratch import scratch_folder, sweep
from tests.support.documents import text_pdf, write_folder
from tests.support.faults import FaultPlan, Faults, SimulatedCrash
from tests.support.pipeline import Pipeline

META = ObjectMeta("key", 3, '"etag"', datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    index = OpenSearchIndex("http://127.0.0.1:9")  # a shard never asks it
    yield Pipeline(tmp_path / "run", index, "alias")
    index.close()


def frozen(pipeline: Pipeline, files: dict[str, bytes], *, marker: bool = True, shards: int = 1) -> RunInfo:
    bucket = write_folder(pipeline.folder / "source", files, marker=marker)
    return pipeline.freeze([ManifestRow(bucket, name) for name in files], shards)


def test_the_receipt_of_the_first_writer_stands(pipeline: Pipeline) -> None:
    run = frozen(pipeline, {"a.pdf": text_pdf("a")})
    pipeline.process(run, 0)
    first = read_receipt(pipeline.store, run.run_id, 0)
    pipeline.process(run, 0)
    assert read_receipt(pipeline.store, run.run_id, 0) == first


def test_writers_that_race_leave_one_receipt_whose_outputs_are_whole(pipeline: Pipeline) -> None:
    run = frozen(pipeline, {f"{n}.pdf": text_pdf(f"text {n}") for n in range(3)})
    racers = [threading.Thread(target=pipeline.process, args=(run, 0)) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    receipt = read_receipt(pipeline.store, run.run_id, 0)
    assert receipt is not None
    for output in (*receipt.parts, receipt.outcomes):
        assert receipt.writer in output.key
        with pipeline.store.open(output.key) as opened:
            assert len(opened.body.read()) == output.size


def test_a_zombie_that_comes_back_after_its_successor_changes_nothing(pipeline: Pipeline) -> None:
    run = frozen(pipeline, {"a.pdf": text_pdf("a")})
    counted = Faults()
    rehearsal = pipeline.copy_to(pipeline.folder.parent / "rehearsal", "alias")
    rehearsal.process(run, 0, counted)
    last = len(counted.operations)
    assert counted.operations[-1].startswith("create_once runs/")
    with pytest.raises(SimulatedCrash):
        pipeline.process(run, 0, Faults(FaultPlan(last, "crash_before")))
    pipeline.process(run, 0)
    successor = read_receipt(pipeline.store, run.run_id, 0)
    pipeline.process(run, 0, Faults())
    assert read_receipt(pipeline.store, run.run_id, 0) == successor


def test_an_outage_of_the_source_blames_no_document(pipeline: Pipeline) -> None:
    files = {f"{n:02d}.pdf": text_pdf("x") for n in range(20)}
    run = frozen(pipeline, files, marker=False)
    for name in files:
        (pipeline.folder / "source" / name).unlink()
    with pytest.raises(TransientError, match="no document is blamed"):
        pipeline.process(run, 0)
    assert read_receipt(pipeline.store, run.run_id, 0) is None


@given(st.lists(st.sampled_from(["", "a", "b"]), max_size=200))
def test_the_outage_watch_stops_exactly_when_one_cause_has_the_majority(causes: list[str]) -> None:
    watch = OutageWatch()
    for seen in range(1, len(causes) + 1):
        window = causes[:seen][-50:]
        count = window.count(causes[seen - 1])
        outage = causes[seen - 1] != "" and count >= 8 and count > len(window) / 2
        if outage:
            with pytest.raises(TransientError):
                watch.saw(causes[seen - 1], "why")
            return
        watch.saw(causes[seen - 1], "why")


def test_a_shard_under_other_settings_than_the_run_refuses(pipeline: Pipeline) -> None:
    run = frozen(pipeline, {"a.pdf": text_pdf("a")}).model_copy(update={"fingerprint": "another"})
    with pytest.raises(UsageError, match="same settings"):
        pipeline.process(run, 0)


def test_a_shard_that_is_not_there_is_named(pipeline: Pipeline) -> None:
    run = frozen(pipeline, {"a.pdf": text_pdf("a")})
    with pytest.raises(UsageError, match="no shard 7"):
        pipeline.process(run, 7)


def test_outcomes_keep_the_manifests_order_whatever_the_number_of_workers(pipeline: Pipeline) -> None:
    files = {f"{n}.pdf": text_pdf(*["word"] * (1 + 30 * (n % 2))) for n in range(6)}
    run = frozen(pipeline, files)
    pipeline.process(run, 0, workers=3)
    receipt = read_receipt(pipeline.store, run.run_id, 0)
    assert receipt is not None
    with pipeline.store.open(receipt.outcomes.key) as opened:
        outcomes = outcomes_from_parquet(opened.body.read())
    with pipeline.store.open(layout.manifest(run.run_id, 0)) as opened:
        assert [o.key for o in outcomes] == [row.key for row in manifest_from_parquet(opened.body.read())]


class Gate:
    """Opens the first row's object only when all the others have been opened; a `failing` key is wrong use."""

    def __init__(self, inner: Get, others: int, failing: str = "") -> None:
        self._inner = inner
        self._others = others
        self._failing = failing
        self._seen: set[str] = set()
        self._changed = threading.Condition()

    def open(
        self, key: str, *, byte_range: tuple[int, int] | None = None, if_match: str | None = None
    ) -> Opened:
        if key == self._failing:
            raise UsageError("set AWS credentials")
        with self._changed:
            if key == "00.pdf":
                assert self._changed.wait_for(lambda: len(self._seen) == self._others, timeout=60)
            else:
                self._seen.add(key)
                self._changed.notify_all()
        return self._inner.open(key, byte_range=byte_range, if_match=if_match)


@pytest.mark.parametrize("workers", [1, 2])
def test_rows_after_a_slow_one_go_on(pipeline: Pipeline, workers: int) -> None:
    files = {f"{n:02d}.pdf": text_pdf(f"text {n}") for n in range(16)}
    run = frozen(pipeline, files)
    gate = Gate(pipeline.source((pipeline.folder / "source").as_uri()), len(files) - 1)
    pipeline.source = lambda bucket: gate
    pipeline.process(run, 0, workers=workers)
    receipt = read_receipt(pipeline.store, run.run_id, 0)
    assert receipt is not None
    assert receipt.counts.documents == len(files)
    with pipeline.store.open(receipt.outcomes.key) as opened:
        assert [o.key for o in outcomes_from_parquet(opened.body.read())] == [*files]


def test_a_shard_that_cannot_go_on_ends_while_rows_wait(pipeline: Pipeline) -> None:
    files = {f"{n:02d}.pdf": text_pdf(f"text {n}") for n in range(1, 16)}
    run = frozen(pipeline, files)
    gate = Gate(pipeline.source((pipeline.folder / "source").as_uri()), 0, failing="06.pdf")
    pipeline.source = lambda bucket: gate
    with pytest.raises(UsageError, match="credentials"):
        pipeline.process(run, 0)
    deadline = time.monotonic() + 20
    while [one.name for one in threading.enumerate() if one.name.startswith("row")]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_folders_placeholder_is_skipped_with_its_reason(pipeline: Pipeline) -> None:
    bucket = write_folder(pipeline.folder / "source", {"a.pdf": text_pdf("a")})
    run = pipeline.freeze([ManifestRow(bucket, "folder/")], 1)
    pipeline.process(run, 0)
    receipt = read_receipt(pipeline.store, run.run_id, 0)
    assert receipt is not None
    with pipeline.store.open(receipt.outcomes.key) as opened:
        [outcome] = outcomes_from_parquet(opened.body.read())
    assert (outcome.state, bool(outcome.message)) == (FinalState.SKIPPED, True)


def test_a_damaged_cache_entry_is_a_miss(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    cache = ContentCache(store, "fingerprint", "ab" * 32)
    assert cache.load(1) is None
    cache.save(1, b"payload")
    assert cache.load(1) == b"payload"
    key = layout.cached_group("fingerprint", "ab" * 32, 1)
    with store.open(key) as opened:
        sealed = opened.body.read()
    for damaged in (b"", sealed[:-1], sealed[:40], sealed.replace(b"payload", b"PAYLOAD")):
        store.put(key, damaged)
        assert cache.load(1) is None


@pytest.mark.parametrize(
    "changed", [{"etag": '"other"'}, {"size": 4}, {"last_modified": datetime(2026, 1, 2, tzinfo=UTC)}]
)
def test_a_pointer_holds_only_for_the_unchanged_object(tmp_path: Path, changed: dict[str, object]) -> None:
    store = FolderStore(tmp_path)
    assert recall_content(store, "bucket", META) is None
    remember_content(store, "bucket", META, "ab" * 32)
    assert recall_content(store, "bucket", META) == "ab" * 32
    assert recall_content(store, "other", META) is None
    assert recall_content(store, "bucket", replace(META, **changed)) is None  # type: ignore[arg-type]


@given(st.lists(st.integers(1, 900), max_size=40))
def test_parts_hold_every_line_and_keep_the_limit(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    store = FolderStore(tmp_path_factory.mktemp("parts"))
    writer = PartWriter(store, "run", 0, "writer", "part", limit=1000)
    lines = [b"x" * size + b"\n" for size in sizes]
    named = [writer.add(line) for line in lines]
    writer.flush()
    bodies = []
    for output in writer.outputs:
        with store.open(output.key) as opened:
            bodies.append(gzip.decompress(opened.body.read()))
    assert b"".join(bodies) == b"".join(lines)
    assert all(0 < len(body) <= 1000 for body in bodies)
    for line, name in zip(lines, named, strict=True):
        number = int(name.rpartition("-")[2])
        assert line in bodies[number]
    assert MAX_RAW_BYTES == 8 * 1024 * 1024


def test_scratch_folders_of_dead_writers_are_swept(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as living:
        (living / "file").touch()
        dead = tmp_path / "batchjob-scratch-dead"
        dead.mkdir()
        (dead / "writer.lock").touch()
        assert sweep(tmp_path) == 1
        assert (living / "file").exists()
        assert not dead.exists()
    assert list(tmp_path.iterdir()) == []


@example("\x00\x01\x02", 5)
@given(st.text(), st.integers(1, 100))
def test_cut_content_is_a_prefix_that_counts_what_it_lacks(text: str, limit: int) -> None:
    kept, left_out = cut_text(text, limit)
    assert text.startswith(kept)
    assert len(kept.encode()) <= limit
    assert len(orjson.dumps(kept)) - 2 <= limit
    assert len(kept.encode()) + left_out == len(text.encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("請求書をお送りします", "ja"),
        ("Invoice no. 7", "en"),
        ("", None),
        ("12,345", None),
        ("PDF形式で提出", "ja"),
    ],
)
def test_language_by_script(text: str, expected: str | None) -> None:
    assert language(text) == expected


def test_the_document_has_the_fields_of_the_mapping(pipeline: Pipeline) -> None:
    bucket = write_folder(pipeline.folder / "source", {"dir/a.pdf": text_pdf("a")})
    row = ManifestRow(
        bucket, "dir/a.pdf", department="sales", project="apollo", tags=("x", "y"), doc_type="invoice"
    )
    run = pipeline.freeze([row], 1)
    pipeline.process(run, 0)
    receipt = read_receipt(pipeline.store, run.run_id, 0)
    assert receipt is not None
    with pipeline.store.open(receipt.parts[0].key) as opened:
        action, document = map(orjson.loads, gzip.decompress(opened.body.read()).splitlines())
    assert action["index"]["version_type"] == "external_gte"
    assert action["index"]["_id"] == document["file_id"] == layout.doc_id(bucket, "dir/a.pdf")
    told = ("s3_key", "file_name", "file_path", "file_ext", "department", "project", "tags", "doc_type")
    assert [document[name] for name in told] == [
        *("dir/a.pdf", "a.pdf", "dir", ".pdf", "sales", "apollo", ["x", "y"], "invoice")
    ]


def test_the_version_is_the_time_of_the_look_and_not_the_files_own(pipeline: Pipeline) -> None:
    bucket = write_folder(pipeline.folder / "source", {"a.pdf": text_pdf("a")})
    os.utime(pipeline.folder / "source" / "a.pdf", (10**9, 10**9))
    run = pipeline.freeze([ManifestRow(bucket, "a.pdf"), ManifestRow(bucket, "gone.pdf")], 1)
    before = time.time_ns() // 10**6
    pipeline.process(run, 0)
    after = time.time_ns() // 10**6
    receipt = read_receipt(pipeline.store, run.run_id, 0)
    assert receipt is not None
    with pipeline.store.open(receipt.parts[0].key) as opened:
        lines = [orjson.loads(line) for line in gzip.decompress(opened.body.read()).splitlines()]
    versions = [action["index"]["version"] for action in lines[::2]]
    assert len(versions) == 2
    assert all(before <= version <= after for version in versions)
    [tombstone] = [document for document in lines[1::2] if "deleted_at" in document]
    assert tombstone.keys() == {"file_id", "s3_key", "deleted_at"}


def test_a_row_that_can_never_be_read_fails_alone(pipeline: Pipeline) -> None:
    bucket = write_folder(pipeline.folder / "source", {"a.pdf": text_pdf("a")})
    outside = pipeline.folder / "outside.pdf"
    outside.write_bytes(text_pdf("secret"))
    (pipeline.folder / "source" / "link.pdf").symlink_to(outside)
    bad = ("../outside.pdf", "link.pdf", "a//b.pdf", "x" * 1100)
    rows = [ManifestRow(bucket, key) for key in ("a.pdf", *bad)] + [ManifestRow("no/bucket", "a.pdf")]
    run = pipeline.freeze(rows, 1)
    pipeline.process(run, 0)
    receipt = read_receipt(pipeline.store, run.run_id, 0)
    assert receipt is not None
    with pipeline.store.open(receipt.outcomes.key) as opened:
        outcomes = outcomes_from_parquet(opened.body.read())
    assert [o.key for o in outcomes if o.state is FinalState.INDEXED] == ["a.pdf"]
    assert {o.category for o in outcomes if o.state is FinalState.FAILED} == {"refused"}
    assert receipt.counts.failures == len(bad) + 1


@pytest.mark.parametrize("rows", [2, 5])
def test_an_outage_is_none_of_a_small_shards_documents_fault(pipeline: Pipeline, rows: int) -> None:
    bucket = (pipeline.folder / "not there").as_uri()
    run = pipeline.freeze([ManifestRow(bucket, f"{n}.pdf", attempt=3) for n in range(rows)], 1)
    with pytest.raises(TransientError, match="no document is blamed"):
        pipeline.process(run, 0)


def test_a_limit_on_pages_gives_the_same_with_and_without_a_cache(pipeline: Pipeline) -> None:
    files = {"a.pdf": text_pdf(*(f"page {n}" for n in range(12)))}
    pipeline.process(frozen(pipeline, files), 0)
    texts = []
    for name in ("cold", "warm"):
        limited = Pipeline(pipeline.folder / name, pipeline.index, "alias")
        limited.settings = limited.settings.model_copy(update={"max_pages": 5})
        if name == "warm":
            shutil.copytree(pipeline.folder / "work" / "cache", limited.folder / "work" / "cache")
        bucket = (pipeline.folder / "source").resolve().as_uri()
        run = limited.freeze([ManifestRow(bucket, "a.pdf")], 1)
        limited.process(run, 0)
        receipt = read_receipt(limited.store, run.run_id, 0)
        assert receipt is not None
        with limited.store.open(receipt.parts[0].key) as opened:
            document = orjson.loads(gzip.decompress(opened.body.read()).splitlines()[1])
        texts.append((document["content"], document["page_count"], document["extraction"]["status"]))
    assert texts[0] == texts[1]
    assert texts[0][1:] == (12, "partial")
