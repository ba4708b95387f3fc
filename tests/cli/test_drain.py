"""`drain` as a command: from a queue in a file to a committed run."""

import json
from pathlib import Path

from batchjob import layout
from batchjob.adapters import embedded
from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.local_queue import LocalQueue
from batchjob.drain.ledger import commit_runs, read_ledger
from batchjob.ports import Message
from batchjob.records import Action, FinalState
from batchjob.runs import read_summary
from tests.support.command import batchjob, environment
from tests.support.documents import text_pdf
from tests.support.segments import committed, read_rows
from tests.support.servers import S3Server

KEYS = ["files/報告 A+B 10%.pdf", "files/b.tif", "files/b.tif", "files/notes.txt"]


def event(key: str, kind: str = "Object Created", bucket: str = "example-bucket") -> str:
    detail = {"bucket": {"name": bucket}, "object": {"key": key, "size": 9, "etag": "e"}}
    return json.dumps(
        {"source": "aws.s3", "detail-type": kind, "time": "2026-04-01T09:30:00Z", "detail": detail}
    )


def test_events_become_a_run(tmp_path: Path) -> None:
    queue = LocalQueue(tmp_path / "queue", SystemClock())
    bodies = [*map(event, KEYS), event("files/gone.pdf", "Object Deleted"), "no event"]
    queue.send([Message(str(number), body, "") for number, body in enumerate(bodies)])
    env = {"BATCHJOB_DRAIN_MESSAGES": str(len(bodies)), "BATCHJOB_RECEIVERS": "1"}
    done = batchjob("drain", "--queue", queue.url, "--work", tmp_path / "work", "--json", env=env)
    assert done.code == 0, done.stderr
    told = done.answer
    assert (told["messages"], told["events"], told["duplicates"], told["rows"]) == (6, 4, 1, 3)
    assert (told["passed_over"], told["quarantined"], told["shards"]) == (1, 1, 1)
    store = FolderStore(tmp_path / "work")
    assert list(read_ledger(store).open) == told["runs"]
    assert committed(store) == {"files/報告 A+B 10%.pdf": 1, "files/b.tif": 1, "files/gone.pdf": 1}
    rows = read_rows(store, layout.manifest(told["runs"][0], 0))
    assert [row.key for row in rows if row.action is Action.DELETE] == ["files/gone.pdf"]
    assert queue.counts().visible == queue.counts().in_flight == 0


def test_it_is_told_that_every_event_was_passed_over(tmp_path: Path) -> None:
    queue = LocalQueue(tmp_path / "queue", SystemClock())
    queue.send([Message("1", event("files/a.pdf"), "")])
    env = {"BATCHJOB_DRAIN_MESSAGES": "1", "BATCHJOB_PREFIX": "file/"}
    done = batchjob("drain", "--queue", queue.url, "--work", tmp_path / "work", "--json", env=env)
    assert (done.answer["passed_over"], "every event was passed over" in done.stderr) == (1, True)


def test_no_queue_is_said(tmp_path: Path) -> None:
    done = batchjob("drain", "--work", tmp_path / "work")
    assert (done.code, "BATCHJOB_QUEUE_URL" in done.stderr) == (64, True)


def test_events_become_documents_and_the_next_drain_closes_the_run(
    tmp_path: Path, s3_listing: S3Server
) -> None:
    """The queue, S3 and the index are real servers; the jobs are processes of this machine."""
    for name in ("a.pdf", "部/b +%.pdf"):
        s3_listing.client().put_object(
            Bucket=s3_listing.bucket, Key=name, Body=text_pdf(f"this is {name[0]}")
        )
    queue = LocalQueue(tmp_path / "queue", SystemClock())
    bodies = [event(key, bucket=s3_listing.bucket) for key in ("a.pdf", "部/b +%.pdf", "gone.pdf")]
    queue.send([Message(str(number), body, "") for number, body in enumerate(bodies)])
    server = embedded.start(tmp_path, keep=False)
    try:
        env = environment(
            queue_url=queue.url,
            work=tmp_path / "work",
            opensearch_url=server.url,
            drain_messages=3,
            receivers=1,
        )
        env |= s3_listing.environment()
        done = batchjob("drain", "--submit", "--job-queue", "local", "--json", env=env)
        assert done.code == 0, done.stderr
        [run_id] = done.answer["runs"]
        store = FolderStore(tmp_path / "work")
        summary = read_summary(store, run_id)
        assert summary is not None
        assert (summary.states[FinalState.INDEXED], summary.states[FinalState.DELETED]) == (2, 1)
        assert read_ledger(store).open == (run_id,)
        swept = batchjob("sweep", "--job-queue", "local", "--json", env=env)
        assert swept.code == 0, swept.stderr
        assert (read_ledger(store).open, read_ledger(store).unsubmitted) == ((), ())
    finally:
        server.stop()


def test_a_run_that_cannot_be_healed_stops_no_intake(tmp_path: Path) -> None:
    queue, store = LocalQueue(tmp_path / "queue", SystemClock()), FolderStore(tmp_path / "work")
    commit_runs(store, "drain", ["lost-run"], [], 0)
    queue.send([Message("1", "no event", "")])
    env = environment(queue_url=queue.url, work=tmp_path / "work", drain_messages=1, receivers=1)
    done = batchjob("drain", "--submit", "--job-queue", "local", "--json", env=env)
    assert (done.code, "lost-run" in done.stderr, "Traceback" in done.stderr) == (64, True, False)
    assert (done.answer["messages"], queue.counts().visible) == (1, 0)
