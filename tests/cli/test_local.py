"""`local` on folders and buckets: what it finds, what it leaves running, and how it dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from batchjob.adapters import embedded
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.operate.search import find
from tests.support.command import batchjob, environment, left_behind, start
from tests.support.documents import scanned_page, text_pdf, write_folder
from tests.support.servers import S3Server, unique_name

ODD_NAME = "sub folder/報告 50% + α.pdf"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    files = {
        "one.pdf": text_pdf("a distinctive sentence"),
        ODD_NAME: text_pdf("another one"),
        "notes.txt": b"-",
    }
    write_folder(folder, files, marker=False)
    return folder


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Path]:
    """A work folder whose embedded server is ended after the test."""
    work = tmp_path / "work"
    yield work
    embedded.stop_kept(work)


def test_a_folder_is_indexed_without_a_manifest(folder: Path, tmp_path: Path) -> None:
    done = batchjob("local", folder, "--work", tmp_path / "work", "--json")
    assert done.code == 0, done.stderr
    assert (done.answer["rows"], done.answer["indexed"]) == (2, 2)
    assert "in memory only" in done.stderr
    assert '"because": "BATCHJOB_WORKERS' in done.stderr.replace('":"', '": "')
    assert left_behind(tmp_path / "work") == []
    assert embedded.find_kept(tmp_path / "work") is None


@pytest.mark.slow
def test_a_kept_server_answers_search_until_the_next_run(folder: Path, kept: Path) -> None:
    assert batchjob("local", folder, "--work", kept, "--keep").code == 0
    answer = batchjob("search", "distinctive", "sentence", "--work", kept, "--json").answer
    assert [hit["s3_key"] for hit in answer["hits"]] == ["one.pdf"]
    by_name = batchjob("search", "報告 50% + α.pdf", "--work", kept, "--json").answer
    assert [hit["s3_key"] for hit in by_name["hits"]] == [ODD_NAME]
    first = embedded.find_kept(kept)
    assert first is not None
    assert batchjob("local", folder, "--work", kept, "--index", "UPPER").code != 0
    assert batchjob("local", folder, "--work", kept).code == 0
    assert _alive(first.pid)
    assert batchjob("local", folder, "--work", kept, "--keep").code == 0
    assert not _alive(first.pid)
    second = embedded.find_kept(kept)
    assert second is not None


def test_one_bad_entry_leaves_the_rest_of_a_folder_alone(folder: Path, tmp_path: Path) -> None:
    (folder / "loop.pdf").symlink_to(folder / "loop.pdf")
    (folder / "dangling.pdf").symlink_to(folder / "nothing")
    os.mkfifo(folder / "pipe.pdf")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.pdf")).write_bytes(b"")
    done = batchjob("local", folder, "--work", tmp_path / "work", "--json")
    assert (done.code, done.answer["indexed"]) == (0, 2), done.stderr
    assert "left out" in done.stderr


def test_the_work_folder_is_no_document(folder: Path) -> None:
    work = folder / "work"
    rows = [batchjob("local", folder, "--work", work, "--json").answer["rows"] for _ in range(2)]
    assert rows == [2, 2]


def test_rows_that_must_come_back_are_said(tmp_path: Path) -> None:
    bucket = write_folder(tmp_path / "documents", {f"{n}.pdf": text_pdf("x") for n in range(3)}, marker=False)
    (tmp_path / "manifest.csv").write_text("uri\n" + "".join(f"{bucket}/{n}.pdf\n" for n in range(4)))
    done = batchjob("local", tmp_path / "manifest.csv", "--work", tmp_path / "work", "--shards", 1, "--json")
    assert done.code == 75
    assert (done.answer["indexed"], done.answer["requeued"]) == (3, 1)
    assert ".batchjob-root" in done.stderr


def test_what_could_not_be_reached_is_tried_again_three_times_in_all(tmp_path: Path) -> None:
    """Each run takes what the one before left in the inbox; the last gives it up, and a success clears that."""
    bucket = write_folder(tmp_path / "documents", {f"{n}.pdf": text_pdf("x") for n in range(3)}, marker=False)
    (tmp_path / "manifest.csv").write_text("uri\n" + "".join(f"{bucket}/{n}.pdf\n" for n in range(4)))
    (tmp_path / "other.csv").write_text(f"uri\n{bucket}/0.pdf\n")
    work = ("--work", tmp_path / "work", "--shards", 1, "--json")
    store = FolderStore(tmp_path / "work")

    def left(folder: str) -> int:
        return len(list(store.list(folder)))

    assert batchjob("local", tmp_path / "manifest.csv", *work).answer["requeued"] == 1
    second = batchjob("local", tmp_path / "other.csv", *work)
    assert (second.code, second.answer["rows"], second.answer["requeued"]) == (75, 2, 1)
    assert "tried again" in second.stderr
    assert left("inbox/") == 1
    third = batchjob("local", tmp_path / "manifest.csv", *work)
    assert (third.answer["rows"], third.answer["requeued"], third.answer["failed"]) == (4, 0, 1)
    assert (left("inbox/"), left("quarantine/")) == (0, 1)
    (tmp_path / "documents" / ".batchjob-root").touch()
    assert batchjob("local", tmp_path / "manifest.csv", *work).answer["deleted"] == 1
    assert left("quarantine/") == 0


@pytest.mark.slow
def test_a_module_beside_the_documents_is_not_run(folder: Path, tmp_path: Path) -> None:
    for name in ("click.py", "orjson.py", "batchjob.py"):
        (folder / name).write_text("raise SystemExit('run from the current folder')")
    command = Path(sys.executable).with_name("batchjob")
    done = subprocess.run(
        [command, "local", ".", "--work", tmp_path / "work"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_run_that_deletes_much_waits_for_a_word(tmp_path: Path, opensearch_url: str) -> None:
    bucket = write_folder(tmp_path / "documents", {})
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("uri\n" + "".join(f"{bucket}/{n}.pdf\n" for n in range(1001)))
    env = environment(work=tmp_path / "work", index=unique_name("alias"), opensearch_url=opensearch_url)
    refused = batchjob("local", manifest, env=env)
    assert refused.code == 64
    assert "--allow-deletes" in refused.stderr
    run_id = batchjob("status", "--json", env=env).answer["run_id"]
    done = batchjob("reduce", run_id, "--allow-deletes", "--json", env=env)
    assert (done.code, done.answer["deletions"]) == (0, 1001)


def test_sigterm_starts_no_further_shard(tmp_path: Path) -> None:
    bucket = write_folder(tmp_path / "documents", {f"{n}.png": scanned_page(f"page {n}") for n in range(8)})
    assert bucket
    env = environment(work=tmp_path / "work", scratch=tmp_path / "scratch")
    process = start("local", tmp_path / "documents", "--shards", 8, "--parallel", 1, env=env)
    until = time.monotonic() + 60
    while time.monotonic() < until and not list(tmp_path.glob("work/runs/*/receipts/*.json")):
        time.sleep(0.05)
    process.terminate()
    assert process.wait(20) == 75
    assert len(list(tmp_path.glob("work/runs/*/receipts/*.json"))) < 4


def test_a_document_limit_is_a_failure_with_words_and_too_many_exit_65(folder: Path, tmp_path: Path) -> None:
    env = environment(max_bytes=10)
    done = batchjob("local", folder, "--work", tmp_path / "work", env=env)
    assert done.code == 65
    assert "BATCHJOB_MAX_BYTES" in done.stdout
    assert "BATCHJOB_FAILURE_LIMIT" in done.stderr


@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, *(pytest.param(one, marks=pytest.mark.slow) for one in (signal.SIGTERM, signal.SIGINT))],
)
def test_however_local_dies_nothing_of_it_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    files = {f"{n}.png": scanned_page(f"page {n}") for n in range(6)}
    write_folder(tmp_path / "documents", files)
    env = environment(work=tmp_path / "work", scratch=tmp_path / "scratch")
    for life in (0.8, 2.0, 3.0):
        process = start("local", tmp_path / "documents", env=env)
        time.sleep(life)
        jobs = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        process.send_signal(number)
        process.wait(40)
        until = time.monotonic() + 10
        while time.monotonic() < until and any(_alive(pid) for pid in jobs):
            time.sleep(0.05)
        assert [pid for pid in jobs if _alive(pid)] == []
        assert left_behind(tmp_path / "scratch") == []


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_documents_and_work_in_s3(s3_real: S3Server, opensearch_url: str, tmp_path: Path) -> None:
    client = s3_real.client()
    files = {
        "files/sales/one.pdf": text_pdf("kept in a bucket"),
        f"files/{ODD_NAME}": text_pdf("an odd name"),
    }
    for key, data in files.items():
        client.put_object(Bucket=s3_real.bucket, Key=key, Body=data)
    manifest = tmp_path / "manifest.csv"
    keys = [*files, "files/gone.pdf"]
    manifest.write_text(
        "bucket,key,department\n" + "".join(f"{s3_real.bucket},{key},sales\n" for key in keys)
    )
    alias = unique_name("alias")
    env = environment(
        work=f"s3://{s3_real.bucket}/work",
        index=alias,
        opensearch_url=opensearch_url,
        scratch=tmp_path / "scratch",
    )
    env = {**env, **s3_real.environment()}
    first, second = (batchjob("local", manifest, "--json", env=env) for _ in range(2))
    for done in (first, second):
        assert done.code == 0, done.stderr
        assert (done.answer["indexed"], done.answer["deleted"], done.answer["rows"]) == (2, 1, 3)
    assert (first.answer["cache_hits"], second.answer["cache_hits"]) == (0, 2)
    [hit] = find(OpenSearchIndex(opensearch_url), alias, "kept in a bucket", 5).hits
    assert hit.s3_key == "files/sales/one.pdf"
    stored = [entry["Key"] for entry in client.list_objects_v2(Bucket=s3_real.bucket)["Contents"]]
    assert sum(key.startswith("work/thumbnails/") for key in stored) == 2
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_an_outage_and_no_deletion(
    s3_real: S3Server, opensearch_url: str, tmp_path: Path
) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("bucket,key\nno-such-bucket-here,one.pdf\n")
    env = environment(work=tmp_path / "work", index=unique_name("alias"), opensearch_url=opensearch_url)
    done = batchjob("local", manifest, "--json", env={**env, **s3_real.environment()})
    assert "no-such-bucket-here" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.code != 0 or (done.answer["deleted"], done.answer["requeued"]) == (0, 1)
