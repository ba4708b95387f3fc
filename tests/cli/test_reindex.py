"""What `reindex` is told wrongly, and the file of company names: said before anything begins."""

from pathlib import Path

import pytest

from batchjob.adapters.folder import FolderStore
from batchjob.cli.dictionary import read_dictionary
from batchjob.cli.rebuilding import check_places
from batchjob.errors import UsageError
from batchjob.settings import Settings
from tests.support.command import batchjob
from tests.support.servers import S3Server

RULE = "関西国際空港,関西 国際 空港,カンサイ コクサイ クウコウ,カスタム名詞"


def test_a_place_that_is_none_begins_nothing(tmp_path: Path) -> None:
    work = tmp_path / "work"
    done = batchjob("reindex", tmp_path / "nowhere", "--job-queue", "local", "--work", work)
    assert (done.code, "is no folder" in done.stderr, "Traceback" in done.stderr) == (64, True, False)
    assert not list(FolderStore(work).list("reindex/"))


def test_a_bucket_without_documents_is_told(s3_listing: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3_listing.environment().items():
        monkeypatch.setenv(name, value)
    settings = Settings(s3_endpoint=s3_listing.endpoint, prefix="files/")
    s3_listing.client().put_object(Bucket=s3_listing.bucket, Key="files/a.pdf", Body=b"a")
    check_places(settings, [f"s3://{s3_listing.bucket}", f"s3://{s3_listing.bucket}/files/"])
    for place, words in (
        (f"s3://{s3_listing.bucket}/files/b", "nothing in"),
        (f"s3://{s3_listing.bucket}/else", "outside the prefix"),
        ("s3://no-such-bucket-anywhere", "no-such-bucket-anywhere"),
    ):
        with pytest.raises(UsageError, match=words):
            check_places(settings, [place])


def dictionary(folder: Path, data: bytes) -> tuple[str, ...]:
    path = folder / "names.csv"
    path.write_bytes(data)
    return read_dictionary(Settings(user_dictionary=str(path)))


def test_rules_are_read_without_comments(tmp_path: Path) -> None:
    text = f"\ufeff# company names\n\n{RULE}\r\n  東都商会,東都商会,トウトショウカイ,カスタム名詞 \n"
    assert dictionary(tmp_path, text.encode()) == (RULE, "東都商会,東都商会,トウトショウカイ,カスタム名詞")
    assert read_dictionary(Settings()) == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("東都商会", "line 1: '東都商会' is not of the form"),
        (f"{RULE}\n東都商会,東都,トウト,カスタム名詞", "line 2"),
        ("東都商会,東都 商会,トウトショウカイ,カスタム名詞", "line 1"),
        (f"{RULE}\n{RULE}", "line 2: '関西国際空港' is there twice"),
    ],
)
def test_a_rule_that_kuromoji_would_refuse_is_told_with_its_line(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        dictionary(tmp_path, text.encode())


def test_a_dictionary_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not in UTF-8"):
        dictionary(tmp_path, RULE.encode("shift_jis"))
    with pytest.raises(UsageError, match="cannot be read"):
        read_dictionary(Settings(user_dictionary=str(tmp_path / "none.csv")))
