"""A folder of documents that goes on changing while it is indexed anew: the stations in this process."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from batchjob import layout
from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.source_folder import SourceFolder
from batchjob.drain.commit import Intake, commit_inbox
from batchjob.drain.freeze import Target
from batchjob.drain.ledger import close_runs, read_ledger
from batchjob.drain.openruns import missing_shards
from batchjob.drain.submit import Submitting
from batchjob.drain.sweep import GRACE_MS
from batchjob.errors import TransientError, UsageError
from batchjob.manifest.folder import read_listing
from batchjob.operate.search import find
from batchjob.ports import Index, Job, JobRequest
from batchjob.process.reconcile import Surroundings
from batchjob.process.shard import ShardJob, process_shard
from batchjob.records import (
    Action,
    FinalState,
    ManifestRow,
    RunInfo,
    manifest_batches,
    manifest_to_parquet,
)
from batchjob.reduce.run import ReduceJob, reduce_run
from batchjob.reindex.drive import drive
from batchjob.reindex.gates import Limits
from batchjob.reindex.machine import Machine, advance
from batchjob.reindex.rounds import Freezer
from batchjob.reindex.state import Reindex
from batchjob.runs import read_run, read_summary
from batchjob.settings import Settings
from tests.support.documents import text_pdf, write_folder
from tests.support.faults import FaultIndex, FaultPlan, Faults, FaultStore, SimulatedCrash
from tests.support.pipeline import Silent, folder_source
from tests.support.projection import document_projection
from tests.support.servers import unique_name

OLD, NEW = "0" * 32, "1" * 32
"""Fingerprints of two settings."""
CLOCK = SystemClock()
STEADY = [f"steady {number}.pdf" for number in range(4)]
CALLS = 60
"""A re-index that is not done after so many calls never will be."""


@dataclass
class JobsHere:
    """Runs a station while it is submitted; a reducer that waits for another job is left to `start_reducer`."""

    process: Callable[[str], None]
    reduce: Callable[[str], None]

    def submit(self, request: JobRequest) -> str:
        if request.station == "process":
            self.process(request.run)
        elif not request.after:
            self.reduce(request.run)
        return f"job-{request.name}"

    def find(self, name: str) -> Sequence[Job]:
        return []

    def describe(self, ids: Sequence[str]) -> Sequence[Job]:
        return [Job(name, name, "SUCCEEDED", 0) for name in ids]

    def terminate(self, job: str, reason: str) -> None:
        return


@dataclass
class LaterClock:
    """So much later, in ms, that the intents of processes that died are stale."""

    ahead: int

    def now_ms(self) -> int:
        return CLOCK.now_ms() + self.ahead


@dataclass
class World:
    """`changes` were made so far; `live` says whether each look of the re-index meets one more."""

    folder: Path
    index: Index
    alias: str = field(default_factory=lambda: unique_name("live"))
    settings: Settings = field(default_factory=Settings)
    changes: int = 0
    most_changes: int = 12
    live: bool = True
    searching: bool = True
    incremental: str = OLD
    searches: int = 0
    machines: int = 0

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.folder / "work")

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def bucket(self) -> str:
        return self.source.resolve().as_uri()

    def fill(self) -> None:
        """The first documents, loaded into an index under the old settings."""
        files = {name: text_pdf(f"the text of {name}") for name in STEADY}
        write_folder(self.source, files)
        self.drain(*[ManifestRow(self.bucket, name) for name in files])
        self.work_off(OLD)

    def warm(self, cache: Path) -> None:
        """Takes what was extracted in another world."""
        shutil.copytree(cache, self.folder / "work" / "cache")

    def drain(self, *rows: ManifestRow) -> list[str]:
        """Events, and what is due in the inbox, into runs of the settings that the drain has."""
        if rows:
            self.store.create_once(layout.segment(unique_name()), manifest_to_parquet(rows))
        intake = Intake(Target("incremental", self.alias, self.incremental), unique_name(), 100.0, 1)
        return [run.run_id for run in commit_inbox(intake, self.store, CLOCK).runs]

    def change(self) -> None:
        """One document comes, one changes, one goes, and its event is in a run that is not processed yet."""
        number = self.changes
        self.changes += 1
        name, kind = f"moving {number // 3}.pdf", number % 3
        path = self.source / name
        if kind < 2:
            path.write_bytes(text_pdf(f"{('first', 'second')[kind]} text of {name}"))
        else:
            path.unlink()
        self.drain(ManifestRow(self.bucket, name, Action.DELETE if kind == 2 else Action.UPSERT))

    def step(self) -> None:
        """The incremental jobs go on in their own time: a change, and a third of the open runs' work."""
        if self.searching:
            self.search()
        if not self.live:
            return
        if self.changes < self.most_changes:
            self.change()
        for place, run_id in enumerate(read_ledger(self.store).open):
            if (place + self.changes) % 3 == 0:
                self.go_on(run_id)

    def go_on(self, run_id: str) -> None:
        """A run's next job: shards, then the reducer, which an index of other settings refuses."""
        run = read_run(self.store, run_id)
        if read_summary(self.store, run_id) is not None:
            close_runs(self.store, unique_name(), [run_id])
        elif missing_shards(self.store, run):
            self.process(run_id)
        else:
            try:
                self.reduce(run_id)
            except UsageError:
                assert run.fingerprint != self.index.meta(str(self.index.resolve(self.alias)))["extraction"]

    def work_off(self, fingerprint: str) -> None:
        """All open runs of some settings to their end."""
        for run_id in read_ledger(self.store).open:
            if read_run(self.store, run_id).fingerprint == fingerprint:
                self.process(run_id)
                self.reduce(run_id)
                close_runs(self.store, unique_name(), [run_id])

    def search(self) -> None:
        """What a searcher sees: always the documents that never change."""
        self.searches += 1
        self.index.refresh(str(self.index.resolve(self.alias)))
        assert find(self.index, self.alias, "steady", 20).total == len(STEADY)

    def process(self, run_id: str) -> None:
        run = read_run(self.store, run_id)
        around = Surroundings(
            run_id=run_id,
            fingerprint=run.fingerprint,
            settings=self.settings,
            work=self.store,
            thumbnails=FolderStore(self.folder / "thumbnails"),
            thumbnail_url=lambda key: f"https://thumbnails.example/{key}",
            source=folder_source,
            clock=CLOCK,
        )
        for shard in missing_shards(self.store, run):
            process_shard(ShardJob(run, shard, unique_name("process"), 1), self.store, around, Silent())

    def reduce(self, run_id: str, index: Index | None = None) -> None:
        job = ReduceJob(read_run(self.store, run_id), unique_name("reduce"))
        reduce_run(job, self.store, index or self.index, CLOCK, Silent())

    def machine(self, fingerprint: str, faults: Faults | None = None, tolerance: float = 1.0) -> Machine:
        """A process that advances a re-index, over a store and an index that may fail as planned."""
        faults = faults or Faults()
        store, writer = FaultStore(self.store, faults), unique_name("reindex")
        self.machines += 1
        clock = LaterClock(self.machines * 2 * GRACE_MS)
        by = Submitting(store, JobsHere(self.process, self.reduce), clock, writer)

        def go_on(runs: Sequence[str]) -> None:
            self.step()
            drive(by, runs)

        return Machine(
            Freezer(store, CLOCK, Intake(Target("reindex", self.alias, fingerprint), writer, 100.0, 2)),
            FaultIndex(self.index, faults),
            self.alias,
            self.rows,
            go_on,
            lambda alias, query: find(self.index, alias, query, 1).total,
            Limits(tolerance, ("steady",)),
            told=lambda state: self.step(),
        )

    @contextmanager
    def rows(self, places: Sequence[str], after: int) -> Iterator[Iterator[pa.RecordBatch]]:
        yield manifest_batches(read_listing(self.bucket, SourceFolder(self.source)).rows)

    def until_done(
        self, begin: Callable[[Machine], str], fingerprint: str, faults: Faults | None = None
    ) -> Reindex:
        """Calls the command again and again; the first of them may die."""
        for call in range(CALLS):
            self.live = self.live and call < CALLS // 2
            machine = self.machine(fingerprint, faults)
            try:
                state = advance(machine, begin(machine))
            except (SimulatedCrash, TransientError):
                faults = None
                continue
            if not state.active:
                return state
        raise AssertionError(f"not done after {CALLS} calls")

    def settle(self, fingerprint: str) -> None:
        """The stream ends: the drain has new settings, and all runs are worked off."""
        self.live = False
        self.incremental = fingerprint
        for run_id in list(read_ledger(self.store).open):
            if read_summary(self.store, run_id) is not None:
                close_runs(self.store, unique_name(), [run_id])
        self.drain()
        self.work_off(fingerprint)

    def shown(self) -> dict[str, dict[str, object]]:
        """What the alias shows, by key."""
        self.index.refresh(str(self.index.resolve(self.alias)))
        answer = self.index.search(self.alias, {"query": {"match_all": {}}, "size": 1000})
        return {hit["_source"]["s3_key"]: hit["_source"] for hit in answer["hits"]["hits"]}

    def check(self, fingerprint: str) -> None:
        """The index is the bucket, and every document of it was made under the settings that it says."""
        shown = self.shown()
        texts = {name: str(found["content"]).strip() for name, found in shown.items()}
        assert texts == self.expected()
        runs = {str(found["run_id"]) for found in shown.values()}
        assert {read_run(self.store, run_id).fingerprint for run_id in runs} == {fingerprint}
        for run_id in self._all_runs():
            summary = read_summary(self.store, run_id.run_id)
            assert summary is not None, run_id
            assert sum(summary.states.values()) == summary.rows
            assert not summary.states[FinalState.FAILED]

    def _all_runs(self) -> list[RunInfo]:
        """Every run that was committed by the ledger."""
        ledger = read_ledger(self.store)
        return [read_run(self.store, name) for name in {*ledger.since, *ledger.open}]

    def expected(self) -> dict[str, str]:
        """What the bucket holds now."""
        found = {}
        for path in self.source.glob("*.pdf"):
            kind, _, number = path.stem.partition(" ")
            if kind == "steady":
                found[path.name] = f"the text of {path.name}"
            else:
                last = self.changes > int(number) * 3 + 1
                found[path.name] = f"{('first', 'second')[last]} text of {path.name}"
        return found

    def projection(self) -> dict[str, object]:
        return {key: document_projection(found) for key, found in self.shown().items()}


def plan(at: int, kind: str) -> Faults:
    return Faults(FaultPlan(at, kind))  # type: ignore[arg-type]


def again(world: World, folder: Path) -> World:
    """The same world elsewhere, with an index of its own that holds the same."""
    shutil.copytree(world.folder / "work" / "cache", folder / "work" / "cache")
    copy = replace(world, folder=folder, alias=unique_name("live"), changes=0, live=True, incremental=OLD)
    copy.fill()
    return copy
