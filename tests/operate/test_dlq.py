"""Dead letters: grouped without being consumed, and moved back without loss."""

from pathlib import Path
from uuid import uuid4

import pytest

from batchjob.adapters.clock import SystemClock
from batchjob.adapters.local_queue import LocalQueue
from batchjob.adapters.queues import open_queue
from batchjob.errors import TransientError, UsageError
from batchjob.operate.dlq import (
    HOLD_SECONDS,
    NEVER_DELETED,
    Choice,
    count_chosen,
    inspect,
    redrive,
)
from batchjob.ports import DeadLetters, Message
from tests.support.command import batchjob, environment
from tests.support.events import Event, eventbridge, notification, quoted_template, template
from tests.support.faults import KINDS, FaultPlan, FaultQueue, Faults, Kind, RefusingQueue, SimulatedCrash
from tests.support.intake import send_all, take_all, until_empty
from tests.support.manual_clock import ManualClock
from tests.support.servers import SqsServer

GAVE_UP = {
    "ERROR_CODE": "NO_PERMISSIONS",
    "ERROR_MESSAGE": "the queue's policy",
    "RULE_ARN": "arn:aws:events:::rule/r",
}
READABLE = [template(Event(f"{n}.pdf")) for n in range(12)]
BROKEN = [quoted_template(Event(f'{n} "x".pdf')) for n in range(5)]
NOT_UTF8 = [notification(Event("key.pdf")).replace("key.pdf", f"%FF{n}.pdf") for n in range(3)]
UNDELIVERED = [eventbridge(Event(f"undelivered {n}.pdf")) for n in range(2)]
BODIES = {*READABLE, *BROKEN, *NOT_UTF8, *UNDELIVERED}


def fill(queue: DeadLetters) -> None:
    send_all(queue, [*READABLE, *BROKEN, *NOT_UTF8])
    assert (
        queue.send(
            [Message(str(uuid4()), body, "", attributes=GAVE_UP | {"mine": "1"}) for body in UNDELIVERED]
        )
        == {}
    )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def dead(tmp_path: Path, clock: ManualClock) -> LocalQueue:
    queue = LocalQueue(tmp_path / "dead", clock)
    fill(queue)
    return queue


@pytest.fixture
def target(tmp_path: Path, clock: ManualClock) -> LocalQueue:
    return LocalQueue(tmp_path / "target", clock)


def test_messages_are_grouped_by_cause_and_none_is_consumed(dead: LocalQueue) -> None:
    for _ in range(2):
        found = inspect(dead, 1000, 0)
        causes = {group.cause: group.count for group in found.groups}
        assert causes == {
            NEVER_DELETED: 12,
            "unreadable: not JSON": 5,
            "unreadable: key … is not UTF-8 once it is decoded": 3,
            "EventBridge could not deliver: NO_PERMISSIONS": 2,
        }
        assert [group.count for group in found.groups] == [12, 5, 3, 2]
        assert [len(group.samples) for group in found.groups] == [3, 3, 3, 2]
        assert (found.looked_at, found.counts.visible, dead.counts().visible) == (22, 22, 22)
    samples = found.groups[0].samples
    assert all(sample.keys and sample.message.body in BODIES for sample in samples)


def test_a_look_at_a_few_is_a_look_at_a_few(dead: LocalQueue) -> None:
    assert inspect(dead, 3, 0).looked_at == 3
    assert dead.counts().visible == 22


def test_all_come_back_by_copy_where_the_service_cannot(dead: LocalQueue, target: LocalQueue) -> None:
    assert count_chosen(dead, Choice(), 0).moved == 22
    told = redrive(dead, target, Choice(), None, wait_seconds=0)
    assert (told.service, told.moved, told.left, told.refused) == (False, 22, 0, {})
    messages = [*target.receive(limit=30, wait_seconds=0, visibility_seconds=0)]
    assert {message.body for message in messages} == BODIES
    told_before = [message.attributes for message in messages if message.attributes]
    assert told_before == [{"mine": "1"}] * 2
    assert dead.counts().visible + dead.counts().in_flight == 0


@pytest.mark.parametrize(
    ("choice", "moved"),
    [
        (Choice(cause="EventBridge"), {*UNDELIVERED}),
        (Choice(cause="not JSON"), {*BROKEN}),
        (Choice(contains='"7.pdf"'), {READABLE[7]}),
        (Choice(cause="not JSON", contains="undelivered"), set()),
    ],
)
def test_a_choice_moves_some_and_gives_the_rest_back(
    choice: Choice, moved: set[str], dead: LocalQueue, target: LocalQueue
) -> None:
    told = count_chosen(dead, choice, 0)
    assert (told.moved, told.left, dead.counts().visible) == (len(moved), 22 - len(moved), 22)
    told = redrive(dead, target, choice, None, wait_seconds=0)
    assert (told.moved, told.left) == (len(moved), 22 - len(moved))
    assert {*take_all(target, 100)} == moved
    assert {*take_all(dead, 100)} == BODIES - moved


def test_a_queue_is_not_redriven_onto_itself(dead: LocalQueue) -> None:
    with pytest.raises(UsageError, match="--to"):
        redrive(dead, dead, Choice(), None, wait_seconds=0)
    assert dead.counts().visible == 22


