"""Every step of a drain fails in every way: inbox, quarantine and queue together always hold every event."""

import subprocess
import sys
import time
from collections.abc import Set
from pathlib import Path

import pytest

from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.local_queue import LocalQueue
from batchjob.adapters.queues import open_queue
from batchjob.drain.messages import parse
from batchjob.drain.receive import Limits
from batchjob.errors import TransientError
from batchjob.ports import Queue, Store
from tests.support.events import TEST_EVENT, Event, by_sns, eventbridge, notification, template
from tests.support.faults import KINDS, FaultPlan, FaultQueue, Faults, FaultStore, Kind, SimulatedCrash
from tests.support.intake import drain, inbox_keys, quarantined, send_all, take_all
from tests.support.manual_clock import ManualClock
from tests.support.servers import SqsServer

GARBAGE = ["garbage", '{"s3Bucket": "documents", "s3Key": "a "b".pdf"}']
GOOD = [
    template(Event("1.pdf")),
    eventbridge(Event("2.pdf")),
    notification(Event("3.pdf"), Event("4.pdf")),
    by_sns(eventbridge(Event("5.pdf", deleted=True))),
    eventbridge(Event("2.pdf")),
    *(template(Event(f"{number}.pdf")) for number in range(6, 24)),
]
MESSAGES = [*GOOD[:7], GARBAGE[0], TEST_EVENT, *GOOD[7:], GARBAGE[1]]
KEYS = {f"{number}.pdf" for number in range(1, 24)}
LIMITS = Limits(receivers=1, wait_seconds=0, buffer_messages=15)
LATER = LIMITS.visibility_seconds + 1


def held(store: Store, queue: Queue, visibility_seconds: int) -> Set[str]:
    """Every event that is anywhere, by its key, and every unreadable message, by its body."""
    waiting = take_all(queue, visibility_seconds)
    keys = {row.key for body in waiting for row in parse(body).rows}
    bodies = {body for body in waiting if parse(body).problems}
    return keys | bodies | inbox_keys(store) | {message.body for message in quarantined(store)}


def everything_is_held(store: Store, queue: LocalQueue, clock: ManualClock, plan: FaultPlan) -> None:
    clock.pass_seconds(LATER)
    assert held(store, queue, LIMITS.visibility_seconds) == KEYS | {*GARBAGE}, plan
    clock.pass_seconds(LATER)


def operations(folder: Path) -> list[str]:
    faults = Faults()
    clock = ManualClock()
    queue = LocalQueue(folder / "queue", clock)
    send_all(queue, MESSAGES)
    drain(FaultQueue(queue, faults), FaultStore(FolderStore(folder / "work"), faults), clock, LIMITS)
    return faults.operations


def test_the_order_is_receive_then_write_then_delete(tmp_path: Path) -> None:
    steps = [name.partition("/")[0] for name in operations(tmp_path)]
    assert steps == [
        *["receive"] * 2,
        *("create_once quarantine", "create_once inbox", *["delete messages"] * 2),
        *["receive"] * 2,
        *("create_once quarantine", "create_once inbox", "delete messages"),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_step_fails_nothing_is_lost(kind: Kind, tmp_path: Path) -> None:
    for at in range(1, len(operations(tmp_path)) + 1):
        plan, clock = FaultPlan(at, kind), ManualClock()
        (tmp_path / str(at)).mkdir()
        store = FolderStore(tmp_path / str(at) / "work")
        queue = LocalQueue(tmp_path / str(at) / "queue", clock)
        send_all(queue, MESSAGES)
        faults = Faults(plan)
        with pytest.raises((SimulatedCrash, TransientError)):
            drain(FaultQueue(queue, faults), FaultStore(store, faults), clock, LIMITS)
        everything_is_held(store, queue, clock, plan)
        drain(queue, store, clock, LIMITS)
        assert inbox_keys(store) == KEYS, plan
        assert {message.body for message in quarantined(store)} == {*GARBAGE}, plan
        assert queue.counts().visible + queue.counts().in_flight == 0, plan


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["crash_before", "crash_after"])
def test_sigkill_at_each_step_loses_nothing(
    kind: Kind, sqs: SqsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sqs.environment().items():
        monkeypatch.setenv(name, value)
    killed = 0
    for at in range(1, 40):
        work, url = tmp_path / str(at), sqs.new_queue()
        queue, store = open_queue(url, SystemClock()), FolderStore(work)
        send_all(queue, MESSAGES)
        command = [sys.executable, "-m", "tests.support.drain_process", url, str(work), str(at), kind]
        ended = subprocess.run(command, capture_output=True, check=False, timeout=120)
        time.sleep(2.2)  # until the queue shows again what the dead process had received
        assert held(store, queue, 1) == KEYS | {*GARBAGE}, at
        time.sleep(1.2)
        drain(queue, store, SystemClock(), Limits(receivers=2, wait_seconds=1))
        assert inbox_keys(store) == KEYS, at
        assert {message.body for message in quarantined(store)} == {*GARBAGE}, at
        counts = queue.counts()
        assert counts.visible + counts.in_flight == 0, at
        if ended.returncode == 0:
            break
        assert ended.returncode == -9, ended.stderr
        killed += 1
    assert killed > 8
