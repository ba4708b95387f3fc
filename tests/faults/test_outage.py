"""An outage of a dependency for four hourly runs: nothing is given up, and everything is done afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from batchjob import layout
from batchjob.adapters import embedded
from batchjob.adapters.clock import SystemClock
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.adapters.stores import open_source
from batchjob.drain.commit import Intake, commit_inbox
from batchjob.drain.freeze import Target
from batchjob.drain.giveups import given_up
from batchjob.drain.ledger import close_runs
from batchjob.drain.openruns import abandon, missing_shards
from batchjob.errors import TransientError
from batchjob.ports import Get, Opened
from batchjob.records import FinalState, ManifestRow, RunInfo
from batchjob.runs import read_summary
from tests.support.documents import text_pdf, write_folder
from tests.support.pipeline import FINGERPRINT, Pipeline
from tests.support.segments import put_segment, read_rows
from tests.support.servers import unique_name

HOURS = 4
ROWS = 20


class Unavailable:
    """A bucket that does not answer for the keys that `fails` begins with."""

    def __init__(self, inner: Get, fails: tuple[str, ...]) -> None:
        self._inner = inner
        self._fails = fails

    def open(
        self, key: str, *, byte_range: tuple[int, int] | None = None, if_match: str | None = None
    ) -> Opened:
        if key.startswith(self._fails):
            raise TransientError("no answer", cause="store_unavailable")
        return self._inner.open(key, byte_range=byte_range, if_match=if_match)


class HoursLater:
    def __init__(self, hours: int) -> None:
        self._now = SystemClock().now_ms() + hours * 3600 * 1000

    def now_ms(self) -> int:
        return self._now


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearchIndex]:
    server = embedded.start(tmp_path_factory.mktemp("embedded"), keep=False)
    yield OpenSearchIndex(server.url)
    server.stop()


def hour(pipeline: Pipeline, number: int) -> RunInfo | None:
    """What happens in an hour: a drain, its jobs, a sweep that gives up what died, the reducer."""
    store = pipeline.store
    intake = Intake(Target("incremental", pipeline.alias, FINGERPRINT), f"drain-{number}", 100.0, 2)
    runs = commit_inbox(intake, store, HoursLater(number)).runs
    if not runs:
        return None
    [run] = runs
    for shard in range(run.shards):
        try:
            pipeline.process(run, shard)
        except TransientError:
            continue
    abandon(store, run, missing_shards(store, run), f"sweep-{number}", "dead")
    pipeline.reduce(run)
    close_runs(store, f"sweep-{number}", [run.run_id])
    return run


@pytest.mark.parametrize("fails", [("",), tuple("0234")], ids=["for all", "for a few"])
def test_an_outage_counts_against_no_row(
    tmp_path: Path, index: OpenSearchIndex, fails: tuple[str, ...]
) -> None:
    pipeline = Pipeline(tmp_path, index, unique_name())
    bucket = write_folder(tmp_path / "source", {f"{n}.pdf": text_pdf(f"page {n}") for n in range(ROWS)})
    put_segment(pipeline.store, "events", [ManifestRow(bucket, f"{n}.pdf") for n in range(ROWS)])
    runs: list[RunInfo] = []
    for number in range(HOURS):
        pipeline.source = lambda name: Unavailable(open_source(name, endpoint=None), fails)
        run = hour(pipeline, number)
        assert run is not None
        runs.append(run)
    pipeline.source = lambda name: open_source(name, endpoint=None)
    last = hour(pipeline, HOURS)
    assert last is not None
    assert not list(pipeline.store.list("quarantine/"))
    assert not list(pipeline.store.list(layout.INBOX))
    assert hour(pipeline, HOURS + 1) is None
    summaries = [read_summary(pipeline.store, run.run_id) for run in [*runs, last]]
    indexed = [summary.states[FinalState.INDEXED] for summary in summaries if summary]
    assert sum(indexed) == ROWS
    assert index.count(pipeline.alias) == ROWS


def test_a_document_that_kills_every_shard_ends_alone_and_is_given_up(
    tmp_path: Path, index: OpenSearchIndex
) -> None:
    """The others are done on the way; what is left of the shard that dies is cut smaller each time."""
    pipeline = Pipeline(tmp_path, index, unique_name())
    store = pipeline.store
    count = 60
    bucket = write_folder(tmp_path / "source", {f"{n}.pdf": text_pdf("the same page") for n in range(count)})
    put_segment(store, "events", [ManifestRow(bucket, f"{n}.pdf", size=2_000_000) for n in range(count)])
    together: list[int] = []
    for number in range(12):
        intake = Intake(Target("incremental", pipeline.alias, FINGERPRINT), f"drain-{number}", 600.0)
        for run in commit_inbox(intake, store, HoursLater(number)).runs:
            for shard in range(run.shards):
                keys = [row.key for row in read_rows(store, layout.manifest(run.run_id, shard))]
                if "7.pdf" in keys:
                    together.append(len(keys))
                    abandon(store, run, [shard], f"sweep-{number}", "exit code 137", killed={shard: 0})
                else:
                    pipeline.process(run, shard)
            pipeline.reduce(run)
            close_runs(store, f"sweep-{number}", [run.run_id])
    assert together == sorted(together, reverse=True)
    assert together[0] > 1
    assert together[-3:] == [1, 1, 1]
    assert [found.row["key"] for found in given_up(store, [])] == ["7.pdf"]
    assert not list(store.list(layout.INBOX))
    assert index.count(pipeline.alias) == count - 1
