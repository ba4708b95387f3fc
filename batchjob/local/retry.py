"""Batch's retry rules, read from the job definition that is registered for real."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from batchjob.errors import UsageError

NEAR_THE_CODE = Path(__file__).resolve().parents[2] / "job-definitions"
INSTALLED = Path(sys.prefix) / "share" / "batchjob" / "job-definitions"


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How an attempt ended, in Batch's words."""

    exit_code: int
    reason: str = ""
    status_reason: str = "Essential container in task exited"


@dataclass(frozen=True, slots=True)
class RetryStrategy:
    """`retryStrategy` of a job definition: at most `attempts`, and the rules that decide before that."""

    attempts: int
    rules: Sequence[Mapping[str, str]]

    def retries(self, end: JobEnd, attempt: int) -> bool:
        """Whether an attempt (counted from 1) is followed by another. No matching rule means retry."""
        if end.exit_code == 0 or attempt >= self.attempts:
            return False
        rule = next((rule for rule in self.rules if _matches(rule, end)), None)
        return rule is None or rule["action"].upper() == "RETRY"


def _matches(rule: Mapping[str, str], end: JobEnd) -> bool:
    """All conditions of a rule must hold; a glob may end in `*`, and is not sensitive to case."""
    found = {"onExitCode": str(end.exit_code), "onReason": end.reason, "onStatusReason": end.status_reason}
    conditions = {name: glob for name, glob in rule.items() if name != "action"}
    return all(fnmatchcase(found[name].lower(), glob.lower()) for name, glob in conditions.items())


def read_strategy(name: str) -> RetryStrategy:
    """The strategy of `job-definitions/<name>.json`. Raises UsageError where the file is missing or wrong."""
    for folder in (NEAR_THE_CODE, INSTALLED):
        path = folder / f"{name}.json"
        if path.is_file():
            return _parse(path)
    raise UsageError(
        f"job definition {name}.json is in neither {NEAR_THE_CODE} nor {INSTALLED}: reinstall batchjob"
    )


def _parse(path: Path) -> RetryStrategy:
    try:
        strategy = json.loads(path.read_text(encoding="utf-8"))["retryStrategy"]
        return RetryStrategy(int(strategy["attempts"]), tuple(strategy["evaluateOnExit"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} has no usable retryStrategy: {error!r}") from None
