"""What is given up and what a later success clears, where shards and reducers of several runs interleave."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from batchjob import layout
from batchjob.adapters import embedded
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.errors import FencedError
from batchjob.ports import Index
from batchjob.records import ManifestRow, RunInfo
from tests.support.documents import text_pdf, write_folder
from tests.support.faults import FaultIndex, Faults
from tests.support.pipeline import Pipeline
from tests.support.servers import unique_name


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearchIndex]:
    server = embedded.start(tmp_path_factory.mktemp("embedded"), keep=False)
    yield OpenSearchIndex(server.url)
    server.stop()


@pytest.fixture
def pipeline(tmp_path: Path, index: OpenSearchIndex) -> Pipeline:
    return Pipeline(tmp_path / "run", index, unique_name("alias"))


def given_up(pipeline: Pipeline) -> list[str]:
    return [meta.key for meta in pipeline.store.list(layout.QUARANTINED_ROWS)]


def unreachable_then_there(pipeline: Pipeline) -> tuple[RunInfo, RunInfo]:
    """A run whose last attempt of a document failed, and one that could read it afterwards; neither is reduced."""
    source = write_folder(pipeline.folder / "source", {}, marker=False)
    failing = pipeline.freeze([ManifestRow(source, "a.pdf", attempt=3)], 1)
    pipeline.process(failing, 0)
    write_folder(pipeline.folder / "source", {"a.pdf": text_pdf("it is back")})
    reading = pipeline.freeze([ManifestRow(source, "a.pdf")], 1)
    pipeline.process(reading, 0)
    return failing, reading


def test_a_later_success_clears_it_whichever_is_reduced_first(pipeline: Pipeline) -> None:
    failing, reading = unreachable_then_there(pipeline)
    pipeline.reduce(failing)
    assert len(given_up(pipeline)) == 1
    pipeline.reduce(reading)
    assert given_up(pipeline) == []


def test_what_had_success_since_is_not_given_up(pipeline: Pipeline) -> None:
    failing, reading = unreachable_then_there(pipeline)
    pipeline.reduce(reading)
    pipeline.reduce(failing)
    assert given_up(pipeline) == []


def test_an_earlier_success_clears_nothing(pipeline: Pipeline) -> None:
    source = write_folder(pipeline.folder / "source", {"a.pdf": text_pdf("here")}, marker=False)
    pipeline.run(pipeline.freeze([ManifestRow(source, "a.pdf")], 1))
    (pipeline.folder / "source" / "a.pdf").unlink()
    pipeline.run(pipeline.freeze([ManifestRow(source, "a.pdf", attempt=3)], 1))
    assert len(given_up(pipeline)) == 1


class Paused(FaultIndex):
    """An index that does something else first, once, when a reducer has loaded all and refreshes."""

    def __init__(self, inner: Index, action: Callable[[], object]) -> None:
        super().__init__(inner, Faults())
        self._action: Callable[[], object] | None = action

    def refresh(self, index: str) -> None:
        action, self._action = self._action, None
        if action is not None:
            action()
        super().refresh(index)


def test_a_reducer_that_slept_brings_nothing_back(pipeline: Pipeline, index: OpenSearchIndex) -> None:
    failing, _ = unreachable_then_there(pipeline)

    def meanwhile() -> None:
        pipeline.reduce(failing)
        for key in given_up(pipeline):
            pipeline.store.delete(key)

    slow = Pipeline(pipeline.folder, Paused(index, meanwhile), pipeline.alias)
    with pytest.raises(FencedError):
        slow.reduce(failing)
    assert given_up(pipeline) == []
