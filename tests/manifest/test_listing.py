"""Listing in parallel: the same as listing plainly, whatever the keys are, and wherever a process dies."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchjob.adapters.folder import FolderStore
from batchjob.adapters.s3 import S3Store, s3_client
from batchjob.errors import SourceMissingError, TransientError
from batchjob.manifest import units
from batchjob.manifest.listing import discover, forget_listing, list_bucket
from batchjob.manifest.select import Selection, Tally
from batchjob.manifest.units import Listing
from batchjob.ports import ObjectMeta
from tests.support.command import batchjob, environment, start
from tests.support.faults import FaultPlan, Faults, FaultStore, SimulatedCrash
from tests.support.manual_clock import ManualClock
from tests.support.servers import S3Server, unique_name

SEGMENTS = ["", "a", "b.pdf", "報告", "😀", "s" * 300, " +%", "..", "日" * 100]
KEYS = (
    st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=8)
    .map("/".join)
    .filter(lambda key: 0 < len(key.encode()) <= 1024)
)
BODY = b"x"


@pytest.fixture(scope="module", autouse=True)
def credentials(s3_listing: S3Server) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_listing.environment().items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def bucket(s3_listing: S3Server) -> S3Store:
    """An empty bucket."""
    return new_bucket(s3_listing, [])


def new_bucket(server: S3Server, keys: Sequence[str], name: str | None = None) -> S3Store:
    bucket = name or unique_name("bucket")
    server.client().create_bucket(Bucket=bucket)
    store = S3Store(s3_client(server.endpoint), bucket)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: store.put(key, BODY), keys))
    return store


def listed(
    source: S3Store, store: FolderStore | FaultStore, clock: ManualClock, selection: Selection
) -> list[str]:
    wanted = Listing("example-bucket", selection)
    batches = list_bucket(wanted, source, store, clock, uuid4().hex[:8], Tally())
    return [key for batch in batches for key in batch["key"].to_pylist()]


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(keys=st.sets(KEYS, max_size=25), prefix=st.sampled_from(["", "a", "a/", "報告/", "//"]))
def test_in_parallel_as_plainly(
    s3_listing: S3Server, tmp_path_factory: pytest.TempPathFactory, keys: set[str], prefix: str
) -> None:
    source = new_bucket(s3_listing, sorted(keys))
    store = FolderStore(tmp_path_factory.mktemp("work"))
    found = listed(source, store, ManualClock(), Selection(prefix))
    assert Counter(found) == Counter(meta.key for meta in source.list(prefix))
    assert set(found) == {key for key in keys if key.startswith(prefix)}


def test_a_level_tells_objects_and_folders(bucket: S3Store, s3_listing: S3Server) -> None:
    for key in ("a", "a/", "a//b", "a/c/d", "a/c/e", "a/報告", "a b/%.pdf"):
        bucket.put(key, BODY)

    def told(prefix: str) -> set[str]:
        return {e.key if isinstance(e, ObjectMeta) else f"folder {e}" for e in bucket.level(prefix)}

    assert told("") == {"a", "folder a/", "folder a b/"}
    assert told("a/") == {"a/", "folder a//", "folder a/c/", "a/報告"}
    assert told("a//") == {"a//b"}
    with pytest.raises(SourceMissingError):
        list(S3Store(s3_client(s3_listing.endpoint), "no-such-bucket").level(""))


@pytest.mark.slow
def test_more_than_a_page_at_each_level(s3_listing: S3Server, tmp_path: Path) -> None:
    keys = [f"{folder:04d}/{n}.pdf" for folder in range(1050) for n in range(1)] + [
        f"{n}.tif" for n in range(1050)
    ]
    source = new_bucket(s3_listing, keys)
    assert Counter(listed(source, FolderStore(tmp_path), ManualClock(), Selection())) == Counter(keys)
    levels, wholes = discover(source, "")
    assert (levels, len(wholes)) == (("",), 1050)


class Counted:
    """A bucket that counts what is asked of it."""

    def __init__(self, inner: S3Store) -> None:
        self._inner = inner
        self.listed: list[str] = []
        self.after: list[str] = []

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        self.listed.append(prefix)
        self.after.append(start_after)
        return self._inner.list(prefix, start_after=start_after)

    def level(self, prefix: str) -> Iterator[ObjectMeta | str]:
        return self._inner.level(prefix)

    def open(
        self, key: str, *, byte_range: tuple[int, int] | None = None, if_match: str | None = None
    ) -> object:
        raise AssertionError("a listing opens no object")


def test_wherever_it_dies_the_next_one_finishes(s3_listing: S3Server, tmp_path: Path) -> None:
    keys = [f"{folder}/{n}.pdf" for folder in "ab" for n in range(2)] + ["top.pdf"]
    source, clock = new_bucket(s3_listing, keys), ManualClock()
    faults = Faults()
    assert Counter(
        listed(source, FaultStore(FolderStore(tmp_path / "0"), faults), clock, Selection())
    ) == Counter(keys)
    for at in range(1, len(faults.operations) + 1):
        for kind in ("crash_before", "crash_after", "answer_lost"):
            store = FolderStore(tmp_path / f"{at}{kind}")
            dying = FaultStore(store, Faults(FaultPlan(at, kind)))  # type: ignore[arg-type]
            with pytest.raises((SimulatedCrash, TransientError)):
                listed(source, dying, clock, Selection())
            assert Counter(listed(source, store, clock, Selection())) == Counter(keys), (at, kind)


def test_what_was_done_is_not_listed_again(s3_listing: S3Server, tmp_path: Path) -> None:
    source = Counted(new_bucket(s3_listing, [f"{folder}/a.pdf" for folder in "abcd"]))
    store, clock = FolderStore(tmp_path), ManualClock()
    whole = listed(source, store, clock, Selection())  # type: ignore[arg-type]
    assert sorted(source.listed) == ["a/", "b/", "c/", "d/"]
    [one] = [m.key for m in store.list("listings/") if m.key.endswith("000002.json")]
    store.delete(one)
    assert sorted(listed(source, store, clock, Selection())) == sorted(whole)  # type: ignore[arg-type]
    assert len(source.listed) == 5
    clock.pass_seconds(25 * 3600)
    listed(source, store, clock, Selection())  # type: ignore[arg-type]
    assert len(source.listed) == 9
    forget_listing(Listing("example-bucket", Selection()), store)
    assert list(store.list()) == []


def test_a_large_folder_goes_on_where_it_was_left(
    s3_listing: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at each durable step: what was kept of a prefix is not listed again, and nothing is there twice."""
    monkeypatch.setattr(units, "KEYS_A_BATCH", 4)
    monkeypatch.setattr(units, "BATCHES_A_PART", 2)
    keys = [f"flat/{n:03d}.{'pdf' if n % 3 else 'txt'}" for n in range(50)]
    inner, clock, chosen = new_bucket(s3_listing, keys), ManualClock(), Selection("flat/", (".pdf",))
    wanted = Counter(key for key in keys if key.endswith(".pdf"))
    faults = Faults()
    whole = listed(inner, FaultStore(FolderStore(tmp_path / "0"), faults), clock, chosen)
    assert Counter(whole) == wanted
    assert sum("progress" in name for name in faults.operations) == 50 // 8
    left_out = 0
    for at in range(1, len(faults.operations) + 1):
        store, source = FolderStore(tmp_path / f"{at}"), Counted(inner)
        with pytest.raises(SimulatedCrash):
            listed(inner, FaultStore(store, Faults(FaultPlan(at, "crash_after"))), clock, chosen)
        tally = Tally()
        batches = list_bucket(
            Listing("example-bucket", chosen),
            source,
            store,
            clock,
            uuid4().hex[:8],
            tally,  # type: ignore[arg-type]
        )
        assert Counter(key for batch in batches for key in batch["key"].to_pylist()) == wanted, at
        assert (tally.read, tally.rows) == (50, wanted.total())
        left_out += any(after for after in source.after)
    assert left_out > 8


