"""One shard over files that nobody should trust, and what must hold of every such shard."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.errors import FailureCategory
from batchjob.records import FinalState, ManifestRow, Outcome, outcomes_from_parquet
from batchjob.runs import read_receipt
from batchjob.settings import Settings
from tests.support.documents import write_folder
from tests.support.pipeline import Pipeline

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Limits under which hostile files end in seconds."""

    page_seconds: float = 10.0
    document_seconds: float = 30.0
    child_memory: int = 500 * MIB
    max_pixels: int = 20_000_000
    max_pages: int = 40


def process(
    folder: Path, files: Iterable[tuple[str, bytes]], limits: Limits, patch: pytest.MonkeyPatch
) -> dict[str, Outcome]:
    """The outcomes by key. Nothing may be left of the work: no file, no process, in no temporary folder."""
    scratch, temporary = folder / "scratch", folder / "temporary"
    temporary.mkdir()
    patch.setattr(tempfile, "tempdir", str(temporary))
    patch.setenv("TMPDIR", str(temporary))
    given = dict(files)
    bucket = write_folder(folder / "source", given)
    index = OpenSearchIndex("http://127.0.0.1:9")  # a shard never asks it
    settings = Settings(scratch=scratch, ocr_dpi=72, **vars(limits))
    pipeline = Pipeline(folder / "run", index, "alias", settings)
    run = pipeline.freeze([ManifestRow(bucket, name) for name in given], 1)
    before = _family()
    pipeline.process(run, 0, workers=2)
    index.close()
    assert _family() == before
    assert [*scratch.iterdir(), *temporary.iterdir()] == []
    receipt = read_receipt(pipeline.store, run.run_id, 0)
    assert receipt is not None
    with pipeline.store.open(receipt.outcomes.key) as opened:
        outcomes = outcomes_from_parquet(opened.body.read())
    assert sorted(outcome.key for outcome in outcomes) == sorted(given)
    for outcome in outcomes:
        _check(outcome, limits, folder)
    return {outcome.key: outcome for outcome in outcomes}


def _family() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def _check(outcome: Outcome, limits: Limits, folder: Path) -> None:
    """An end with a reason where something is missing, in time, in words for people."""
    assert outcome.state in (FinalState.INDEXED, FinalState.FAILED), outcome
    assert outcome.part is not None
    # Two children of one document may each be waited for a little beyond its time, and the machine is busy.
    assert outcome.seconds < 2 * limits.document_seconds + 30, outcome
    message = outcome.message or ""
    if outcome.state is FinalState.FAILED or outcome.pages_read < outcome.page_count:
        assert outcome.category in set(FailureCategory), outcome
        assert message, outcome
    assert str(folder) not in message, outcome
    assert "Traceback" not in message, outcome
    assert message.isprintable(), outcome
