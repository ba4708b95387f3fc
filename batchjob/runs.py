"""Reading what a run has left so far: what it is, which shards are done, how it ended."""

from batchjob import layout
from batchjob.errors import UsageError
from batchjob.ports import Get, read_or_none
from batchjob.records import Receipt, RunInfo, Summary


def read_run(store: Get, run_id: str) -> RunInfo:
    """Raises UsageError where there is no such run."""
    data = read_or_none(store, layout.run_info(run_id))
    if data is None:
        raise UsageError(
            f"no run {run_id!r} in the work folder; without a name `batchjob status` shows the newest"
        )
    return RunInfo.model_validate_json(data)


def read_receipt(store: Get, run_id: str, shard: int) -> Receipt | None:
    data = read_or_none(store, layout.receipt(run_id, shard))
    return None if data is None else Receipt.model_validate_json(data)


def read_summary(store: Get, run_id: str) -> Summary | None:
    data = read_or_none(store, layout.summary(run_id))
    return None if data is None else Summary.model_validate_json(data)
