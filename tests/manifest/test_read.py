"""Manifests written by hand: what each form means, and that Parquet and CSV say the same."""

import csv
import dataclasses
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchjob.errors import UsageError
from batchjob.manifest.read import one_row_an_object, read_batches, read_manifest, split_uri
from batchjob.records import MANIFEST_SCHEMA, Action, ManifestRow, manifest_from_parquet, manifest_to_parquet
from tests.support.command import batchjob
from tests.support.documents import text_pdf, write_folder

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)


def manifest(folder: Path, header: list[str], *rows: list[str]) -> Path:
    path = folder / "manifest.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_a_path_is_relative_to_the_manifest(tmp_path: Path) -> None:
    found = read_manifest(manifest(tmp_path, ["path", "tags"], ["請求書 50%+α.pdf", "a; b ;"]))
    [row] = found.rows
    assert (row.bucket, row.key, row.tags) == (tmp_path.resolve().as_uri(), "請求書 50%+α.pdf", ("a", "b"))


def test_a_uri_names_a_bucket_or_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "a b#?%.pdf"
    found = read_manifest(manifest(tmp_path, ["uri"], ["s3://bucket/a/b c.pdf"], [path.as_uri()]))
    assert [(row.bucket, row.key) for row in found.rows] == [
        ("bucket", "a/b c.pdf"),
        (tmp_path.as_uri(), "a b#?%.pdf"),
    ]


def test_one_row_an_object_and_the_last_one_wins(tmp_path: Path) -> None:
    rows = [["b", "k", "upsert"], ["b", "other", ""], ["b", "k", "delete"]]
    found = read_manifest(manifest(tmp_path, ["bucket", "key", "action"], *rows))
    assert found.duplicates == 1
    assert [(row.key, row.action) for row in found.rows] == [("k", Action.DELETE), ("other", Action.UPSERT)]


ROWS = st.builds(
    ManifestRow,
    bucket=TEXT,
    key=TEXT,
    action=st.sampled_from(Action),
    size=st.none() | st.integers(0, 2**62),
    etag=st.none() | TEXT,
    event_time=st.none() | st.integers(0, 2**62),
    attempt=st.integers(1, 3),
    cost=st.floats(0, 1e6),
    department=st.none() | TEXT,
    tags=st.lists(TEXT).map(tuple),
)


@given(st.lists(ROWS))
def test_rows_survive_parquet(rows: list[ManifestRow]) -> None:
    assert manifest_from_parquet(manifest_to_parquet(rows)) == rows


@given(st.lists(ROWS, unique_by=lambda row: (row.bucket, row.key)))
def test_a_parquet_manifest_reads_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[ManifestRow]
) -> None:
    path = tmp_path_factory.mktemp("manifest") / "manifest.parquet"
    path.write_bytes(manifest_to_parquet(rows))
    assert read_manifest(path).rows == rows


@given(TEXT, TEXT, TEXT)
def test_csv_takes_any_text(
    tmp_path_factory: pytest.TempPathFactory, bucket: str, key: str, place: str
) -> None:
    path = manifest(
        tmp_path_factory.mktemp("manifest"), ["bucket", "key", "department"], [bucket, key, place]
    )
    [row] = read_manifest(path).rows
    assert (row.bucket, row.key, row.department) == (bucket, key, place)


@pytest.mark.parametrize(
    "uri", ["", "s3://", "s3://bucket", "s3://bucket/", "https://x/y", "file://host/x", "key"]
)
def test_what_names_no_object_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        split_uri(uri)


@pytest.mark.parametrize("name", ["report#2.pdf", "what?.pdf", "50%25.pdf"])
def test_a_uri_keeps_what_looks_like_a_fragment_or_a_query(tmp_path: Path, name: str) -> None:
    [row] = read_manifest(manifest(tmp_path, ["uri"], [f"file://{tmp_path}/{name}"])).rows
    assert row.key == name.replace("%25", "%")


@pytest.mark.parametrize(
    ("column", "value"), [("attempt", "3000000000"), ("size", "1e30"), ("size", "-1"), ("size", "9" * 30)]
)
def test_numbers_out_of_range_are_named(tmp_path: Path, column: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"line 2: {column}"):
        read_manifest(manifest(tmp_path, ["path", column], ["a.pdf", value]))


