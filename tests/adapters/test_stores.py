"""Which store a name means."""

from pathlib import Path

import pytest

from batchjob.adapters.folder import FolderStore
from batchjob.adapters.s3 import S3Store
from batchjob.adapters.source_folder import SourceFolder
from batchjob.adapters.stores import open_source, open_store
from batchjob.errors import UsageError
from tests.adapters.conftest import OnServer


def test_folders_by_path_and_by_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tmp_path / "作業 100%#1?"
    open_store(str(odd), endpoint=None).put("key", b"1")
    assert open_store(odd.as_uri(), endpoint=None).open("key").body.read() == b"1"
    monkeypatch.chdir(tmp_path)
    assert isinstance(open_store("relative", endpoint=None), FolderStore)
    assert (tmp_path / "relative").is_dir()
    (odd / "file.pdf").write_bytes(b"2")
    source = open_source(odd.as_uri(), endpoint=None)
    assert isinstance(source, SourceFolder)
    assert source.open("file.pdf").body.read() == b"2"


def test_buckets_with_and_without_prefix(on_server: OnServer) -> None:
    server = on_server("s3_listing")
    store = open_store(f"s3://{server.bucket}/some/prefix/", endpoint=server.endpoint)
    store.put("key", b"1")
    whole = open_store(f"s3://{server.bucket}", endpoint=server.endpoint)
    assert [meta.key for meta in whole.list("some/")] == ["some/prefix/key"]
    source = open_source(server.bucket, endpoint=server.endpoint)
    assert isinstance(source, S3Store)
    assert source.open("some/prefix/key").body.read() == b"1"


@pytest.mark.parametrize(
    "name", ["", "s3://", "s3:bucket", "s3:///key", "gs://bucket", "file://host/x", "file:x"]
)
def test_other_names_of_stores_are_wrong_use(name: str) -> None:
    with pytest.raises(UsageError):
        open_store(name, endpoint=None)


@pytest.mark.parametrize("name", ["", "s3://bucket", "folder/x", "file:///a?b", "file:///a#b", "file:///%00"])
def test_other_names_of_sources_are_wrong_use(name: str) -> None:
    with pytest.raises(UsageError):
        open_source(name, endpoint=None)
