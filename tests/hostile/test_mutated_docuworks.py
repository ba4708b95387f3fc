"""Damaged DocuWorks files, in their reader and in a shard: each ends as an outcome with a reason."""

from pathlib import Path

import pytest

from batchjob.records import FinalState
from tests.extract.xdw.reading import read
from tests.hostile.shards import Limits, process
from tests.support.docuworks_samples import documents
from tests.support.mutations import mutated

COUNT = 500


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 20))])
def test_the_reader_gives_pages_or_a_reason(seed: int, tmp_path: Path) -> None:
    for name, data in mutated(documents(), COUNT, seed):
        if not data:
            continue
        found = read(data, tmp_path)
        assert found.failure or found.pages, name
        assert all(page["method"] != "failed" or page["error"]["message"] for page in found.pages), name


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_shard_of_them_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [*mutated(documents(), COUNT, seed=77)]
    outcomes = process(tmp_path, files, Limits(page_seconds=10, child_memory=500 * 2**20), monkeypatch)
    states = [outcome.state for outcome in outcomes.values()]
    assert states.count(FinalState.FAILED) + states.count(FinalState.INDEXED) == COUNT
    unexplained = [o for o in outcomes.values() if o.state is FinalState.FAILED and not o.message]
    assert not unexplained
    assert not {o.category for o in outcomes.values()} & {"timeout", "out_of_memory", "crashed"}
