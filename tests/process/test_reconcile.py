"""One row whose object changes while it is read."""

import random
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.source_folder import SourceFolder
from batchjob.process.ahead import ReadAhead
from batchjob.process.readers import Readers
from batchjob.process.reconcile import LOOKS, Processed, Surroundings, process_row
from batchjob.records import FinalState, ManifestRow
from batchjob.settings import Settings
from tests.support.documents import text_pdf, write_folder
from tests.support.recording import Recording

Change = Callable[[int], object]


def long_pdf(text: str) -> bytes:
    """More than is read at once."""
    chance = random.Random(1)
    return text_pdf(text, *(chance.randbytes(1500).hex() for _ in range(100)))


@pytest.fixture
def reconcile(tmp_path: Path) -> Callable[[Change], Processed]:
    """Processes the one row; `change` is told how often the object was opened before, each time it is read."""

    def run(change: Change) -> Processed:
        settings = Settings()
        source = Recording(SourceFolder(tmp_path / "source"), after_read=change)
        work = FolderStore(tmp_path / "work")
        around = Surroundings(
            "run", "print", settings, work, work, lambda key: key, lambda bucket: source, SystemClock()
        )
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        with Readers(settings, 1, scratch) as readers, ReadAhead(scratch, 1).claim() as claim:
            return process_row(ManifestRow("bucket", "a.pdf"), around, scratch, readers, claim)

    write_folder(tmp_path / "source", {"a.pdf": long_pdf("before")})
    return run


def test_an_object_replaced_while_it_is_read_is_looked_at_again(
    tmp_path: Path, reconcile: Callable[[Change], Processed]
) -> None:
    path = tmp_path / "source" / "a.pdf"
    moments: list[int] = []

    def change(number: int) -> None:
        if not moments:
            path.write_bytes(long_pdf("after"))
            moments.append(SystemClock().now_ms())

    done = reconcile(change)
    assert done.outcome.state is FinalState.INDEXED
    assert orjson.loads(done.lines.splitlines()[1])["content"].startswith("after")
    assert done.outcome.observed_at is not None
    assert done.outcome.observed_at >= moments[0]


def test_an_object_deleted_while_it_is_read_is_deleted(
    tmp_path: Path, reconcile: Callable[[Change], Processed]
) -> None:
    done = reconcile(lambda number: (tmp_path / "source" / "a.pdf").unlink(missing_ok=True))
    assert done.outcome.state is FinalState.DELETED


def test_an_object_that_is_always_replaced_comes_back_in_another_run(
    tmp_path: Path, reconcile: Callable[[Change], Processed]
) -> None:
    seen: set[int] = set()

    def change(number: int) -> None:
        seen.add(number)
        (tmp_path / "source" / "a.pdf").write_bytes(long_pdf(f"version {number}"))

    done = reconcile(change)
    assert (done.outcome.state, done.outcome.category) == (FinalState.REQUEUED, "changed")
    assert len(seen) == LOOKS
    assert done.lines == b""