def test_a_folder_that_came_after_the_plan_is_listed_too(s3_listing: S3Server, tmp_path: Path) -> None:
    source, store, clock = (
        new_bucket(s3_listing, ["a/1.pdf", "b/1.pdf"]),
        FolderStore(tmp_path),
        ManualClock(),
    )
    faults = FaultStore(store, Faults(FaultPlan(2, "crash_before")))
    with pytest.raises(SimulatedCrash):
        listed(source, faults, clock, Selection())
    source.put("new/deep/1.pdf", BODY)
    assert "new/deep/1.pdf" in listed(source, store, clock, Selection())


def test_killed_and_started_again(s3_listing: S3Server, tmp_path: Path) -> None:
    """SIGKILL at real moments; the manifest is there whole or not at all."""
    keys = [f"{folder:02d}/{n}.pdf" for folder in range(30) for n in range(4)]
    name = unique_name("bucket")
    new_bucket(s3_listing, keys, name)
    env = environment(s3_endpoint=s3_listing.endpoint, work=tmp_path / "work") | s3_listing.environment()
    output = tmp_path / "m.parquet"
    line = ("manifest", "from-s3", f"s3://{name}", "-o", output)
    killed = start(*line, env=env)
    for _ in range(400):
        if list((tmp_path / "work").rglob("plan.json")):
            break
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not output.exists() or pq.read_metadata(output).num_rows == len(keys)
    done = batchjob(*line, "--json", env=env)
    assert (done.code, done.answer["rows"]) == (0, len(keys)), done.stderr
    assert sorted(pq.read_table(output)["key"].to_pylist()) == sorted(keys)
    assert not list((tmp_path / "work").rglob("plan.json"))
