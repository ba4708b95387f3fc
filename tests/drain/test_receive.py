"""From a queue to the inbox: what a drain of a real queue comes to, how it stops, and what it does not trust."""

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from batchjob import layout
from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.local_queue import LocalQueue
from batchjob.adapters.queues import open_queue
from batchjob.adapters.stores import open_store
from batchjob.drain.commit import commit_inbox
from batchjob.drain.receive import Limits, ReceiveReport
from batchjob.errors import MachineError, UsageError
from batchjob.ports import DeadLetters, Queue, Store
from batchjob.records import Action
from tests.support.events import Event, Mixed, by_sns, eventbridge, mixed, notification, template
from tests.support.faults import FaultQueue, Faults, ForgetfulStore, RefusingQueue
from tests.support.intake import (
    drain,
    inbox_keys,
    quarantined,
    segments,
    send_all,
    send_in_batches,
    until_empty,
)
from tests.support.manual_clock import ManualClock
from tests.support.segments import intake, read_rows
from tests.support.servers import S3Server, SqsServer

QUICK = Limits(receivers=4, wait_seconds=1, buffer_messages=60, visibility_seconds=30)
ALONE = Limits(receivers=1, wait_seconds=0, buffer_messages=100)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return FolderStore(tmp_path / "work")


@pytest.fixture
def queue(sqs: SqsServer, monkeypatch: pytest.MonkeyPatch) -> DeadLetters:
    for name, value in sqs.environment().items():
        monkeypatch.setenv(name, value)
    return open_queue(sqs.new_queue(), SystemClock())


@pytest.fixture
def local(tmp_path: Path) -> LocalQueue:
    return LocalQueue(tmp_path / "queue", ManualClock())


def check(messages: Mixed, reports: list[ReceiveReport], queue: Queue, store: Store) -> None:
    """The rows are those of the plain computation, every message is accounted for, and the queue is empty."""
    assert inbox_keys(store) == messages.keys
    assert len(quarantined(store)) == sum(report.quarantined for report in reports) == messages.garbage
    assert sum(report.messages for report in reports) == len(messages.bodies)
    assert sum(report.events for report in reports) == messages.events
    assert sum(report.rows for report in reports) == sum(map(len, segments(store).values()))
    assert sum(report.passed_over for report in reports) == messages.passed_over
    assert sum(report.test_events for report in reports) == messages.test_events
    assert sum(sum(report.shapes.values()) for report in reports) == len(messages.bodies)
    assert sorted(key for report in reports for key in report.segments) == sorted(segments(store))
    assert [report.undeleted for report in reports] == [0] * len(reports)
    assert until_empty(queue) == [0, 0]


