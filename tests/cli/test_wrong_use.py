"""Wrong use and broken surroundings: a line or two that say what to do, the right exit code, no traceback."""

import os
from pathlib import Path

import pytest

from batchjob.errors import ExitCode
from tests.support.command import Finished, batchjob, environment
from tests.support.documents import text_pdf

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "one.pdf").write_bytes(text_pdf("one"))
    return folder


def check(done: Finished, code: ExitCode, *words: str) -> None:
    assert done.code == code, done.stderr
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if '"event":"notice"' not in line]
    assert 1 <= len(said) <= 2, done.stderr
    for word in words:
        assert word in done.stderr
    assert "\\n" not in done.stderr


def test_an_opensearch_that_does_not_answer(folder: Path, tmp_path: Path) -> None:
    done = batchjob("local", folder, "--work", tmp_path / "work", "--opensearch", NOBODY)
    check(done, ExitCode.TRY_AGAIN, NOBODY, "start it")


@pytest.mark.parametrize("url", ["localhost:9200", "ftp://x", "http://[", ""])
def test_an_opensearch_url_that_is_none(folder: Path, tmp_path: Path, url: str) -> None:
    done = batchjob("search", "word", "--work", tmp_path / "work", "--opensearch", url)
    check(done, ExitCode.USAGE, "OpenSearch" if url else "--keep")


def test_a_manifest_that_is_not_there(tmp_path: Path) -> None:
    check(batchjob("local", tmp_path / "none.csv", "--work", tmp_path), ExitCode.USAGE, "none.csv")
    check(batchjob("manifest", "validate", tmp_path / "none.csv"), ExitCode.USAGE, "none.csv")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,colour\na.pdf,red\n", ["colour", "known are"]),
        ("department\nsales\n", ["`uri`", "`path`"]),
        ("path\n../a.pdf\n", ["line 2", "leaves"]),
        ("path,action\na.pdf,destroy\n", ["line 2", "destroy"]),
        ("path,size\na.pdf,big\n", ["line 2", "big"]),
        ("uri\nhttps://example.com/a.pdf\n", ["line 2", "s3://"]),
        ("path,department\na.pdf\n", ["line 2", "fields"]),
        ('path\n"a.pdf\n', ["line"]),
    ],
)
def test_a_bad_column_or_row_is_named(tmp_path: Path, text: str, words: list[str]) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(text)
    check(batchjob("local", manifest, "--work", tmp_path / "work"), ExitCode.USAGE, "manifest.csv", *words)


def test_a_manifest_in_another_encoding(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_bytes("path\n請求書.pdf\n".encode("cp932"))
    check(batchjob("manifest", "validate", manifest), ExitCode.USAGE, "UTF-8")


def test_a_damaged_parquet_manifest(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.parquet"
    manifest.write_bytes(b"PAR1 and nothing else")
    check(batchjob("manifest", "show", manifest), ExitCode.USAGE, "manifest.parquet")


def test_a_missing_tesseract_language(folder: Path, tmp_path: Path) -> None:
    env = environment(ocr_engine="tesseract", ocr_languages="Klingon")
    done = batchjob("local", folder, "--work", tmp_path / "work", env=env)
    check(done, ExitCode.USAGE, "Klingon", "BATCHJOB_OCR_LANGUAGES")


def test_no_tesseract_at_all(folder: Path, tmp_path: Path) -> None:
    env = environment(ocr_engine="tesseract") | {"PATH": str(tmp_path)}
    check(batchjob("local", folder, "--work", tmp_path / "work", env=env), ExitCode.USAGE, "tesseract-ocr")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_work_folder_without_permission(folder: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    check(batchjob("local", folder, "--work", locked), ExitCode.USAGE, "locked", "--work")


def test_a_work_folder_that_cannot_be_written(folder: Path) -> None:
    check(batchjob("local", folder, "--work", "/proc/batchjob"), ExitCode.USAGE, "/proc/batchjob", "--work")


def test_a_work_folder_that_is_a_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check(batchjob("local", folder, "--work", tmp_path / "file"), ExitCode.USAGE, "file", "--work")


def test_an_empty_folder(tmp_path: Path) -> None:
    check(batchjob("local", tmp_path, "--work", tmp_path / "work"), ExitCode.USAGE, "no documents")


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    for command in ("process", "reduce", "status"):
        done = batchjob(command, "20260101T000000Z-abcdef", "--work", tmp_path / "work")
        check(done, ExitCode.USAGE, "20260101T000000Z-abcdef")


def test_a_search_for_nothing(tmp_path: Path) -> None:
    check(batchjob("search", " ", "--work", tmp_path / "work"), ExitCode.USAGE, "say what")


def test_a_document_is_no_manifest(folder: Path, tmp_path: Path) -> None:
    done = batchjob("local", folder / "one.pdf", "--work", tmp_path / "work")
    check(done, ExitCode.USAGE, "one.pdf", "batchjob extract")


def test_a_search_without_a_server(tmp_path: Path) -> None:
    check(batchjob("search", "word", "--work", tmp_path / "work"), ExitCode.USAGE, "--opensearch", "--keep")


def test_a_mistyped_setting(tmp_path: Path) -> None:
    env = environment(ocr_language="Japanese")
    check(batchjob("status", "--work", tmp_path, env=env), ExitCode.USAGE, "BATCHJOB_OCR_LANGUAGES")


def test_a_setting_out_of_range(tmp_path: Path) -> None:
    done = batchjob("status", "--work", tmp_path, env=environment(workers=0))
    check(done, ExitCode.USAGE, "BATCHJOB_WORKERS")


@pytest.mark.parametrize(
    "arguments", [["locl", "x"], ["local"], ["local", "x", "--shard"], ["process"], ["search"], ["extract"]]
)
def test_mistyped_commands_and_options(arguments: list[str]) -> None:
    check(batchjob(*arguments), ExitCode.USAGE, "batchjob")


@pytest.mark.parametrize("place", ["https://example.com/work", "s3://", "s3:bucket"])
def test_a_work_place_of_no_known_kind(place: str) -> None:
    check(batchjob("status", "--work", place), ExitCode.USAGE, "s3://")


def test_a_file_to_extract_that_is_not_there(tmp_path: Path) -> None:
    check(batchjob("extract", tmp_path / "none.pdf"), ExitCode.USAGE, "none.pdf")


def test_a_file_that_cannot_be_read_is_said_and_exits_65(tmp_path: Path) -> None:
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7")
    done = batchjob("extract", tmp_path / "broken.pdf", "--json")
    assert done.code == ExitCode.TOO_MANY_FAILED
    assert done.answer["error"]["category"] == "corrupt"


@pytest.mark.parametrize(
    "command", [[], ["local"], ["process"], ["reduce"], ["manifest"], ["extract"], ["search"], ["status"]]
)
def test_every_command_has_help(command: list[str]) -> None:
    done = batchjob(*command, "--help")
    assert done.code == 0
    assert "Usage: batchjob" in done.stdout
