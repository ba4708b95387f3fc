"""The stations in this process, over a folder store that may fail as planned."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from batchjob import layout
from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.stores import open_source
from batchjob.drain.commit import Intake, freeze_rows
from batchjob.drain.freeze import Target
from batchjob.ports import Embedder, Get, Index, Store
from batchjob.process.reconcile import Surroundings
from batchjob.process.shard import ShardJob, process_shard
from batchjob.records import (
    ManifestRow,
    Outcome,
    RunInfo,
    Summary,
    manifest_batches,
    outcomes_from_parquet,
    run_fingerprint,
)
from batchjob.reduce.load import Landed
from batchjob.reduce.run import ReduceJob, reduce_run
from batchjob.settings import Settings
from tests.support.faults import FaultIndex, Faults, FaultStore

FINGERPRINT = "0123456789abcdef"


class Silent:
    """An observer that is told and says nothing."""

    def shard_started(self, rows: int) -> None: ...

    def row_done(self, outcome: Outcome) -> None: ...

    def body_landed(self, landed: Landed, total: int) -> None: ...


def frozen_run(store: Store, rows: list[ManifestRow], shards: int, alias: str, fingerprint: str) -> RunInfo:
    intake = Intake(Target("local", alias, fingerprint), "tests", 1.0, shards)
    [run] = freeze_rows(intake, store, SystemClock(), manifest_batches(rows)).runs
    return run


def folder_source(bucket: str) -> Get:
    return open_source(bucket, endpoint=None)


@dataclass
class Pipeline:
    """One run over a work folder and an index; each call is an attempt of a job with a writer of its own."""

    folder: Path
    index: Index
    alias: str
    settings: Settings = field(default_factory=Settings)
    source: Callable[[str], Get] = folder_source
    embedder: Embedder | None = None

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.folder / "work")

    def copy_to(self, folder: Path, alias: str) -> "Pipeline":
        """The same work folder elsewhere, to be loaded into another alias."""
        shutil.copytree(self.folder, folder)
        return Pipeline(folder, self.index, alias, self.settings)

    def freeze(self, rows: list[ManifestRow], shards: int) -> RunInfo:
        fingerprint = run_fingerprint(FINGERPRINT, self.embedder.identity if self.embedder else None)
        return frozen_run(self.store, rows, shards, "unused", fingerprint)

    def process(self, run: RunInfo, shard: int, faults: Faults | None = None, workers: int = 1) -> None:
        faults = faults or Faults()
        around = Surroundings(
            run_id=run.run_id,
            fingerprint=FINGERPRINT,
            settings=self.settings,
            work=FaultStore(self.store, faults),
            thumbnails=FaultStore(FolderStore(self.folder / "thumbnails"), faults),
            thumbnail_url=lambda key: f"https://thumbnails.example/{key}",
            source=self.source,
            clock=SystemClock(),
            embedder=self.embedder,
        )
        job = ShardJob(run, shard, f"process-{uuid4().hex}", workers)
        process_shard(job, FaultStore(self.store, faults), around, Silent())

    def reduce(self, run: RunInfo, faults: Faults | None = None, *, allow_deletes: bool = False) -> Summary:
        faults = faults or Faults()
        target = run.model_copy(update={"index": self.alias})
        return reduce_run(
            ReduceJob(target, f"reduce-{uuid4().hex}", allow_deletes),
            FaultStore(self.store, faults),
            FaultIndex(self.index, faults),
            SystemClock(),
            Silent(),
        )

    def run(self, run: RunInfo, faults: Faults | None = None) -> Summary:
        """Every shard in turn, then the reducer."""
        for shard in range(run.shards):
            self.process(run, shard, faults)
        return self.reduce(run, faults)

    def outcomes(self, run: RunInfo) -> list[Outcome]:
        with self.store.open(layout.merged_outcomes(run.run_id)) as opened:
            return outcomes_from_parquet(opened.body.read())