def test_a_rate_makes_pauses(dead: LocalQueue, target: LocalQueue) -> None:
    pauses: list[float] = []
    told = redrive(dead, target, Choice(), 4, pauses.append, 0)
    assert told.moved == 22
    assert len(pauses) == 6
    assert 4.5 < sum(pauses) <= 22 / 4


def test_messages_that_show_again_in_a_long_round_are_neither_the_end_nor_counted_twice(
    clock: ManualClock, tmp_path: Path, target: LocalQueue
) -> None:
    dead = LocalQueue(tmp_path / "long", clock)
    send_all(dead, [*BROKEN * 5, *(eventbridge(Event(f"{n}.pdf")) for n in range(30))])
    told = redrive(dead, target, Choice(contains='.pdf", "seq'), 5, lambda _: clock.pass_seconds(400), 0)
    assert (told.moved, told.left) == (30, 25)
    assert dead.counts().visible == 25


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_step_of_a_copy_fails_nothing_is_lost(kind: Kind, tmp_path: Path) -> None:
    at = 0
    while True:
        at += 1
        (tmp_path / str(at)).mkdir()
        clock, faults = ManualClock(), Faults(FaultPlan(at, kind))
        dead, target = (LocalQueue(tmp_path / str(at) / name, clock) for name in ("dead", "target"))
        fill(dead)
        try:
            redrive(FaultQueue(dead, faults), FaultQueue(target, faults), Choice(), None, wait_seconds=0)
        except (SimulatedCrash, TransientError):
            clock.pass_seconds(HOLD_SECONDS + 1)
            redrive(dead, target, Choice(), None, wait_seconds=0)
        assert {*take_all(target, 100)} == BODIES, (at, kind)
        assert dead.counts().visible + dead.counts().in_flight == 0, (at, kind)
        if at > len(faults.operations):
            break
    assert at > 8


def test_a_refused_deletion_is_tried_again_and_then_told(dead: LocalQueue, target: LocalQueue) -> None:
    assert redrive(RefusingQueue(dead, times=1), target, Choice(), None, wait_seconds=0).moved == 22
    fill(dead)
    with pytest.raises(TransientError, match="in both queues, which is harmless"):
        redrive(RefusingQueue(dead, times=99), target, Choice(), None, wait_seconds=0)


def test_the_service_moves_what_came_from_another_queue(
    sqs: SqsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sqs.environment().items():
        monkeypatch.setenv(name, value)
    events, dead = (open_queue(url, SystemClock()) for url in sqs.new_pair(receives=1))
    send_all(events, READABLE)
    while take_all(events, 0):
        pass
    found = inspect(dead, 100)
    assert [(group.cause, group.count) for group in found.groups] == [(NEVER_DELETED, 12)]
    assert count_chosen(dead, Choice()).service
    assert not count_chosen(dead, Choice(contains="7.pdf")).service
    told = redrive(dead, events, Choice(), None)
    assert (told.service, told.moved) == (True, 12)
    assert until_empty(dead) == [0, 0]
    assert events.counts().visible == 12


def test_a_second_redrive_waits_for_the_move_that_runs(
    sqs: SqsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sqs.environment().items():
        monkeypatch.setenv(name, value)
    events, dead = (open_queue(url, SystemClock()) for url in sqs.new_pair(receives=1))
    send_all(dead, READABLE)
    dead.start_move(events.url, 1)
    with pytest.raises(TransientError, match=r"a move .* is running.* wait"):
        redrive(dead, events, Choice(), None)


def test_a_queue_of_other_origin_is_copied(sqs: SqsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sqs.environment().items():
        monkeypatch.setenv(name, value)
    dead, events = (open_queue(sqs.new_queue(), SystemClock()) for _ in range(2))
    fill(dead)
    told = redrive(dead, events, Choice(cause="EventBridge"), None)
    assert (told.service, told.moved, told.left) == (False, 2, 20)
    assert {*take_all(events, 100)} == {*UNDELIVERED}
    assert dead.counts().visible == 20


def test_the_commands(tmp_path: Path) -> None:
    dead, target = (LocalQueue(tmp_path / name, SystemClock()) for name in ("dead", "target"))
    fill(dead)
    env = environment(dead_letter_queue_url=dead.url, queue_url=target.url)
    answer = batchjob("dlq", "inspect", "--json", env=env).answer
    assert [group["count"] for group in answer["groups"]] == [12, 5, 3, 2]
    assert answer["groups"][0]["samples"][0]["keys"][0].endswith(".pdf")
    shown = batchjob("dlq", "inspect", env=env)
    assert "12 × readable" in shown.stdout
    counted = batchjob("dlq", "redrive", "--dry-run", "--cause", "EventBridge", "--json", env=env).answer
    assert counted == {"moved": 2, "left": 20, "refused": 0, "by": "copy"}
    assert batchjob("dlq", "redrive", "--json", env=env).answer["moved"] == 22
    assert target.counts().visible == 22
    refused = batchjob("dlq", "inspect", env=environment())
    assert refused.code == 64
    assert "BATCHJOB_DEAD_LETTER_QUEUE_URL" in refused.stderr
