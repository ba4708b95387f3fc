"""`submit`, `sweep` and `drain --submit` as commands: into AWS Batch, and on this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from batchjob import layout
from batchjob.adapters import embedded
from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.local_queue import LocalQueue
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.adapters.stores import open_store
from batchjob.drain.commit import commit_inbox, freeze_rows
from batchjob.drain.ledger import commit_runs, read_ledger
from batchjob.operate.search import find
from batchjob.ports import Message
from batchjob.records import ManifestRow, RunInfo, manifest_batches, manifest_to_parquet
from batchjob.reduce.receipts import read_receipts
from batchjob.runs import read_summary
from tests.support.batchjobs import new_queue
from tests.support.command import batchjob, environment
from tests.support.documents import text_pdf, write_folder
from tests.support.segments import intake, put_segment
from tests.support.servers import BatchServer, S3Server, unique_name


@pytest.fixture
def run(s3_listing: S3Server, monkeypatch: pytest.MonkeyPatch) -> RunInfo:
    """A committed run of two shards in a bucket, without jobs."""
    for name, value in s3_listing.environment().items():
        monkeypatch.setenv(name, value)
    run = RunInfo(run_id=unique_name(), kind="incremental", index="i", fingerprint="f", rows=2, shards=2)
    store = open_store(f"s3://{s3_listing.bucket}/{run.run_id}", endpoint=s3_listing.endpoint)
    for shard in range(run.shards):
        rows = [ManifestRow("bucket", f"{shard}.pdf")]
        store.create_once(layout.manifest(run.run_id, shard), manifest_to_parquet(rows))
    store.create_once(layout.run_info(run.run_id), run.to_json())
    commit_runs(store, "drain", [run.run_id], [], 0)
    return run


@pytest.fixture
def batch_environment(batch_server: BatchServer, s3_listing: S3Server, run: RunInfo) -> dict[str, str]:
    queue = new_queue(batch_server).target
    settings = {
        "work": f"s3://{s3_listing.bucket}/{run.run_id}",
        "s3_endpoint": s3_listing.endpoint,
        "job_queue": queue.queue,
        "process_job_definition": queue.definitions["process"],
        "reduce_job_definition": queue.definitions["reduce"],
    }
    return environment(**settings) | batch_server.environment()


def test_a_run_is_submitted_once_and_swept_where_its_jobs_left_nothing(
    run: RunInfo, batch_environment: dict[str, str]
) -> None:
    first = batchjob("submit", run.run_id, "--json", env=batch_environment)
    assert (first.code, first.answer["submitted_now"]) == (0, True), first.stderr
    again = batchjob("submit", run.run_id, "--json", env=batch_environment)
    assert again.answer == first.answer | {"submitted_now": False}
    swept = batchjob("sweep", "--json", env=batch_environment)
    assert swept.code == 0, swept.stderr
    told = {
        "closed": [],
        "submitted": [],
        "abandoned": {run.run_id: [0, 1]},
        "reducing": [run.run_id],
        "stuck": {},
    }
    assert swept.answer == told


def test_a_sweep_submits_what_was_left(run: RunInfo, batch_environment: dict[str, str]) -> None:
    swept = batchjob("sweep", "--json", env=batch_environment)
    assert (swept.code, swept.answer["submitted"]) == (0, [run.run_id]), swept.stderr


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"BATCHJOB_JOB_QUEUE": "no-such-queue"}, "no-such-queue"),
        ({"BATCHJOB_WORK": "folder"}, "cannot see the folder"),
    ],
)
def test_what_is_wrong_is_said(
    run: RunInfo, batch_environment: dict[str, str], tmp_path: Path, wrong: dict[str, str], said: str
) -> None:
    done = batchjob("submit", run.run_id, env=batch_environment | wrong, cwd=tmp_path)
    assert (done.code, said in done.stderr, "Traceback" in done.stderr) == (64, True, False), done.stderr


@pytest.mark.parametrize("command", [["submit", "--job-queue", "local"], ["runs", "abandon"], ["reduce"]])
def test_a_run_that_was_never_committed_is_not_worked_on(tmp_path: Path, command: list[str]) -> None:
    """Its drain died before the ledger's change, so the next one takes the same events."""
    store = FolderStore(tmp_path)
    put_segment(store, "left", [ManifestRow("bucket", "a.pdf")])
    [run] = freeze_rows(
        intake(1), store, SystemClock(), manifest_batches([ManifestRow("bucket", "a.pdf")])
    ).runs
    done = batchjob(*command, run.run_id, "--work", tmp_path)
    assert (done.code, "was never committed" in done.stderr) == (64, True), done.stderr
    assert not list(store.list(layout.receipts(run.run_id)))


def test_local_jobs_that_failed_are_submitted_again_or_given_up(tmp_path: Path) -> None:
    """The run is of other settings, so its jobs end with exit code 64, and so does the command."""
    store = FolderStore(tmp_path)
    put_segment(store, "left", [ManifestRow("bucket", "a.pdf")])
    [run] = commit_inbox(intake(1), store, SystemClock()).runs
    options = ("--job-queue", "local", "--work", tmp_path)
    for _ in range(2):
        done = batchjob("submit", run.run_id, *options)
        assert (done.code, "ended with exit code 64; the lines above" in done.stderr) == (64, True), (
            done.stderr
        )
    swept = batchjob("sweep", *options)
    assert (swept.code, "no search server" in swept.stderr) == (64, True), swept.stderr
    assert [receipt.abandoned is not None for receipt in read_receipts(store, run)] == [True]


def test_without_a_queue_it_says_how_to_name_one(tmp_path: Path) -> None:
    done = batchjob("submit", "run", "--work", tmp_path)
    assert (done.code, "--job-queue" in done.stderr) == (64, True)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    server = embedded.start(tmp_path / "embedded", keep=False)
    yield server.url
    server.stop()


def test_from_the_inbox_to_found_documents_and_a_second_submission_changes_nothing(
    tmp_path: Path, url: str
) -> None:
    bucket = write_folder(
        tmp_path / "source", {f"{word}.pdf": text_pdf(f"a {word} invoice") for word in ("red", "blue")}
    )
    store = FolderStore(tmp_path / "work")
    put_segment(store, "left", [ManifestRow(bucket, f"{word}.pdf") for word in ("red", "blue")])
    events = LocalQueue(tmp_path / "queue", SystemClock())
    events.send([Message("1", "no event", "")])
    env = environment(
        work=tmp_path / "work", opensearch_url=url, job_queue="local", drain_messages=1, shard_cost=0.01
    )
    drained = batchjob("drain", "--queue", events.url, "--submit", "--json", env=env)
    assert drained.code == 0, drained.stderr
    (run_id,) = drained.answer["runs"]
    assert find(OpenSearchIndex(url), "documents", "invoice", 10).total == 2
    assert read_ledger(store).unsubmitted == ()
    before = read_summary(store, run_id)

    store.delete(layout.submission(run_id))
    store.delete(layout.summary(run_id))
    again = batchjob("submit", run_id, "--json", env=env)
    assert (again.code, again.answer["submitted_now"]) == (0, True), again.stderr
    assert again.stderr.count("shard has its receipt already") == 2
    after = read_summary(store, run_id)
    assert before is not None
    assert after is not None
    assert after.states == before.states
    swept = batchjob("sweep", "--json", env=env)
    assert swept.answer["closed"] == [run_id]
