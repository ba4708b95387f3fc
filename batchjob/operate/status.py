"""What a run has done so far, from its receipts and its summary."""

from dataclasses import dataclass
from typing import Protocol

from batchjob import layout
from batchjob.errors import UsageError
from batchjob.ports import Get, List, read_or_none
from batchjob.records import Outcome, Receipt, RunInfo, Summary, outcomes_from_parquet


class RunStore(Get, List, Protocol):
    """The verbs for reading runs."""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run and how far it is: `receipts` of the shards that are done; once it is finished the `summary`,

    and the outcomes that have something to say, by key.
    """

    run: RunInfo
    receipts: list[Receipt]
    summary: Summary | None
    problems: list[Outcome]

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
    run_json = read_or_none(store, layout.run_info(run_id))
    if run_json is None:
        raise UsageError(
            f"no run {run_id!r} in the work folder; without a name `batchjob status` shows the newest"
        )
    run = RunInfo.model_validate_json(run_json)
    receipts = [read_or_none(store, layout.receipt(run_id, shard)) for shard in range(run.shards)]
    summary = read_or_none(store, layout.summary(run_id))
    return RunStatus(
        run,
        [Receipt.model_validate_json(receipt) for receipt in receipts if receipt],
        Summary.model_validate_json(summary) if summary else None,
        _problems(read_or_none(store, layout.merged_outcomes(run_id)) if summary else None),
    )


def _problems(outcomes: bytes | None) -> list[Outcome]:
    """Rows that failed, were refused or come back, or that were not read wholly."""
    if outcomes is None:
        return []
    return sorted((o for o in outcomes_from_parquet(outcomes) if o.message), key=lambda o: o.key)
