"""Inventories as S3 publishes them, whole and damaged."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchjob.adapters.folder import FolderStore
from batchjob.errors import UsageError
from batchjob.manifest.inventory import inventory_batches, read_inventory
from batchjob.manifest.select import Tally
from batchjob.records import MANIFEST_SCHEMA
from tests.support.command import batchjob, environment
from tests.support.inventories import (
    CHANGED,
    CSV_COLUMNS,
    CURRENT,
    MANIFEST,
    Version,
    csv_file,
    parquet_file,
    publish,
)
from tests.support.servers import S3Server

FORMS = {"CSV": csv_file, "Parquet": parquet_file}
ODD = [
    "files/報告 A+B 10%.pdf",
    "a//b.pdf",
    "../x.pdf",
    'line\nbreak,"quote".pdf',
    "日" * 341 + "x",
    "😀/%2F.tif",
]


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def read(store: FolderStore, scratch: Path) -> tuple[list[dict[str, object]], Tally]:
    tally = Tally()
    batches = list(inventory_batches(read_inventory(store, MANIFEST), store, scratch, tally))
    assert all(batch.schema == MANIFEST_SCHEMA for batch in batches)
    return pa.Table.from_batches(batches, MANIFEST_SCHEMA).to_pylist(), tally


@pytest.mark.parametrize("form", FORMS)
def test_the_latest_versions_are_rows(form: str, store: FolderStore, tmp_path: Path) -> None:
    versions = [Version(key, version=f"v{number}") for number, key in enumerate(ODD)]
    old = [Version(ODD[0], version="v0", latest=False), Version("gone.pdf", None, latest=True, deleted=True)]
    publish(store.put, [FORMS[form](versions), FORMS[form](old), FORMS[form]([])], form)
    rows, tally = read(store, tmp_path)
    assert [(row["key"], row["version_id"]) for row in rows] == [(v.key, v.version) for v in versions]
    assert {(row["bucket"], row["action"], row["attempt"]) for row in rows} == {
        ("example-bucket", "upsert", 1)
    }
    assert {(row["size"], row["etag"], row["event_time"]) for row in rows} == {
        (9, f'"{versions[0].etag}"', int(CHANGED.timestamp() * 1000))
    }
    assert (tally.read, tally.older, tally.deleted, tally.rows) == (len(ODD) + 2, 1, 1, len(ODD))
    assert not list(tmp_path.glob("inventory-*"))


@pytest.mark.parametrize("form", FORMS)
def test_an_inventory_of_current_versions(form: str, store: FolderStore, tmp_path: Path) -> None:
    publish(store.put, [FORMS[form]([Version("a.pdf")], CURRENT)], form, CURRENT)
    [row], _ = read(store, tmp_path)
    assert (row["key"], row["version_id"], row["size"]) == ("a.pdf", None, 9)


@settings(max_examples=30)
@given(
    st.lists(
        st.builds(
            Version,
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
            latest=st.booleans(),
            deleted=st.booleans(),
        )
    )
)
def test_both_formats_say_the_same(tmp_path_factory: pytest.TempPathFactory, versions: list[Version]) -> None:
    told = []
    for form, body in FORMS.items():
        folder = tmp_path_factory.mktemp("inventory")
        publish(FolderStore(folder / "store").put, [body(versions)], form)
        told.append(read(FolderStore(folder / "store"), folder))
    assert told[0] == told[1]
    assert [row["key"] for row in told[0][0]] == [v.key for v in versions if v.latest and not v.deleted]


def refused(store: FolderStore, scratch: Path, *words: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(store, scratch)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("form", FORMS)
def test_missing_and_damaged_files_are_named(form: str, store: FolderStore, tmp_path: Path) -> None:
    body = FORMS[form]([Version("a.pdf")])
    keys = publish(store.put, [body, body], form)
    store.put(keys[1], body[:-1] + b"?")
    refused(store, tmp_path, keys[1], "damaged")
    store.put(keys[1], body[:-1])
    refused(store, tmp_path, keys[1], "damaged")
    store.delete(keys[1])
    refused(store, tmp_path, keys[1], "missing")


LINE = '"example-bucket","a.pdf","v1","true","false","9","2026-04-01T09:30:00.000Z","e"\n'
BAD_LINES = {
    "incomplete escape": LINE.replace("a.pdf", "100%.pdf"),
    "names no key": LINE.replace('"a.pdf"', '""'),
    "'many'": LINE.replace('"9"', '"many"'),
    "less than 0": LINE.replace('"9"', '"-9"'),
    "'yesterday'": LINE.replace("2026-04-01T09:30:00.000Z", "yesterday"),
    "'perhaps'": LINE.replace('"true"', '"perhaps"'),
    "Expected 8 columns": '"example-bucket","a.pdf"\n',
}


@pytest.mark.parametrize("why", BAD_LINES)
def test_a_bad_row_is_named_with_its_file(why: str, store: FolderStore, tmp_path: Path) -> None:
    good = LINE * 2
    [key] = publish(store.put, [gzip.compress((good + BAD_LINES[why]).encode())], "CSV")
    refused(store, tmp_path, key, "Row #3" if "columns" in why else "row 3", why)


def test_files_that_are_not_what_the_manifest_says(store: FolderStore, tmp_path: Path) -> None:
    for form in FORMS:
        [key] = publish(store.put, [b"no such format"], form)
        refused(store, tmp_path, key, "cannot be read")
    no_latest = [name for name in CSV_COLUMNS if name != "IsLatest"]
    for form, body in FORMS.items():
        [key] = publish(store.put, [body([Version("a.pdf")], no_latest)], form, no_latest)
        refused(store, tmp_path, key, "islatest")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fileFormat": "ORC"}, "fileFormat"),
        ({"files": []}, "no files"),
        ({"files": [{"key": "a"}]}, "files"),
        ({"sourceBucket": None}, "sourceBucket"),
    ],
)
def test_a_manifest_that_cannot_be_used(
    store: FolderStore, tmp_path: Path, change: dict[str, object], words: str
) -> None:
    publish(store.put, [csv_file([Version("a.pdf")])], "CSV")
    with store.open(MANIFEST) as opened:
        whole = json.loads(opened.body.read())
    store.put(MANIFEST, json.dumps(whole | change).encode())
    refused(store, tmp_path, "manifest.checksum")
    store.delete(MANIFEST.replace(".json", ".checksum"))
    refused(store, tmp_path, MANIFEST, words)
    store.put(MANIFEST, b"{")
    refused(store, tmp_path, MANIFEST, "JSON")
    store.delete(MANIFEST)
    refused(store, tmp_path, MANIFEST)


def put_files(root: Path, versions: Sequence[Version]) -> None:
    def put(key: str, data: bytes) -> None:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(data)

    publish(put, [parquet_file(versions)], "Parquet")


def test_the_command_on_a_server(tmp_path: Path, s3_real: S3Server) -> None:
    versions = [Version("files/報告+.pdf"), Version("files/b.txt"), Version("files/c.tif", size=10**6)]
    client = s3_real.client()

    def put(key: str, data: bytes) -> None:
        client.put_object(Bucket=s3_real.bucket, Key=key, Body=data)

    [key] = publish(put, [csv_file(versions)], "CSV", bucket=s3_real.bucket)
    env = environment(s3_endpoint=s3_real.endpoint, work=tmp_path / "work") | s3_real.environment()
    place, output = f"s3://{s3_real.bucket}/{MANIFEST}", f"s3://{s3_real.bucket}/made/m.parquet"
    made = batchjob("manifest", "from-inventory", place, "-o", output, "--max-size", 1000, "--json", env=env)
    assert made.code == 0, made.stderr
    assert (made.answer["read"], made.answer["rows"], made.answer["passed_over"]) == (3, 1, 2)
    shown = batchjob("manifest", "show", output, "--json", env=env).answer
    assert [row["key"] for row in shown["shown"]] == ["files/報告+.pdf"]
    assert batchjob("manifest", "validate", place, "--json", env=env).answer["rows"] == 3
    client.delete_object(Bucket=s3_real.bucket, Key=key)
    failed = batchjob("manifest", "from-inventory", place, "-o", tmp_path / "m.parquet", env=env)
    assert (failed.code, key in failed.stderr, list(tmp_path.glob("m.parquet*"))) == (64, True, [])


def test_the_command_on_a_copy(tmp_path: Path) -> None:
    put_files(tmp_path / "copy", [Version("a.pdf")])
    output = tmp_path / "m.parquet"
    made = batchjob("manifest", "from-inventory", tmp_path / "copy" / MANIFEST, "-o", output, "--json")
    assert (made.code, made.answer["rows"]) == (0, 1), made.stderr
    (tmp_path / "copy" / MANIFEST.replace(".json", ".checksum")).unlink()
    assert (
        batchjob("plan", tmp_path / "copy" / MANIFEST, "--work", tmp_path / "w", "--json").answer["rows"] == 1
    )


def test_a_copy_with_a_missing_file(tmp_path: Path) -> None:
    put_files(tmp_path, [Version("a.pdf")])
    whole = json.loads((tmp_path / MANIFEST).read_text("utf-8"))
    files = [*whole["files"], whole["files"][0] | {"key": "gone.parquet"}]
    (tmp_path / MANIFEST).write_text(json.dumps(whole | {"files": files}), "utf-8")
    (tmp_path / MANIFEST.replace(".json", ".checksum")).unlink()
    failed = batchjob("manifest", "validate", tmp_path / MANIFEST, "--work", tmp_path / "w")
    assert (failed.code, "'gone.parquet' is missing" in failed.stderr) == (64, True)
