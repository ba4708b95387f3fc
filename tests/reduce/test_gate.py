"""The gate between threads: never more inside than the limit, a server's wish to wait holds for all, a stop ends it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from batchjob.errors import FencedError, TransientError
from batchjob.reduce.gate import SURELY_TAKEN, Gate
from batchjob.reduce.limit import MOST, START


def test_no_more_are_inside_than_the_limit_allows() -> None:
    gate, lock, inside, most = Gate(), threading.Lock(), 0, 0

    def one(_: int) -> None:
        nonlocal inside, most
        with gate.turn(1):
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.001)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(one, range(START)))
        assert most <= START
        list(pool.map(one, range(300)))
    assert START < most <= MOST


def test_retry_after_holds_for_everybody() -> None:
    gate = Gate()
    with pytest.raises(TransientError), gate.turn(1):
        raise TransientError("later", retry_after=0.3)
    before = time.monotonic()
    with gate.turn(1) as began:
        assert began - before >= 0.29


def test_a_stop_ends_every_wait() -> None:
    gate = Gate()
    with pytest.raises(TransientError), gate.turn(1):
        raise TransientError("much later", retry_after=50.0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: gate.turn(1).__enter__())
        gate.stop()
        with pytest.raises(FencedError):
            waiting.result(10)


def test_sizes_are_learned_and_false_answers_forgotten() -> None:
    gate = Gate()
    gate.refused(4 * SURELY_TAKEN)
    assert gate.is_too_large(4 * SURELY_TAKEN)
    assert not gate.is_too_large(3 * SURELY_TAKEN)
    gate.refused(10)
    assert not gate.is_too_large(SURELY_TAKEN - 1)
    other = Gate()
    with other.turn(8 * SURELY_TAKEN):
        pass
    other.refused(2 * SURELY_TAKEN)
    assert not other.is_too_large(8 * SURELY_TAKEN)
