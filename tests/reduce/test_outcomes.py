"""Outcomes in any order come out once each, sorted, in bounded groups; final states are the right ones."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchjob import layout
from batchjob.records import OUTCOME_SCHEMA, FinalState, Outcome, outcomes_of, outcomes_to_parquet
from batchjob.reduce import outcomes as outcomes_module
from batchjob.reduce.gather import Verdicts
from batchjob.reduce.outcomes import MergedFile, OutcomeSorter

KEYS = st.lists(st.integers(0, 10**9), unique=True, max_size=300)


def rows_of(keys: list[int], state: FinalState = FinalState.INDEXED) -> list[Outcome]:
    return [Outcome(layout.doc_id("b", str(key)), "b", str(key), state, 1, observed_at=key) for key in keys]


def table(rows: list[Outcome]) -> pa.Table:
    return pq.read_table(pa.BufferReader(outcomes_to_parquet(rows)))


@pytest.mark.parametrize("held", [1, 50, 100_000])
@given(keys=KEYS, expected=st.integers(0, 10**6), cuts=st.integers(1, 40))
def test_everything_comes_out_once_and_sorted(
    held: int, tmp_path_factory: pytest.TempPathFactory, keys: list[int], expected: int, cuts: int
) -> None:
    folder = tmp_path_factory.mktemp("sorter")
    rows = rows_of(keys)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcomes_module, "HELD_ROWS", held)
        sorter = OutcomeSorter(folder, expected)
        for start in range(0, len(rows), cuts):
            sorter.add(table(rows[start : start + cuts]))
        groups = list(sorter.groups())
    found = [row for group in groups for row in outcomes_of(group)]
    assert found == sorted(rows, key=lambda row: row.doc_id)
    assert list(folder.iterdir()) == []


def test_one_id_is_found_by_the_statistics_of_one_row_group(tmp_path: Path) -> None:
    rows = rows_of(list(range(70_000)))
    sorter = OutcomeSorter(tmp_path, len(rows))
    sorter.add(table(rows))
    merged = MergedFile(tmp_path / "merged.parquet")
    for group in sorter.groups():
        merged.add(group)
    merged.close()
    file = pq.ParquetFile(merged.path)
    assert file.metadata.num_rows == len(rows)
    assert file.num_row_groups > 3
    ranges = [file.metadata.row_group(n).column(0).statistics for n in range(file.num_row_groups)]
    for wanted in rows[:100]:
        [number] = [n for n, one in enumerate(ranges) if one.min <= wanted.doc_id <= one.max]
        found = file.read_row_group(number).filter(pa.compute.field("doc_id") == wanted.doc_id)
        assert outcomes_of(found) == [wanted]


@given(st.data())
def test_final_states_are_those_of_a_plain_computation(data: st.DataObject) -> None:
    proposed = st.sampled_from(
        [FinalState.INDEXED, FinalState.DELETED, FinalState.FAILED, FinalState.REQUEUED]
    )
    rows = [row for key in data.draw(KEYS) for row in rows_of([key], data.draw(proposed))]
    names = [row.doc_id for row in rows]
    some = st.lists(st.sampled_from(names), unique=True) if names else st.just([])
    rejected = {name: f"why {name}" for name in data.draw(some)}
    kept = data.draw(some)
    found = outcomes_of(Verdicts(rejected, kept).of(table(rows).cast(OUTCOME_SCHEMA)))
    for row, final in zip(rows, found, strict=True):
        if row.doc_id in rejected:
            assert (final.state, final.message) == (FinalState.REJECTED, rejected[row.doc_id])
        elif row.state is FinalState.FAILED and row.doc_id in kept:
            assert final.state is FinalState.KEPT_PREVIOUS
        else:
            assert final == row
