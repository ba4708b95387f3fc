"""The reducer dies at every single durable operation, or loses the answer; two of them run at once: all the same."""

import random
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from batchjob import layout
from batchjob.adapters import embedded
from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.errors import FencedError, TransientError
from batchjob.records import FinalState, RunInfo, Summary, outcomes_from_parquet
from batchjob.reduce.run import ReduceJob, reduce_run
from tests.support.command import batchjob, environment, start
from tests.support.faults import KINDS, FaultIndex, FaultPlan, Faults, FaultStore, Kind, SimulatedCrash
from tests.support.madeup_runs import Row, make_run, rejected_ids, text_of, unknown_field, wrong_size
from tests.support.pipeline import FINGERPRINT, Silent
from tests.support.projection import index_projection, outcome_projection
from tests.support.servers import unique_name

ATTEMPTS = 4
FIRST, LATER = "20260101T000000Z-aaaaaa", "20260102T000000Z-bbbbbb"
PART_BYTES = 1024


def rows() -> tuple[list[list[Row]], list[list[Row]]]:
    """What a first run loads, and a second one with rows of every end."""
    rng = random.Random(1)
    first = [[Row(f"{n}.pdf", text=text_of(rng, 5)) for n in range(4)]]
    states = [FinalState.DELETED, FinalState.FAILED, FinalState.INDEXED, FinalState.REQUEUED]
    changed = [Row(f"{n}.pdf", state, 2_000, text_of(rng, 5)) for n, state in enumerate(states)]
    other = [
        Row("new.pdf", observed_at=2_000, text=text_of(rng, 30)),
        Row("bad.pdf", FinalState.FAILED, 2_000),
        Row("refused.pdf", observed_at=2_000, spoil=wrong_size),
        Row("strict.pdf", observed_at=2_000, spoil=unknown_field),
        Row("placeholder/", FinalState.SKIPPED),
    ]
    return first, [changed, other]


@dataclass(frozen=True)
class Trials:
    """The same two runs again and again, each time in a work folder and an index of their own."""

    folder: Path
    index: OpenSearchIndex
    runs: list[RunInfo]

    def prepare(self) -> tuple[Path, FolderStore, RunInfo]:
        """Where the first run is loaded and the second is to be."""
        work, alias = self.folder / uuid4().hex, unique_name("alias")
        shutil.copytree(self.folder / "work", work)
        store = FolderStore(work)
        first, later = [run.model_copy(update={"index": alias}) for run in self.runs]
        self.reduce(store, first)
        return work, store, later

    def reduce(self, store: FolderStore, run: RunInfo, faults: Faults | None = None) -> Summary:
        faults = faults or Faults()
        job = ReduceJob(run, f"reduce-{uuid4().hex}", retry_seconds=5.0)
        return reduce_run(
            job, FaultStore(store, faults), FaultIndex(self.index, faults), SystemClock(), Silent()
        )

    def result(self, store: FolderStore, run: RunInfo) -> Any:
        with store.open(layout.merged_outcomes(run.run_id)) as opened:
            outcomes = [outcome_projection(o) for o in outcomes_from_parquet(opened.body.read())]
        name = self.index.resolve(run.index)
        assert name is not None
        others = [meta.key for prefix in ("quarantine/", "inbox/") for meta in store.list(prefix)]
        return index_projection(self.index, name), outcomes, rejected_ids(store, run), others


def trials_of(folder: Path, index: OpenSearchIndex) -> Trials:
    store = FolderStore(folder / "work")
    runs = [
        make_run(store, name, "unused", FINGERPRINT, shards, PART_BYTES)
        for name, shards in zip((FIRST, LATER), rows(), strict=True)
    ]
    return Trials(folder, index, runs)


def undisturbed(trials: Trials) -> tuple[Any, list[str]]:
    """What it comes to, and the durable operations of it."""
    _, store, run = trials.prepare()
    faults = Faults()
    summary = trials.reduce(store, run, faults)
    assert {state: count for state, count in summary.states.items() if count} == {
        FinalState.INDEXED: 2,
        FinalState.REJECTED: 2,
        FinalState.KEPT_PREVIOUS: 1,
        **dict.fromkeys((FinalState.DELETED, FinalState.FAILED, FinalState.REQUEUED, FinalState.SKIPPED), 1),
    }
    return trials.result(store, run), faults.operations


def die_everywhere(trials: Trials, kind: Kind) -> None:
    expected, operations = undisturbed(trials)
    names = " ".join(operations)
    assert all(
        word in names for word in ("bulk", "checkpoint", "rejected/", "kept/", "inbox/", "quarantine/")
    )
    for at in range(1, len(operations) + 1):
        _, store, run = trials.prepare()
        faults: Faults | None = Faults(FaultPlan(at, kind))
        for attempt in range(ATTEMPTS):
            try:
                trials.reduce(store, run, faults)
                break
            except (SimulatedCrash, TransientError, FencedError):
                assert attempt < ATTEMPTS - 1, (at, kind)
                faults = None
        assert trials.result(store, run) == expected, (at, kind, operations[at - 1])


@pytest.fixture(scope="module")
def embedded_trials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trials]:
    folder = tmp_path_factory.mktemp("trials")
    server = embedded.start(folder, keep=False)
    index = OpenSearchIndex(server.url)
    yield trials_of(folder, index)
    index.close()
    server.stop()


@pytest.fixture(scope="module")
def real_trials(tmp_path_factory: pytest.TempPathFactory, opensearch_url: str) -> Trials:
    return trials_of(tmp_path_factory.mktemp("real"), OpenSearchIndex(opensearch_url))


@pytest.mark.parametrize("kind", KINDS)
def test_every_operation_may_fail(kind: Kind, embedded_trials: Trials) -> None:
    die_everywhere(embedded_trials, kind)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_operation_may_fail_on_a_real_node(kind: Kind, real_trials: Trials) -> None:
    die_everywhere(real_trials, kind)


def at_once(actions: list[Callable[[], Summary]]) -> list[Summary | FencedError]:
    def one(action: Callable[[], Summary]) -> Summary | FencedError:
        try:
            return action()
        except FencedError as error:
            return error

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(one, actions))


@pytest.mark.parametrize("racers", [2, 3, 4])
def test_of_reducers_at_once_one_finishes_and_the_index_is_right(
    embedded_trials: Trials, racers: int
) -> None:
    trials = embedded_trials
    expected, _ = undisturbed(trials)
    _, store, run = trials.prepare()
    ends = at_once([lambda: trials.reduce(store, run)] * racers)
    assert any(isinstance(end, Summary) for end in ends)
    assert trials.result(store, run) == expected


def test_two_commands_at_once_both_exit_with_0(real_trials: Trials, opensearch_url: str) -> None:
    work, store, run = real_trials.prepare()
    store.put(layout.run_info(run.run_id), run.to_json())
    env = environment(work=work, opensearch_url=opensearch_url)
    first, second = (start("reduce", run.run_id, env=env) for _ in range(2))
    assert (first.wait(120), second.wait(120)) == (0, 0)
    assert batchjob("status", run.run_id, "--json", env=env).code == 0
    assert real_trials.result(store, run) == undisturbed(real_trials)[0]
