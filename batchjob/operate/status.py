"""What a run has done so far, from its receipts and its summary."""

from dataclasses import dataclass
from typing import Protocol

from batchjob import layout
from batchjob.errors import UsageError
from batchjob.ports import Get, List, read_or_none
from batchjob.records import Outcome, Receipt, RunInfo, Summary, outcomes_from_parquet
from batchjob.runs import read_receipt, read_run, read_summary


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
    run = read_run(store, run_id)
    receipts = [read_receipt(store, run_id, shard) for shard in range(run.shards)]
    summary = read_summary(store, run_id)
    return RunStatus(
        run,
        [receipt for receipt in receipts if receipt is not None],
        summary,
        _problems(read_or_none(store, layout.merged_outcomes(run_id)) if summary else None),
    )


def _problems(outcomes: bytes | None) -> list[Outcome]:
    """Rows that failed, were refused or come back, or that were not read wholly."""
    if outcomes is None:
        return []
    return sorted((o for o in outcomes_from_parquet(outcomes) if o.message), key=lambda o: o.key)
