"""Batch's retry rules as the job definition states them, held against the exit codes of the program."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchjob.errors import ExitCode
from batchjob.local.retry import JobEnd, RetryStrategy, read_strategy

PROCESS = read_strategy("process")


def test_the_job_definition_retries_what_the_program_calls_try_again() -> None:
    retried = {code for code in ExitCode if PROCESS.retries(JobEnd(int(code)), 1)}
    assert retried == {ExitCode.TRY_AGAIN}


def test_deaths_of_the_machine_are_retried() -> None:
    assert PROCESS.retries(JobEnd(137, "OutOfMemoryError: Container killed due to memory usage"), 1)
    assert PROCESS.retries(JobEnd(137, status_reason="Host EC2 (instance i-0123) terminated."), 1)
    assert PROCESS.retries(JobEnd(1, status_reason="Task failed to start"), 1)


def test_attempts_end() -> None:
    assert not PROCESS.retries(JobEnd(int(ExitCode.TRY_AGAIN)), PROCESS.attempts)


@pytest.mark.parametrize("name", ["process", "reduce", "drain"])
def test_the_job_definitions_keep_the_limits_of_batch(name: str) -> None:
    strategy = read_strategy(name)
    assert strategy.attempts <= 10
    assert len(strategy.rules) <= 5
    globs = [glob for rule in strategy.rules for name, glob in rule.items() if name != "action"]
    assert all("*" not in glob.removesuffix("*") for glob in globs)
    assert strategy.rules == PROCESS.rules
    assert strategy.rules[-1] == {"onReason": "*", "action": "EXIT"}


@given(st.integers(0, 255), st.text(), st.integers(1, 9))
def test_success_is_never_repeated_and_no_matching_rule_means_retry(
    code: int, reason: str, attempt: int
) -> None:
    strategy = RetryStrategy(10, ({"onExitCode": "1", "action": "EXIT"},))
    assert strategy.retries(JobEnd(code, reason), attempt) == (code not in (0, 1))


def test_the_first_rule_that_matches_decides() -> None:
    rules = (
        {"onExitCode": "7", "onReason": "Spot*", "action": "RETRY"},
        {"onExitCode": "7", "action": "EXIT"},
    )
    strategy = RetryStrategy(3, rules)
    assert strategy.retries(JobEnd(7, "spot reclaimed"), 1)
    assert not strategy.retries(JobEnd(7, "anything else"), 1)
