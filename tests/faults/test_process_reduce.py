"""Every durable operation of process → reduce fails in every way; what is left afterwards is always the same."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchjob import layout
from batchjob.adapters import embedded
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.errors import FencedError, TransientError
from batchjob.records import FinalState, ManifestRow, RunInfo
from tests.support.documents import scanned_page, text_pdf, write_folder
from tests.support.faults import KINDS, FaultPlan, Faults, Kind, SimulatedCrash
from tests.support.pipeline import Pipeline
from tests.support.projection import index_projection, outcome_projection
from tests.support.servers import unique_name

ATTEMPTS = 4
FILES = {
    "report.pdf": text_pdf("the first quarterly report", "its second page"),
    "copy of report.pdf": text_pdf("the first quarterly report", "its second page"),
    "letter.png": scanned_page("Kind regards"),
    "broken.pdf": b"%PDF-1.7\nnothing more",
}
EXPECTED = {FinalState.INDEXED: 3, FinalState.FAILED: 1, FinalState.DELETED: 1}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearchIndex]:
    server = embedded.start(tmp_path_factory.mktemp("embedded"), keep=False)
    yield OpenSearchIndex(server.url)
    server.stop()


class Undisturbed:
    """The run as it goes without faults, with a cold cache and a warm one; `cold` and `warm` are where it begins."""

    def __init__(self, folder: Path, index: OpenSearchIndex) -> None:
        bucket = write_folder(folder / "source", FILES)
        self.cold = Pipeline(folder / "cold", index, unique_name())
        self.run = self.cold.freeze([ManifestRow(bucket, name) for name in (*FILES, "gone.pdf")], 2)
        self.cold_operations = Faults()
        self.warm_operations = Faults()
        first = self.cold.copy_to(folder / "first", unique_name())
        self.summary = first.run(self.run, self.cold_operations)
        self.projection = projection(first, self.run)
        self.warm = self.cold.copy_to(folder / "warm", unique_name())
        shutil.copytree(first.folder / "work" / "cache", self.warm.folder / "work" / "cache")
        self.warm.copy_to(folder / "second", unique_name()).run(self.run, self.warm_operations)


def projection(pipeline: Pipeline, run: RunInfo) -> tuple[object, ...]:
    name = pipeline.index.resolve(pipeline.alias)
    assert name is not None
    outcomes = sorted(outcome_projection(outcome) for outcome in pipeline.outcomes(run))
    return index_projection(pipeline.index, name), outcomes


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, index: OpenSearchIndex) -> Undisturbed:
    return Undisturbed(tmp_path_factory.mktemp("undisturbed"), index)


def test_an_undisturbed_run_ends_every_row(undisturbed: Undisturbed) -> None:
    states = {state: count for state, count in undisturbed.summary.states.items() if count}
    assert states == EXPECTED


def test_the_operations_are_those_of_the_design(undisturbed: Undisturbed) -> None:
    kinds = {name.partition(" ")[0] for name in undisturbed.warm_operations.operations}
    assert kinds == {"put", "create_once", "replace_if_match", "bulk", "create"}
    assert not any("cache/" in name for name in undisturbed.warm_operations.operations)
    assert sum("cache/" in name for name in undisturbed.cold_operations.operations) >= 2 * len(FILES) - 1


@pytest.mark.parametrize("kind", KINDS)
def test_with_a_warm_cache_every_operation_may_fail(
    kind: Kind, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    for at in range(1, len(undisturbed.warm_operations.operations) + 1):
        pipeline = undisturbed.warm.copy_to(tmp_path / str(at), unique_name())
        recover(pipeline, undisturbed, FaultPlan(at, kind))


@pytest.mark.parametrize(
    "kind", [KINDS[0], *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[1:])]
)
def test_with_a_cold_cache_every_write_to_it_may_fail(
    kind: Kind, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    names = undisturbed.cold_operations.operations
    for at in [number for number, name in enumerate(names, 1) if "cache/" in name]:
        pipeline = undisturbed.cold.copy_to(tmp_path / str(at), unique_name())
        recover(pipeline, undisturbed, FaultPlan(at, kind))


def recover(pipeline: Pipeline, undisturbed: Undisturbed, plan: FaultPlan) -> None:
    """Runs the jobs again after the fault, as Batch would, and checks that nothing tells the difference."""
    faults: Faults | None = Faults(plan)
    for attempt in range(ATTEMPTS):
        try:
            pipeline.run(undisturbed.run, faults)
            break
        except (SimulatedCrash, TransientError, FencedError):
            assert attempt < ATTEMPTS - 1, f"not finished after {ATTEMPTS} attempts: {plan}"
            faults = None
    assert projection(pipeline, undisturbed.run) == undisturbed.projection, plan
    check_run(pipeline, undisturbed)


def check_run(pipeline: Pipeline, undisturbed: Undisturbed) -> None:
    store, run = pipeline.store, undisturbed.run
    receipts = [meta.key for meta in store.list(f"runs/{run.run_id}/receipts/")]
    assert receipts == [layout.receipt(run.run_id, shard) for shard in range(run.shards)]
    assert not list(store.list("inbox/"))
    assert pipeline.reduce(run).states == undisturbed.summary.states
