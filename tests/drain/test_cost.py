"""Costs: the same for one row and for many, and learned from what earlier runs took."""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchjob import layout
from batchjob.adapters.folder import FolderStore
from batchjob.drain.cost import (
    FEW,
    RATES,
    Rate,
    estimated_cost,
    estimated_costs,
    learn_costs,
    read_rates,
    type_of,
)
from batchjob.process.parts import output
from batchjob.records import (
    Action,
    FinalState,
    ManifestRow,
    Outcome,
    Receipt,
    RunInfo,
    ShardCounts,
    manifest_batches,
    outcomes_to_parquet,
)

KEYS = ["a.pdf", "a.PDF", "b.JpEg", "c.tif", "d.xdw", "e", "f.tar.gz", ".pdf", "pdf", "報告.xbd", ""]


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


@given(
    st.lists(
        st.builds(
            ManifestRow,
            bucket=st.just("bucket"),
            key=st.sampled_from(KEYS),
            action=st.sampled_from(Action),
            size=st.none() | st.integers(0, 10**10),
            cost=st.sampled_from([0.0, 3.5, -1.0, math.inf, math.nan, 1e300]),
        ),
        min_size=1,
    )
)
def test_one_row_costs_what_it_costs_among_others(rows: list[ManifestRow]) -> None:
    costs = estimated_costs(pa.Table.from_batches(manifest_batches(rows)))
    assert costs.tolist() == pytest.approx([estimated_cost(row) for row in rows])
    assert 0 < costs.min() <= costs.max() <= 1e9


def test_types_follow_the_end_of_the_key() -> None:
    assert [type_of(key) for key in KEYS] == [
        *(".pdf", ".pdf", ".jpeg", ".tif", ".xdw", "other", "other", ".pdf", "other", ".xbd", "other")
    ]


def finished(
    store: FolderStore, name: str, sizes: np.ndarray, seconds: np.ndarray, ending: str = "pdf"
) -> RunInfo:
    outcomes = [
        Outcome(
            f"{n}", "b", f"{n}.{ending}", FinalState.INDEXED, 1, size=int(size), reading_seconds=float(took)
        )
        for n, (size, took) in enumerate(zip(sizes, seconds, strict=True))
    ]
    outcomes.append(Outcome("f", "b", f"f.{ending}", FinalState.FAILED, 1, size=1, reading_seconds=1e6))
    data = outcomes_to_parquet(outcomes)
    store.put(key := layout.outcomes(name, 0, "w"), data)
    counts = ShardCounts(rows=len(outcomes))
    receipt = Receipt(
        shard=0, writer="w", parts=(), failures=(), outcomes=output(key, data), counts=counts, seconds=1
    )
    store.create_once(layout.receipt(name, 0), receipt.to_json())
    return RunInfo(run_id=name, kind="incremental", index="i", fingerprint="f", rows=len(outcomes), shards=1)


def test_rates_are_learned_from_what_documents_took(store: FolderStore) -> None:
    assert read_rates(store) == RATES
    random = np.random.default_rng(3)
    sizes = random.integers(10_000, 5_000_000, 400)
    took = (0.3 + 4 * sizes / 1e6) * random.normal(1, 0.1, 400)
    learn_costs(store, finished(store, "first", sizes, took))
    learned = read_rates(store)
    assert (learned[".pdf"].document, learned[".pdf"].megabyte) == pytest.approx((0.3, 4), abs=0.3)
    assert {name: rate for name, rate in learned.items() if name != ".pdf"} == {
        name: rate for name, rate in RATES.items() if name != ".pdf"
    }
    for name in ("second", "third", "fourth", "fifth"):
        learn_costs(store, finished(store, name, sizes, took * 2))
    assert read_rates(store)[".pdf"].megabyte == pytest.approx(8, rel=0.2)


@pytest.mark.parametrize(
    ("sizes", "took", "rate"),
    [
        ([1e6] * 60, [2.0] * 60, Rate(2, 0)),
        ([1e6, 2e6] * 30, [4.0, 2.0] * 30, Rate(3, 0)),
        ([1e6, 2e6] * 30, [1.0, 4.0] * 30, Rate(0, 5 / 3)),
    ],
    ids=["one size", "smaller ones take longer", "small ones take nothing"],
)
def test_no_rate_is_below_nothing(
    store: FolderStore, sizes: list[float], took: list[float], rate: Rate
) -> None:
    learn_costs(store, finished(store, "run", np.array(sizes), np.array(took)))
    found = read_rates(store)[".pdf"]
    assert (found.document, found.megabyte) == pytest.approx((rate.document, rate.megabyte))


def test_a_few_documents_say_nothing(store: FolderStore) -> None:
    learn_costs(store, finished(store, "run", np.ones(FEW - 1), np.full(FEW - 1, 99.0)))
    store.put(layout.CALIBRATION, b"damaged")
    assert read_rates(store) == RATES
    learn_costs(store, RunInfo(run_id="x", kind="local", index="i", fingerprint="f", rows=1, shards=1))
    assert read_rates(store) == RATES
