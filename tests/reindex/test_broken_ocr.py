"""A broken OCR engine never costs a document the text that an index has of it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchjob.adapters import embedded
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.drain.ledger import read_ledger
from batchjob.errors import UsageError
from batchjob.records import FinalState, ManifestRow
from batchjob.reindex.machine import advance, begin
from batchjob.reindex.state import Phase
from batchjob.runs import read_summary
from batchjob.settings import Settings
from tests.support.documents import scanned_page, write_folder
from tests.support.rebuilding import NEW, OLD, World

GOOD = Settings(ocr_engine="tesseract", ocr_languages="Japanese")
BROKEN = Settings(ocr_engine="tesseract", ocr_languages="missing")
SCAN = "scan.png"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    server = embedded.start(tmp_path, keep=False)
    world = World(tmp_path / "world", OpenSearchIndex(server.url), settings=GOOD, live=False)
    write_folder(world.source, {SCAN: scanned_page("Kind regards")})
    world.fill()
    world.drain(ManifestRow(world.bucket, SCAN))
    world.work_off(OLD)
    world.settings = BROKEN
    yield world
    server.stop()


@pytest.mark.slow
def test_it_neither_empties_the_index_nor_is_swapped_in(world: World) -> None:
    shutil.rmtree(world.folder / "work" / "cache")
    world.drain(ManifestRow(world.bucket, SCAN))
    [run_id] = read_ledger(world.store).open
    world.work_off(OLD)
    summary = read_summary(world.store, run_id)
    assert summary is not None
    assert summary.states[FinalState.KEPT_PREVIOUS] == 1
    old = world.index.resolve(world.alias)
    machine = world.machine(NEW, tolerance=0.01)
    name = begin(machine, ["/documents"])
    assert advance(machine, name).phase is Phase.LOAD
    words = r"texts of documents: 1 or more lost theirs \(scan.png\), 0 may"
    with pytest.raises(UsageError, match=words):
        advance(machine, name)
    assert world.index.resolve(world.alias) == old
    assert world.shown()[SCAN]["content"] == "Kind regards"