def test_parquet_columns_of_other_types(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    pq.write_table(pa.table({"bucket": ["b"], "key": ["k"], "size": [3.5]}), path)
    with pytest.raises(UsageError, match="line 1: size"):
        read_manifest(path)
    pq.write_table(pa.table({"bucket": ["b"], "key": ["k"], "department": [7]}), path)
    assert manifest_from_parquet(manifest_to_parquet(read_manifest(path).rows))[0].department == "7"
    pq.write_table(pa.table({"bucket": ["b"], "key": [b"k"]}), path)
    with pytest.raises(UsageError, match="binary"):
        read_manifest(path)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"))))
def test_duplicates_are_counted(places: list[tuple[str, str]]) -> None:
    found = one_row_an_object(ManifestRow(bucket, key) for bucket, key in places)
    assert len(found.rows) + found.duplicates == len(places)
    assert {(row.bucket, row.key) for row in found.rows} == set(places)


def test_from_dir_show_and_validate(tmp_path: Path) -> None:
    files = {"a.pdf": text_pdf("a"), "deep/er/b.PDF": text_pdf("b"), "c.txt": b"", ".hidden.pdf": b""}
    bucket = write_folder(tmp_path / "documents", files)
    output = tmp_path / "manifest.parquet"
    made = batchjob("manifest", "from-dir", tmp_path / "documents", "-o", output, "--json")
    assert (made.code, made.answer["rows"]) == (0, 2)
    assert {(row.bucket, row.key) for row in read_manifest(output).rows} == {
        (bucket, "a.pdf"),
        (bucket, "deep/er/b.PDF"),
    }
    assert batchjob("manifest", "validate", output, "--json").answer["rows"] == 2
    shown = batchjob("manifest", "show", output, "--limit", 1, "--json").answer
    assert (shown["rows"], len(shown["shown"])) == (2, 1)


def test_from_csv_resolves_paths_once(tmp_path: Path) -> None:
    path = manifest(tmp_path, ["path"], ["a.pdf"])
    output = tmp_path / "elsewhere" / "manifest.parquet"
    output.parent.mkdir()
    assert batchjob("manifest", "from-csv", path, "-o", output).code == 0
    assert read_manifest(output).rows == [
        dataclasses.replace(row, cost=0.0) for row in read_manifest(path).rows
    ]


def test_a_folder_is_no_manifest_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no manifest"):
        read_manifest(tmp_path)


def test_a_file_without_a_header_is_told(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("s3://bucket/a.pdf,9\ns3://bucket/b.pdf,9\n")
    for command in (["validate"], ["show"], ["from-csv", "-o", tmp_path / "m.parquet"]):
        failed = batchjob("manifest", *command, tmp_path / "m.csv")
        assert (failed.code, "m.csv has no header" in failed.stderr) == (64, True), failed.stderr
    assert not list(tmp_path.glob("*.parquet*"))


FAULTS = {
    "it names no key": {"key": ""},
    "size is less than 0": {"size": -1},
    "action is not": {"action": "remove"},
    "attempt is not": {"attempt": 0},
}


@pytest.mark.parametrize("why", FAULTS)
def test_a_bad_row_of_a_large_file_is_named(why: str, tmp_path: Path) -> None:
    rows = [
        {"bucket": "b", "key": "a.pdf", "action": "upsert", "size": 1, "attempt": 1} for _ in range(70_000)
    ]
    rows[69_000] |= FAULTS[why]
    types = [MANIFEST_SCHEMA.field(name).with_nullable(True) for name in rows[0]]
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(types)), tmp_path / "m.parquet")
    with pytest.raises(UsageError, match=f"row 69001: {why}"):
        list(read_batches(tmp_path / "m.parquet"))


def test_selected_rows_of_a_file_that_people_wrote(tmp_path: Path) -> None:
    path = manifest(
        tmp_path,
        ["uri", "size", "department", "event_time"],
        *[
            ["s3://b/a.pdf", "9", "総務", "2026-04-01"],
            ["s3://b/b.doc", "99", "経理", "2026-04-02"],
            ["s3://b/x/c.pdf", "", "", ""],
        ],
    )

    def keys(*options: object) -> list[str]:
        output = tmp_path / "made.parquet"
        done = batchjob("manifest", "from-csv", path, "-o", output, *options)
        assert done.code == 0, done.stderr
        return [row.key for row in read_manifest(output).rows]

    assert keys() == ["a.pdf", "b.doc", "x/c.pdf"]
    assert keys("--suffix", ".PDF", "--max-size", 50) == ["a.pdf", "x/c.pdf"]
    assert keys("--prefix", "x/") == ["x/c.pdf"]
    assert keys("--modified-from", "2026-04-02") == ["b.doc", "x/c.pdf"]
    assert [row.department for row in read_manifest(tmp_path / "made.parquet").rows] == ["経理", None]
