"""What a run has done so far, from its receipts and its summary."""

from dataclasses import dataclass
from typing import Protocol

from batchjob import layout
from batchjob.errors import ObjectMissingError, UsageError
from batchjob.ports import Get, List
from batchjob.records import Receipt, RunInfo, Summary


class RunStore(Get, List, Protocol):
    """The verbs for reading runs."""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run and how far it is: `receipts` of the shards that are done, `summary` once it is finished."""

    run: RunInfo
    receipts: list[Receipt]
    summary: Summary | None

    @property
    def phase(self) -> str:
        if self.summary is not None:
            return "finished"
        return "processed" if len(self.receipts) == self.run.shards else "processing"


def run_ids(store: List) -> list[str]:
    """Every run, oldest first."""
    return sorted(meta.key.split("/")[1] for meta in store.list("runs/") if meta.key.endswith("/run.json"))


def read_status(store: RunStore, run_id: str | None) -> RunStatus:
    """The named run's status, or the newest one's. Raises UsageError where there is none."""
    if run_id is None:
        known = run_ids(store)
        if not known:
            raise UsageError(
                "no run in the work folder yet; `batchjob local FOLDER` makes one, --work names another"
            )
        run_id = known[-1]
    run_json = _read(store, layout.run_info(run_id))
    if run_json is None:
        raise UsageError(f"no run {run_id!r} in the work folder; `batchjob status` shows the newest")
    run = RunInfo.model_validate_json(run_json)
    receipts = [_read(store, layout.receipt(run_id, shard)) for shard in range(run.shards)]
    summary = _read(store, layout.summary(run_id))
    return RunStatus(
        run,
        [Receipt.model_validate_json(receipt) for receipt in receipts if receipt],
        Summary.model_validate_json(summary) if summary else None,
    )


def _read(store: Get, key: str) -> bytes | None:
    try:
        with store.open(key) as opened:
            return opened.body.read()
    except ObjectMissingError:
        return None
