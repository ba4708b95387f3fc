"""Reading what a run has left so far: what it is, which shards are done, how it ended."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from batchjob import layout
from batchjob.errors import UsageError
from batchjob.ports import Get, read_or_none
from batchjob.records import Receipt, RunInfo, Summary

Record = TypeVar("Record", bound=BaseModel)


def parse_record(model: type[Record], key: str, data: bytes) -> Record:
    """What an object of the work folder says. Raises UsageError where it is damaged."""
    try:
        return model.model_validate_json(data)
    except ValidationError:
        raise damaged(key, model.__name__) from None


def damaged(key: str, what: str) -> UsageError:
    """The error for an object of the work folder that is not `what` it should be."""
    return UsageError(
        f"{key} in the work folder is damaged: it holds no {what}; put an earlier version of the object back"
    )


def read_run(store: Get, run_id: str) -> RunInfo:
    """Raises UsageError where there is no such run, or its record is damaged."""
    data = read_or_none(store, layout.run_info(run_id))
    if data is None:
        raise UsageError(
            f"no run {run_id!r} in the work folder; without a name `batchjob status` shows the newest"
        )
    return parse_record(RunInfo, layout.run_info(run_id), data)


def read_receipt(store: Get, run_id: str, shard: int) -> Receipt | None:
    key = layout.receipt(run_id, shard)
    data = read_or_none(store, key)
    return None if data is None else parse_record(Receipt, key, data)


def read_summary(store: Get, run_id: str) -> Summary | None:
    key = layout.summary(run_id)
    data = read_or_none(store, key)
    return None if data is None else parse_record(Summary, key, data)
