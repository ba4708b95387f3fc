"""`reindex` and `rollback` as commands, on this machine: a bucket, a real node, and somebody who searches."""

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from batchjob.adapters import embedded
from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.local_queue import LocalQueue
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.drain.ledger import read_ledger
from batchjob.operate.search import find
from batchjob.ports import Message
from batchjob.runs import read_run
from tests.support.batchjobs import new_queue
from tests.support.command import batchjob, environment, left_behind, start
from tests.support.documents import text_pdf, write_folder
from tests.support.servers import BatchServer, S3Server, unique_name

PAUSE = 0.05
KILLS = 6
STEADY = [f"steady {number}.pdf" for number in range(5)]


def test_a_folder_is_indexed_anew_and_back_on_one_machine(tmp_path: Path) -> None:
    """The first time there is no index yet."""
    folder, work = tmp_path / "documents", tmp_path / "work"
    write_folder(folder, {name: text_pdf(f"the text of {name}") for name in STEADY})
    server = embedded.start(tmp_path / "server", keep=False)
    try:
        env = environment(work=work, opensearch_url=server.url, job_queue="local")
        first = batchjob("reindex", folder, "--json", env=env)
        assert (first.code, first.answer["old"], first.answer["swapped"]) == (0, None, True), first.stderr
        done = batchjob("reindex", folder, "--json", env=env)
        assert done.code == 0, done.stderr
        assert (done.answer["state"], done.answer["new"]) == ("done", "documents-000003")
        assert '"cached":true' in done.stderr
        index = OpenSearchIndex(server.url)
        assert index.resolve("documents") == "documents-000003"
        back = batchjob("rollback", "--json", env=env)
        assert (back.code, back.answer["new"]) == (0, "documents-000002"), back.stderr
        assert index.resolve("documents") == "documents-000002"
        assert find(index, "documents", "steady", 10).total == len(STEADY)
    finally:
        server.stop()
    assert left_behind(work) == []


def test_in_aws_batch_it_submits_its_jobs_and_returns(
    batch_server: BatchServer, s3_listing: S3Server, tmp_path: Path
) -> None:
    s3_listing.client().put_object(Bucket=s3_listing.bucket, Key="files/a.pdf", Body=text_pdf("a"))
    queue, server = new_queue(batch_server), embedded.start(tmp_path, keep=False)
    settings = {
        "work": f"s3://{s3_listing.bucket}/work",
        "s3_endpoint": s3_listing.endpoint,
        "opensearch_url": server.url,
        "job_queue": queue.target.queue,
        "process_job_definition": queue.target.definitions["process"],
        "reduce_job_definition": queue.target.definitions["reduce"],
    }
    env = environment(**settings) | s3_listing.environment() | batch_server.environment()
    try:
        waiting = batchjob("reindex", f"s3://{s3_listing.bucket}/files/", "--json", env=env)
        assert (waiting.code, waiting.answer["state"], waiting.answer["rows"]) == (0, "load", 1), (
            waiting.stderr
        )
        [run_id] = waiting.answer["runs_waited_for"]
        assert len(queue.jobs.find(run_id)) == 1
        ended = batchjob("reindex", "--abandon", "--json", env=env)
        assert (ended.code, ended.answer["state"]) == (0, "abandoned"), ended.stderr
        assert OpenSearchIndex(server.url).indexes("documents-*") == []
    finally:
        server.stop()


class Bucket:
    """Documents in S3 that come, change and go; each event becomes a run of the old settings at once, or later."""

    def __init__(self, server: S3Server, folder: Path, url: str, alias: str) -> None:
        self._client = server.client()
        self.name = server.bucket
        self.index = OpenSearchIndex(url)
        self.alias = alias
        self.work = folder / "work"
        self.queue = LocalQueue(folder / "queue", SystemClock())
        common = {
            "work": self.work,
            "scratch": folder / "scratch",
            "opensearch_url": url,
            "index": alias,
            "job_queue": "local",
            "queue_url": self.queue.url,
            "drain_messages": 1,
            "s3_endpoint": server.endpoint,
            "probe_queries": "steady; text",
            "reindex_tolerance": 1.0,
        }
        self.old = environment(**common) | server.environment()
        self.new = environment(**common, ocr_dpi=201) | server.environment()
        self.held: dict[str, str] = {}
        self.changes = 0

    def put(self, key: str, text: str) -> None:
        self._client.put_object(Bucket=self.name, Key=key, Body=text_pdf(text))
        self.held[key] = text
        self._tell(key, deleted=False)

    def change(self) -> None:
        number, kind = divmod(self.changes, 3)
        self.changes += 1
        key = f"moving {number}.pdf"
        if kind < 2:
            self.put(key, f"{('first', 'second')[kind]} text of {key}")
        else:
            self._client.delete_object(Bucket=self.name, Key=key)
            del self.held[key]
            self._tell(key, deleted=True)

    def _tell(self, key: str, *, deleted: bool) -> None:
        event = {"s3Bucket": self.name, "s3Key": key, "eventTime": "2026-11-23T03:15:00.000Z"}
        event |= {"detailType": "Object Deleted"} if deleted else {"fileSize": "1000", "etag": "0" * 32}
        self.queue.send([Message(unique_name(), json.dumps(event), "")])

    def drain(self, env: dict[str, str], *more: str) -> None:
        drained = batchjob("drain", "--shards", "1", *more, env=env)
        assert "Traceback" not in drained.stderr, drained.stderr

    def shown(self) -> dict[str, str]:
        self.index.refresh(str(self.index.resolve(self.alias)))
        hits = self.index.search(self.alias, {"query": {"match_all": {}}, "size": 100})["hits"]["hits"]
        return {hit["_source"]["s3_key"]: hit["_source"]["content"].strip() for hit in hits}

    def settle(self, env: dict[str, str]) -> None:
        """All that is left in the queue and in the ledger, under the settings of the index."""
        while sum((self.queue.counts().visible, self.queue.counts().in_flight)):
            self.drain(env, "--submit")
        for _ in range(3):
            batchjob("sweep", env=env)