@pytest.mark.parametrize("count", [700, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_drain_of_mixed_messages_comes_to_what_a_plain_computation_says(
    sqs: SqsServer, store: Store, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """5 % of the messages repeat another, 1 % are garbage, 2 % tell of deletions; the run's rows are counted too."""
    for name, value in sqs.environment().items():
        monkeypatch.setenv(name, value)
    queue, dead = (open_queue(url, SystemClock()) for url in sqs.new_pair(receives=3))
    messages = mixed(count, seed=5)
    send_in_batches(sqs.client(max_pool_connections=8), queue.url, messages.bodies)
    report = drain(queue, store, SystemClock(), QUICK)
    check(messages, [report], queue, store)
    assert until_empty(dead) == [0, 0]
    assert report.stopped == "empty"
    assert report.duplicates >= 0
    assert report.deletions > 0
    assert len(report.segments) > QUICK.receivers
    assert {name.removeprefix("sns+") for name in report.shapes} >= {
        "template",
        "eventbridge",
        "s3_notification",
    }
    runs = commit_inbox(intake(shards=20), store, SystemClock()).runs
    rows = [
        row
        for run in runs
        for shard in range(run.shards)
        for row in read_rows(store, layout.manifest(run.run_id, shard))
    ]
    assert sorted(row.key for row in rows) == sorted(messages.keys)
    assert {row.key for row in rows if row.action is Action.DELETE} == messages.deleted
    assert not list(store.list(layout.INBOX))


def test_two_drains_at_once_share_a_queue(queue: DeadLetters, store: Store) -> None:
    messages = mixed(400, seed=6)
    send_all(queue, messages.bodies)
    with ThreadPoolExecutor(2) as both:
        running = [both.submit(drain, queue, store, SystemClock(), QUICK) for _ in range(2)]
    check(messages, [drained.result() for drained in running], queue, store)


def test_segments_in_s3(local: LocalQueue, s3_real: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3_real.environment().items():
        monkeypatch.setenv(name, value)
    store = open_store(f"s3://{s3_real.bucket}/work", endpoint=s3_real.endpoint)
    messages = mixed(200, seed=7)
    send_all(local, messages.bodies)
    check(messages, [drain(local, store, SystemClock(), ALONE)], local, store)


def test_poison_is_named_and_nothing_is_lost(queue: DeadLetters, store: Store) -> None:
    longest = "k" * 1020 + ".pdf"
    keys = ["../../etc/passwd.pdf", "line\nbreak.pdf", longest, 'a "b".pdf']
    poison = {
        "x" * 1024 * 1024: "not JSON",
        by_sns(by_sns(by_sns(by_sns(template(Event("deep.pdf")))))): "wrapped by SNS more than 3 times",
        notification(Event("x.pdf")).replace("x.pdf", "%FF%FE.pdf"): "not UTF-8",
        template(Event("k" + longest)): "1025 bytes",
    }
    send_all(queue, [*poison, *(eventbridge(Event(key)) for key in keys)])
    report = drain(queue, store, SystemClock(), QUICK)
    assert inbox_keys(store) == set(keys)
    found = {message.body: message for message in quarantined(store)}
    assert found.keys() == poison.keys()
    for body, why in poison.items():
        assert why in found[body].reason
        assert found[body].message_id
        assert found[body].received == 1
    assert (report.quarantined, until_empty(queue)) == (len(poison), [0, 0])


def test_the_good_records_of_a_message_are_rows_and_the_message_is_kept(
    local: LocalQueue, store: Store
) -> None:
    send_all(local, [notification(Event("good.pdf"), Event("bad.pdf")).replace("bad.pdf", "%FF")])
    report = drain(local, store, SystemClock(), ALONE)
    assert inbox_keys(store) == {"good.pdf"}
    [message] = quarantined(store)
    assert message.reason == "record 2: key '%FF' is not UTF-8 once it is decoded"
    assert (report.events, report.quarantined) == (1, 1)


def test_a_duplicate_of_many_thousands_is_one_row_a_segment(local: LocalQueue, store: Store) -> None:
    send_all(local, [eventbridge(Event("a.pdf"))] * 1000)
    report = drain(local, store, SystemClock(), ALONE)
    assert [len(rows) for rows in segments(store).values()] == [1] * 10
    assert (report.events, report.rows, report.duplicates) == (1000, 10, 990)


def test_a_storm_of_changes_ends_as_the_latest(local: LocalQueue, store: Store) -> None:
    storm = [Event("a.pdf", deleted=bool(n % 2), sequencer=f"{n:08X}") for n in range(60)]
    send_all(local, [eventbridge(event) for event in storm[::3] + storm[1::3] + storm[2::3]])
    report = drain(local, store, SystemClock(), ALONE)
    [[row]] = segments(store).values()
    assert (row.action, row.sequencer) == (Action.DELETE, f"{59:08X}")
    assert (report.deletions, report.duplicates) == (30, 59)


def test_an_empty_queue_leaves_nothing(local: LocalQueue, store: Store) -> None:
    report = drain(local, store, SystemClock(), ALONE)
    assert (report.stopped, report.messages, [*store.list()]) == ("empty", 0, [])


def test_a_number_of_messages_ends_a_drain(local: LocalQueue, store: Store) -> None:
    send_all(local, [template(Event(f"{n}.pdf")) for n in range(40)])
    report = drain(local, store, SystemClock(), Limits(receivers=2, wait_seconds=0, messages=25))
    assert (report.stopped, report.messages) == ("count", 25)
    assert (len(inbox_keys(store)), local.counts().visible) == (25, 15)


def test_a_time_ends_a_drain_of_a_queue_that_never_empties(local: LocalQueue, store: Store) -> None:
    class Endless(FaultQueue):
        def delete(self, receipts: object) -> dict[str, str]:
            send_all(local, [template(Event("again.pdf"))])
            return {**super().delete(receipts)}  # type: ignore[arg-type]

    send_all(local, [template(Event("first.pdf"))])
    limits = Limits(receivers=1, wait_seconds=0, seconds=0.5, buffer_messages=1)
    report = drain(Endless(local, Faults()), store, SystemClock(), limits)
    assert report.stopped == "time"
    assert report.messages == len(segments(store)) > 1


def test_a_message_that_comes_again_while_it_is_held_is_deleted_by_its_latest_receipt(
    local: LocalQueue, store: Store, tmp_path: Path
) -> None:
    clock = ManualClock()

    class Slow(FaultQueue):
        """The time that messages are hidden is over each time that there are more."""

        def receive(self, **how: int) -> object:
            clock.pass_seconds(400)
            return super().receive(**how) if len(self._faults.operations) < 3 else []

    queue = LocalQueue(tmp_path / "slow", clock)
    send_all(queue, [template(Event("a.pdf"))])
    report = drain(Slow(queue, Faults()), store, clock, ALONE)  # type: ignore[arg-type]
    assert (report.messages, report.redelivered, report.undeleted) == (1, 2, 0)
    assert (queue.counts().visible, queue.counts().in_flight) == (0, 0)


def test_messages_are_hidden_for_longer_while_they_are_held(queue: DeadLetters, store: Store) -> None:
    faults = Faults()
    limits = Limits(receivers=1, wait_seconds=1, visibility_seconds=2, buffer_seconds=3)
    trickle = threading.Thread(
        target=lambda: [(send_all(queue, [template(Event(f"{n}.pdf"))]), time.sleep(0.25)) for n in range(12)]
    )
    trickle.start()
    drain(FaultQueue(queue, faults), store, SystemClock(), limits)
    trickle.join()
    drain(queue, store, SystemClock(), QUICK)
    assert "extend messages" in faults.operations
    assert inbox_keys(store) == {f"{n}.pdf" for n in range(12)}


def test_a_refused_deletion_is_tried_again(local: LocalQueue, store: Store) -> None:
    send_all(local, [template(Event(f"{n}.pdf")) for n in range(25)])
    report = drain(RefusingQueue(local, times=3), store, SystemClock(), ALONE)
    assert (report.undeleted, local.counts().in_flight) == (0, 0)


def test_what_cannot_be_deleted_is_counted_and_is_durable_all_the_same(
    local: LocalQueue, store: Store
) -> None:
    send_all(local, [template(Event(f"{n}.pdf")) for n in range(8)])
    report = drain(RefusingQueue(local, times=99), store, SystemClock(), ALONE)
    assert report.undeleted == local.counts().in_flight == 1  # 4, 2 and 1 of them are refused
    assert len(inbox_keys(store)) == 8


def test_a_segment_that_does_not_read_back_deletes_nothing(local: LocalQueue, tmp_path: Path) -> None:
    send_all(local, [template(Event(f"{n}.pdf")) for n in range(8)])
    store = ForgetfulStore(FolderStore(tmp_path / "work"), Faults())
    with pytest.raises(MachineError, match="does not read back"):
        drain(local, store, SystemClock(), ALONE)
    assert local.counts().in_flight == 8


def test_a_missing_queue_ends_all_receivers(
    sqs: SqsServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sqs.environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="no such queue"):
        drain(open_queue(f"{sqs.endpoint}/000000000000/gone", SystemClock()), store, SystemClock(), QUICK)


def test_sigterm_writes_what_is_held(tmp_path: Path) -> None:
    queue, store = LocalQueue(tmp_path / "queue", SystemClock()), FolderStore(tmp_path / "work")
    send_all(queue, ["{}"])
    command = [sys.executable, "-m", "tests.support.drain_process", queue.url, str(tmp_path / "work")]
    child = subprocess.Popen(command)
    sent, until = set(), time.monotonic() + 60
    while child.poll() is None and time.monotonic() < until:
        if queue.counts().in_flight > 3:
            child.send_signal(signal.SIGTERM)
        key = f"{len(sent)}.pdf"
        send_all(queue, [template(Event(key))])
        sent.add(key)
        time.sleep(0.2)
    child.kill()
    assert child.wait() == 75
    assert len(inbox_keys(store)) > 2
    assert queue.counts().in_flight == 0
    assert len(inbox_keys(store)) + queue.counts().visible == len(sent)
    drain(queue, store, SystemClock(), ALONE)
    assert inbox_keys(store) == sent
