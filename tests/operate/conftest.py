"""A folder of documents, a work folder and an index on a real node, for what looks into all three."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.drain.commit import Intake, commit_rows
from batchjob.drain.freeze import Target
from batchjob.drain.ledger import close_runs, mark_submitted
from batchjob.operate.history import ObjectName
from batchjob.records import ManifestRow, RunInfo, Summary, manifest_batches
from tests.support.documents import text_pdf, write_folder
from tests.support.pipeline import FINGERPRINT, Pipeline

KEPT, CORRUPT, REMOVED, ADDED = "日報/kept.pdf", "corrupt.pdf", "removed.pdf", "added.pdf"


@dataclass
class Place:
    """`pipeline` works on the documents in `root`, which is the source `bucket`."""

    pipeline: Pipeline
    root: Path
    bucket: str
    runs: list[RunInfo] = field(default_factory=list)

    @property
    def store(self) -> FolderStore:
        return self.pipeline.store

    @property
    def thumbnails(self) -> FolderStore:
        return FolderStore(self.pipeline.folder / "thumbnails")

    @property
    def alias(self) -> str:
        return self.pipeline.alias

    def intake(self) -> Intake:
        return Intake(Target("incremental", self.alias, FINGERPRINT), "tests", 1000.0)

    def name(self, key: str) -> ObjectName:
        return ObjectName(self.bucket, key)

    def commit(self, *keys: str) -> RunInfo:
        """An open run of these keys, submitted to nobody."""
        rows = manifest_batches([ManifestRow(self.bucket, key) for key in keys])
        [run] = commit_rows(self.intake(), self.store, SystemClock(), rows).runs
        mark_submitted(self.store, "tests", [run.run_id])
        self.runs.append(run)
        return run

    def finish(self, run: RunInfo) -> Summary:
        summary = self.pipeline.run(run)
        close_runs(self.store, "tests", [run.run_id])
        return summary

    def index_all(self, *keys: str) -> RunInfo:
        run = self.commit(*keys)
        self.finish(run)
        return run


@pytest.fixture
def server(opensearch_url: str) -> Iterator[OpenSearchIndex]:
    index = OpenSearchIndex(opensearch_url)
    yield index
    index.close()


@pytest.fixture
def make_place(
    tmp_path: Path, server: OpenSearchIndex, index_name: str
) -> Callable[[dict[str, bytes]], Place]:
    def make(files: dict[str, bytes]) -> Place:
        bucket = write_folder(tmp_path / "documents", files)
        (tmp_path / "pipeline").mkdir()
        return Place(Pipeline(tmp_path / "pipeline", server, index_name), tmp_path / "documents", bucket)

    return make


@pytest.fixture
def place(make_place: Callable[[dict[str, bytes]], Place]) -> Place:
    """One run is done: of two documents, one corrupt; one more was removed and another was added since."""
    files = {
        KEPT: text_pdf("the kept page", "its second page"),
        CORRUPT: b"%PDF-1.4 no",
        REMOVED: text_pdf("gone"),
    }
    made = make_place(files)
    made.index_all(KEPT, CORRUPT, REMOVED)
    (made.root / REMOVED).unlink()
    (made.root / ADDED).write_bytes(text_pdf("a new page"))
    return made
