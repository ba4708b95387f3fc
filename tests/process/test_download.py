"""Downloads over real servers whose connections break, whose objects are replaced, and whose bodies lie."""

import hashlib
import random
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from batchjob.adapters.s3 import S3Store, s3_client
from batchjob.adapters.source_folder import SourceFolder
from batchjob.errors import BatchjobError, MachineError, PreconditionFailedError, TransientError
from batchjob.process.download import Ranges, download
from tests.support.answers import answer, answering
from tests.support.documents import write_folder
from tests.support.recording import Recording
from tests.support.resets import resetting
from tests.support.servers import S3Server

SMALL = Ranges(above=200_000, size=100_000, at_once=4)
KEY = "scans/大きい.pdf"
HEADERS = [
    'ETag: "0123456789abcdef0123456789abcdef"',
    "Last-Modified: Tue, 01 Sep 2026 00:00:00 GMT",
]


@pytest.fixture(autouse=True)
def credentials(s3_real: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in s3_real.environment().items():
        monkeypatch.setenv(name, value)
    s3_client.cache_clear()
    yield
    s3_client.cache_clear()


@pytest.fixture(params=["s3_real", "s3_listing"])
def server(request: pytest.FixtureRequest) -> S3Server:
    found: S3Server = request.getfixturevalue(request.param)
    return found


def store(server: S3Server, endpoint: str | None = None) -> S3Store:
    return S3Store(s3_client(endpoint or server.endpoint), server.bucket)


def fetch(source: Recording, path: Path, ranges: Ranges = SMALL) -> str:
    return download(source, source.open(KEY), path, ranges)


def check_nothing_came_twice(source: Recording, size: int) -> None:
    """The bytes read of all answers lie side by side; each request asks for what is left from there on."""
    spans = sorted((asked.bytes for asked in source.asked if asked.read), key=lambda span: span.start)
    assert spans[0].start == 0
    assert spans[-1].stop == size
    assert all(one.stop == next_one.start for one, next_one in pairwise(spans))


def breaks(seed: int, size: int) -> Callable[[], int | None]:
    """Connections that break at random positions; no more than four of them can break before a byte came."""
    chance = random.Random(seed)
    early = 4

    def limit() -> int | None:
        nonlocal early
        if early and chance.random() < 0.3:
            early -= 1
            return chance.randrange(600, 70_000)
        return chance.choice([None, chance.randrange(140_000, max(size, 140_001) + 140_000)])

    return limit


@pytest.mark.parametrize("seed", range(6))
def test_broken_connections_cost_only_what_was_on_its_way(
    server: S3Server, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    size = chance.choice([1, 50_000, 199_999, 200_000, 200_001, 350_000, 1_000_000, 2_345_678])
    data = chance.randbytes(size)
    etag = store(server).put(KEY, data)
    with resetting(server.endpoint, breaks(seed, size)) as proxy:
        source = Recording(store(server, proxy.endpoint))
        assert fetch(source, tmp_path / "document") == hashlib.sha256(data).hexdigest()
    assert (tmp_path / "document").read_bytes() == data
    assert {asked.if_match for asked in source.asked[1:]} <= {etag}
    check_nothing_came_twice(source, size)


def test_a_large_object_that_comes_unbroken_is_asked_for_once(server: S3Server, tmp_path: Path) -> None:
    size = 1_050_000
    store(server).put(KEY, random.Random(1).randbytes(size))
    source = Recording(store(server))
    fetch(source, tmp_path / "document")
    ranges = {(start, min(start + 100_000, size) - 1) for start in range(100_000, size, 100_000)}
    assert {asked.byte_range for asked in source.asked} == {None} | ranges
    assert len(source.asked) == 1 + len(ranges)
    check_nothing_came_twice(source, size)


def test_a_small_object_is_one_request(server: S3Server, tmp_path: Path) -> None:
    for data in (b"", b"x", random.Random(1).randbytes(SMALL.above)):
        store(server).put(KEY, data)
        source = Recording(store(server))
        assert fetch(source, tmp_path / "document") == hashlib.sha256(data).hexdigest()
        assert len(source.asked) == 1


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("end", ["replaced", "deleted"])
def test_an_object_that_changes_meanwhile_is_noticed(
    server: S3Server, tmp_path: Path, seed: int, end: str
) -> None:
    chance = random.Random(seed)
    size = 1_200_000
    target = store(server)
    target.put(KEY, chance.randbytes(size))
    at = chance.randrange(1, 12)

    def change(number: int) -> None:
        if number == at:
            target.delete(KEY) if end == "deleted" else target.put(KEY, chance.randbytes(size))

    source = Recording(store(server), change)
    with pytest.raises(PreconditionFailedError):
        fetch(source, tmp_path / "document")


def test_an_object_replaced_after_a_reset_is_noticed(server: S3Server, tmp_path: Path) -> None:
    target = store(server)
    target.put(KEY, bytes(190_000))
    limits = iter([100_000])
    with resetting(server.endpoint, lambda: next(limits, None)) as proxy:
        source = Recording(store(server, proxy.endpoint), lambda number: number and target.put(KEY, b"new"))
        with pytest.raises(PreconditionFailedError):
            fetch(source, tmp_path / "document")
    assert source.asked[1].byte_range is not None


def test_a_connection_that_never_brings_anything_is_given_up(s3_real: S3Server, tmp_path: Path) -> None:
    store(s3_real).put(KEY, bytes(150_000))
    with resetting(s3_real.endpoint, lambda: 2_000) as proxy:
        source = Recording(store(s3_real, proxy.endpoint))
        with pytest.raises(TransientError):
            fetch(source, tmp_path / "document")
    assert len(source.asked) == 5


def part(body: bytes, span: str, *more: str) -> bytes:
    return answer("206 Partial Content", body, headers=[*HEADERS, f"Content-Range: bytes {span}", *more])


@pytest.mark.parametrize(
    ("first", "later", "words"),
    [
        (
            (b"begins", "0-99/100", "Content-Length: 100"),
            (b"b", "0-99/100", "Content-Length: 100"),
            "expected is 100",
        ),
        ((b"ex", "0-1/100"), (b"", "2-99/100"), "2 of 100 bytes"),
        ((b"long", "0-1/2"), (b"", "0-1/2"), "more of 2 bytes"),
    ],
)
def test_a_body_that_is_not_what_was_announced_is_noticed(
    first: tuple[bytes, str], later: tuple[bytes, str], words: str, tmp_path: Path
) -> None:
    with answering(part(*first), part(*later)) as server:
        source = S3Store(s3_client(server.endpoint), "bucket")
        with pytest.raises(TransientError, match=words):
            download(source, source.open(KEY), tmp_path / "document")


def test_a_document_that_cannot_fit_is_not_begun(tmp_path: Path) -> None:
    with answering(part(b"x", "0-0/9000000000000000")) as server:
        source = S3Store(s3_client(server.endpoint), "bucket")
        with pytest.raises(MachineError, match="BATCHJOB_SCRATCH") as caught:
            download(source, source.open(KEY), tmp_path / "document")
    assert caught.value.cause == "scratch_full"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [1_000, 1_000_000])
def test_a_disk_that_fills_up_meanwhile_is_the_machines_fault(
    s3_real: S3Server, tmp_path: Path, size: int
) -> None:
    store(s3_real).put(KEY, bytes(size))
    (tmp_path / "document").symlink_to("/dev/full")
    source = Recording(store(s3_real))
    with pytest.raises(MachineError, match="is full"):
        fetch(source, tmp_path / "document")


def test_a_server_that_knows_no_ranges_is_not_believed(tmp_path: Path) -> None:
    cut = answer("200 OK", bytes(100_000), headers=[*HEADERS, "Content-Length: 150000"])
    whole = answer("200 OK", bytes(150_000), headers=HEADERS)
    with answering(cut, whole) as server:
        source = S3Store(s3_client(server.endpoint), "bucket")
        with pytest.raises(TransientError, match="Content-Range"):
            download(source, source.open(KEY), tmp_path / "document")


def test_a_folders_file_is_read_once_from_front_to_back(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(1_000_000)
    write_folder(tmp_path / "source", {KEY: data})
    source = Recording(SourceFolder(tmp_path / "source"))
    assert fetch(source, tmp_path / "document") == hashlib.sha256(data).hexdigest()
    assert [(asked.byte_range, asked.read) for asked in source.asked] == [(None, len(data))]


def test_a_folders_file_written_meanwhile_is_noticed(tmp_path: Path) -> None:
    write_folder(tmp_path / "source", {KEY: bytes(1_000_000)})
    source = SourceFolder(tmp_path / "source")
    opened = source.open(KEY)
    opened.body.read(10)
    (tmp_path / "source" / KEY).write_bytes(bytes(1_000_001))
    with pytest.raises(PreconditionFailedError):
        download(source, opened, tmp_path / "document")


def test_downloads_leave_no_thread_behind(server: S3Server, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    target = store(server)
    target.put(KEY, bytes(1_000_000))
    source = Recording(store(server), lambda number: number == 3 and target.put(KEY, b"new"))
    with pytest.raises(BatchjobError):
        fetch(source, tmp_path / "document")
    assert {thread.name for thread in set(threading.enumerate()) - before if "range" in thread.name} == set()
