"""`plan` tells what a run would be, and changes nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.local_queue import LocalQueue
from batchjob.drain.commit import commit_inbox
from batchjob.drain.cost import RATES, estimated_cost, type_of
from batchjob.drain.cut import cut_evenly
from batchjob.errors import UsageError
from batchjob.operate.plan import Plan, plan, read_prices
from batchjob.ports import Message
from batchjob.records import ManifestRow, manifest_batches, manifest_to_parquet
from tests.support.command import batchjob, environment
from tests.support.segments import events, intake, put_segment

ROWS = [ManifestRow("b", f"{n}.{ending}", size=n * 50_000) for n in range(40) for ending in ("pdf", "tif")]


def test_it_is_what_the_rows_cost(tmp_path: Path) -> None:
    found = plan(manifest_batches([*ROWS, ROWS[0]]), tmp_path, RATES, shard_cost=30.0)
    costs = [estimated_cost(row) for row in ROWS]
    assert (found.rows, found.repeated, found.queued) == (80, 1, 0)
    assert found.cpu_seconds == pytest.approx(sum(costs))
    assert found.heaviest_row == pytest.approx(max(costs))
    assert found.shards == cut_evenly(np.array(costs), 30.0).shards
    for name, kind in found.kinds.items():
        mine = [cost for row, cost in zip(ROWS, costs, strict=True) if type_of(row.key) == name]
        assert (kind.documents, kind.cpu_seconds) == (len(mine), pytest.approx(sum(mine)))
    assert found.price(0.5) == pytest.approx(sum(costs) / 3600 * 0.5)


def test_queued_messages_cost_what_is_usual(tmp_path: Path) -> None:
    alone = plan(manifest_batches(ROWS), tmp_path / "a", RATES, shard_cost=30.0)
    found = plan(manifest_batches(ROWS), tmp_path / "b", RATES, shard_cost=30.0, queued=80)
    assert found.cpu_seconds == pytest.approx(2 * alone.cpu_seconds)
    unknown = plan([], tmp_path / "c", RATES, shard_cost=30.0, queued=10)
    assert (unknown.rows, unknown.cpu_seconds) == (
        0,
        pytest.approx(10 * estimated_cost(ManifestRow("b", "a.pdf"))),
    )
    assert plan([], tmp_path / "d", RATES, shard_cost=30.0).seconds(4, 2) == 0


@given(st.lists(st.floats(1, 100), min_size=1, max_size=30), st.integers(1, 64), st.integers(1, 4))
def test_no_time_is_too_short_or_much_too_long(loads: list[float], vcpus: int, vcpus_a_job: int) -> None:
    found = Plan(len(loads), 0, 0, {}, np.array(loads), max(loads), 1.0)
    seconds = found.seconds(vcpus, vcpus_a_job)
    width, jobs = min(vcpus, vcpus_a_job), max(1, vcpus // vcpus_a_job)
    assert seconds >= max(sum(loads) / vcpus, *loads) - 1e-9
    assert seconds <= sum(loads) / jobs / width + max(loads) + 1e-9


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_command_counts_inbox_and_queue_and_changes_nothing(tmp_path: Path) -> None:
    store, queue = FolderStore(tmp_path / "work"), LocalQueue(tmp_path / "queue", SystemClock())
    put_segment(store, "old", events("old", 4))
    commit_inbox(intake(), store, SystemClock())
    put_segment(store, "a", events("a", 5))
    queue.send([Message(str(n), "body", "") for n in range(3)])
    before = tree(tmp_path / "work")
    env = environment(work=tmp_path / "work", queue_url=queue.url)
    told = batchjob("plan", "--json", env=env)
    assert told.code == 0, told.stderr
    assert (told.answer["rows"], told.answer["queued_messages"], told.answer["runs"]) == (5, 3, 1)
    assert tree(tmp_path / "work") == before
    assert queue.counts().visible == 3


def test_the_command_on_a_manifest_with_own_prices(tmp_path: Path) -> None:
    (tmp_path / "m.parquet").write_bytes(manifest_to_parquet(ROWS))
    prices = read_prices().model_dump(mode="json") | {
        "vcpu_hour": {"x1": {"on_demand": 3600.0, "spot": 360.0}}
    }
    (tmp_path / "prices.json").write_text(json.dumps(prices))
    told = batchjob(
        "plan", tmp_path / "m.parquet", "--prices", tmp_path / "prices.json", "--work", tmp_path, "--json"
    ).answer
    seconds = sum(map(estimated_cost, ROWS))
    assert told["prices"] == {"x1": {"on_demand": round(seconds, 2), "spot": round(seconds / 10, 2)}}
    assert told["types"][".pdf"]["documents"] == 40
    assert (told["prices_noted"], told["prices_source"]) == (prices["noted"], prices["source"])
    shown = batchjob("plan", tmp_path / "m.parquet", "--work", tmp_path)
    assert f"Prices noted {read_prices().noted}" in shown.stdout


def test_prices_that_make_no_sense_are_named(tmp_path: Path) -> None:
    assert read_prices().region == "ap-northeast-1"
    (tmp_path / "p.json").write_text('{"region": 1}')
    with pytest.raises(UsageError, match=r"p\.json is no file of prices: region"):
        read_prices(tmp_path / "p.json")
