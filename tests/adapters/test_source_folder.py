"""A folder of documents: what counts as a document, what counts as gone, and what must not be followed."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchjob.adapters.source_folder import MARKER, SourceFolder
from batchjob.errors import (
    ObjectMissingError,
    PermanentError,
    PreconditionFailedError,
    TransientError,
    UsageError,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    for name in ("請求書/2026 年.pdf", "a.pdf", "a/b.pdf", "a/.hidden", ".git/config", "a-1/c.pdf", "empty"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def keys(source: SourceFolder, prefix: str = "", after: str = "") -> list[str]:
    return [meta.key for meta in source.list(prefix, start_after=after)]


def test_documents_are_listed_in_order_and_read(root: Path) -> None:
    (root / MARKER).touch()
    source = SourceFolder(root)
    assert keys(source) == ["a-1/c.pdf", "a.pdf", "a/b.pdf", "empty", "請求書/2026 年.pdf"]
    assert keys(source, "a/") == ["a/b.pdf"]
    assert keys(source, "a", "a.pdf") == ["a/b.pdf"]
    for meta in source.list():
        with source.open(meta.key) as opened:
            assert opened.body.read() == meta.key.encode()
            assert opened.meta == meta
            assert abs(opened.observed_at - time.time() * 1000) < 2000
    with source.open("a.pdf", byte_range=(2, 99)) as opened:
        assert opened.body.read() == b"pdf"


def test_a_change_changes_the_etag(root: Path) -> None:
    source = SourceFolder(root)
    etag = source.open("a.pdf").meta.etag
    times = (root / "a.pdf").stat()
    (root / "a.pdf").write_bytes(b"A.pdf")
    os.utime(root / "a.pdf", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert source.open("a.pdf").meta.etag != etag
    with pytest.raises(PreconditionFailedError):
        source.open("a.pdf", if_match=etag)


@pytest.mark.parametrize(
    "change", [lambda path: path.write_bytes(b"short"), lambda path: path.write_bytes(bytes(3_000_000))]
)
def test_a_file_that_changes_while_it_is_read_is_not_taken(
    root: Path, change: Callable[[Path], object]
) -> None:
    (root / "large.pdf").write_bytes(b"x" * 2_000_000)
    with SourceFolder(root).open("large.pdf") as opened:
        opened.body.read(10)
        change(root / "large.pdf")
        with pytest.raises(TransientError, match="changed while"):
            opened.body.read()


def test_absent_means_gone_only_under_the_marker(root: Path) -> None:
    source = SourceFolder(root)
    absent = ["absent.pdf", "a.pdf/below", "a", "a/" + "x" * 300]
    for key in absent:
        with pytest.raises(TransientError, match=MARKER) as outage:
            source.open(key)
        assert outage.value.cause in ("source_unavailable", "absence_unproven")
    (root / MARKER).touch()
    for key in absent:
        with pytest.raises(ObjectMissingError) as gone:
            source.open(key)
        assert abs(gone.value.observed_at - time.time() * 1000) < 2000


def test_a_folder_that_is_not_there_is_an_outage(root: Path) -> None:
    (root / MARKER).touch()
    source = SourceFolder(root)
    root.rename(root.parent / "elsewhere")
    for use in (lambda: source.open("a.pdf"), lambda: keys(source)):
        with pytest.raises(TransientError, match="mount") as caught:
            use()
        assert caught.value.cause in ("source_unavailable", "absence_unproven")
    root.mkdir()
    with pytest.raises(TransientError, match=MARKER):
        source.open("a.pdf")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_what_may_not_be_read_is_not_passed_over(root: Path) -> None:
    (root / "a.pdf").chmod(0)
    (root / "a-1").chmod(0)
    source = SourceFolder(root)
    try:
        for use in (lambda: source.open("a.pdf"), lambda: keys(source)):
            with pytest.raises(TransientError) as caught:
                use()
            assert caught.value.cause == "access_denied"
    finally:
        (root / "a-1").chmod(0o700)


def test_links_are_followed_only_inside(root: Path, tmp_path: Path) -> None:
    (root / MARKER).touch()
    (tmp_path / "secret.pdf").write_bytes(b"secret")
    (root / "out.pdf").symlink_to(tmp_path / "secret.pdf")
    (root / "dangling.pdf").symlink_to(tmp_path / "absent.pdf")
    (root / "up").symlink_to(tmp_path)
    (root / "loop").symlink_to(root)
    (root / "again.pdf").symlink_to("a.pdf")
    source = SourceFolder(root)
    assert keys(source) == ["a-1/c.pdf", "a.pdf", "a/b.pdf", "again.pdf", "empty", "請求書/2026 年.pdf"]
    for key in ("out.pdf", "dangling.pdf", "up/secret.pdf", "loop/up/secret.pdf"):
        with pytest.raises(UsageError, match="leads out"):
            source.open(key)
    assert source.open("again.pdf").body.read() == b"a.pdf"


def test_a_root_that_is_a_link_itself_is_fine(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    source = SourceFolder(tmp_path / "link")
    assert source.open("a.pdf").body.read() == b"a.pdf"
    assert "a.pdf" in keys(source)


def test_what_is_no_plain_file_is_no_document(root: Path) -> None:
    (root / MARKER).touch()
    os.mkfifo(root / "pipe")
    source = SourceFolder(root)
    assert "pipe" not in keys(source)
    with pytest.raises(ObjectMissingError):
        source.open("pipe")


def test_a_name_that_is_no_unicode_is_left_out_and_said(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        (Path(os.fsdecode(os.fsencode(root) + b"/bad\xff.pdf"))).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes no such name")
    assert keys(SourceFolder(root))[:2] == ["a-1/c.pdf", "a.pdf"]
    assert "left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    "key",
    ["/etc/passwd", "../secret", "a/../a.pdf", "./a.pdf", "a//b.pdf", "a/", "", "a\0", "\udcff", "x" * 1025],
)
def test_keys_that_are_no_plain_path_are_refused(root: Path, key: str) -> None:
    with pytest.raises(UsageError, match="key"):
        SourceFolder(root).open(key)


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b.pdf", "secret.pdf", "\\..", "%2e%2e"])).map("/".join))
def test_no_key_leads_out(tmp_path_factory: pytest.TempPathFactory, key: str) -> None:
    base = tmp_path_factory.getbasetemp() / "no-key-leads-out"
    (base / "root" / "a").mkdir(parents=True, exist_ok=True)
    (base / "root" / MARKER).touch()
    (base / "secret.pdf").write_bytes(b"secret")
    (base / "root" / "a" / "b.pdf").write_bytes(b"inside")
    try:
        with SourceFolder(base / "root").open(key) as opened:
            assert opened.body.read() == b"inside"
    except (ObjectMissingError, PermanentError):
        assert key != "a/b.pdf"