@pytest.fixture
def bucket(s3_listing: S3Server, tmp_path: Path, opensearch_url: str) -> Bucket:
    server = S3Server(s3_listing.endpoint)
    server.client().create_bucket(Bucket=server.bucket)
    bucket = Bucket(server, tmp_path, opensearch_url, unique_name("live"))
    for name in STEADY:
        bucket.put(name, f"the text of {name}")
    for name in STEADY:
        bucket.drain(bucket.old, *(["--submit"] if name == STEADY[-1] else []))
    return bucket


class Searcher:
    """Asks every 50 ms; keeps what went wrong, and how often it asked."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self.asked = 0
        self.troubles: list[str] = []
        self.indexes: set[str] = set()
        self._stop = threading.Event()

    def run(self) -> None:
        index = OpenSearchIndex(str(self._bucket.old["BATCHJOB_OPENSEARCH_URL"]))
        while not self._stop.wait(PAUSE):
            try:
                answer = index.search(
                    self._bucket.alias, {"query": {"match": {"content": "steady"}}, "size": 9}
                )
            except Exception as error:  # noqa: BLE001 - whatever a searcher sees
                self.troubles.append(repr(error))
                continue
            self.asked += 1
            hits: list[dict[str, Any]] = answer["hits"]["hits"]
            self.indexes |= {hit["_index"] for hit in hits}
            if len(hits) != len(STEADY):
                self.troubles.append(f"{len(hits)} documents")

    def stop(self) -> None:
        self._stop.set()


@contextmanager
def searching(bucket: Bucket) -> Iterator[Searcher]:
    searcher = Searcher(bucket)
    thread = threading.Thread(target=searcher.run)
    thread.start()
    try:
        yield searcher
    finally:
        searcher.stop()
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_killed_commands_under_a_live_stream(bucket: Bucket, tmp_path: Path, seed: int) -> None:
    """Each command is killed after another part of the time that a whole one takes; events come all the while."""
    dice = random.Random(seed)
    assert set(bucket.shown()) == set(STEADY)
    place = f"s3://{bucket.name}"
    nothing = batchjob("reindex", env=bucket.new)
    assert (nothing.code, "name the folder" in nothing.stderr) == (64, True)
    planned = batchjob("reindex", place, "--dry-run", "--json", env=bucket.new)
    assert (planned.answer["rows"], planned.answer["same_extraction"]) == (len(STEADY), False)
    assert batchjob("reindex", "--status", "--json", env=bucket.new).answer == {"state": None}
    with searching(bucket) as searcher:
        for number in range(KILLS):
            bucket.change()
            command = start("reindex", place, env=bucket.new)
            if number % 2:
                bucket.drain(bucket.old, "--submit")
            time.sleep(dice.uniform(0.5, 5))
            command.kill()
            command.wait()
        bucket.change()
        bucket.drain(bucket.old)
        done = batchjob("reindex", "--json", env=bucket.new)
        assert done.code == 0, done.stderr
        bucket.change()
        bucket.settle(bucket.new)
        again = batchjob("reindex", "--json", env=bucket.new)
        assert (again.code, again.answer["state"]) == (0, "done"), again.stderr
        bucket.settle(bucket.new)
        assert bucket.shown() == bucket.held
        assert bucket.index.resolve(bucket.alias) == again.answer["new"]
        check_settings(bucket)

        bucket.change()
        back = batchjob("rollback", "--json", env=bucket.old)
        assert (back.code, back.answer["state"]) == (0, "done"), back.stderr
        bucket.settle(bucket.old)
        assert bucket.shown() == bucket.held
    assert searcher.troubles == []
    assert searcher.asked > 100
    assert len(searcher.indexes) >= 2
    assert left_behind(tmp_path / "scratch") == []


def check_settings(bucket: Bucket) -> None:
    """No document in the index is of the old settings."""
    store = FolderStore(bucket.work)
    name = str(bucket.index.resolve(bucket.alias))
    wanted = bucket.index.meta(name)["extraction"]
    hits = bucket.index.search(name, {"query": {"exists": {"field": "run_id"}}, "size": 100})["hits"]["hits"]
    runs = {hit["_source"]["run_id"] for hit in hits}
    assert {read_run(store, run_id).fingerprint for run_id in runs} == {wanted}
    assert not [run for run in read_ledger(store).open if read_run(store, run).fingerprint != wanted]
