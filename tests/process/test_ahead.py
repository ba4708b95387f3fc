"""Reading ahead under random schedules: never too many bytes, never too many workers, never a standstill."""

import random
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from batchjob.errors import MachineError
from batchjob.process.ahead import Claim, ReadAhead

MOST = 100


class Ledger:
    """What rows hold, as they themselves say, and the worst that was seen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ahead: dict[int, int] = {}
        self._in_work = 0
        self.most_alone = self.most_together = self.most_in_work = self.together = 0

    def fetches(self, row: int, size: int) -> None:
        with self._lock:
            self._ahead[row] = size
            self.together = max(self.together, len(self._ahead))
            total = sum(self._ahead.values())
            if len(self._ahead) > 1:
                self.most_together = max(self.most_together, total)
            else:
                self.most_alone = max(self.most_alone, total)

    def works(self, row: int) -> None:
        with self._lock:
            self._in_work += 1
            self.most_in_work = max(self.most_in_work, self._in_work)

    def no_longer_ahead(self, row: int) -> None:
        with self._lock:
            self._ahead.pop(row, None)

    def ends(self) -> None:
        with self._lock:
            self._in_work -= 1


@pytest.mark.parametrize("seed", range(10))
def test_random_schedules(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    workers = chance.randint(1, 4)
    ahead, ledger = ReadAhead(tmp_path, workers, MOST), Ledger()
    plans = [
        (
            chance.choice([0, 1, 10, 40, 60, 100, 101, 500]),
            chance.random() * 0.003,
            chance.random() * 0.003,
            chance.random() < 0.2,
        )
        for _ in range(60)
    ]

    def row(number: int) -> None:
        size, fetch, work, grows = plans[number]
        with ahead.claim() as claim:
            if not claim.take(size):
                claim.wait(size)
            ledger.fetches(number, size)
            time.sleep(fetch)
            if grows:
                ledger.no_longer_ahead(number)
                if not claim.take(size + 30):
                    claim.wait(size + 30)
                ledger.fetches(number, size + 30)
            # What a row says of itself must never be more than what it holds: so it says this first.
            ledger.no_longer_ahead(number)
            with claim.worker():
                ledger.works(number)
                time.sleep(work)
                ledger.ends()

    with ThreadPoolExecutor(workers + 4) as pool:
        for future in [pool.submit(row, number) for number in range(len(plans))]:
            future.result(timeout=30)
    assert ledger.most_together <= MOST
    assert ledger.most_alone >= 500
    assert ledger.most_in_work <= workers
    assert ledger.together > 1


def held(ahead: ReadAhead, size: int) -> Claim:
    claim = ahead.claim()
    assert claim.take(size)
    return claim


def begun(action: Callable[[], object]) -> threading.Event:
    """Set when the action, which is to wait, has ended."""
    ended = threading.Event()

    def run() -> None:
        action()
        ended.set()

    threading.Thread(target=run, daemon=True).start()
    time.sleep(0.05)
    return ended


def test_a_large_object_is_not_overtaken_for_ever(tmp_path: Path) -> None:
    ahead = ReadAhead(tmp_path, 1, MOST)
    first, large, small = held(ahead, 10), ahead.claim(), ahead.claim()
    assert not large.take(500)
    granted = begun(lambda: large.wait(500))
    assert not small.take(1)
    with first:
        pass
    assert granted.wait(5)
    assert not small.take(1)


def test_what_is_in_work_no_longer_counts_as_ahead(tmp_path: Path) -> None:
    ahead = ReadAhead(tmp_path, 1, MOST)
    first = held(ahead, 500)
    assert not ahead.claim().take(1)
    with first.worker():
        second = held(ahead, 500)
        waiting = begun(lambda: second.worker().__enter__())
        assert not waiting.is_set()
    assert waiting.wait(5)


def test_scratch_space_promised_to_one_is_not_promised_to_another(tmp_path: Path) -> None:
    ahead = ReadAhead(tmp_path, 2, 1 << 60)
    free = shutil.disk_usage(tmp_path).free
    too_large = held(ahead, free * 2)  # alone it may try, and its download says what is missing
    with too_large:
        assert not ahead.claim().take(1)
    most = held(ahead, free // 4 * 3)
    other = ahead.claim()
    assert not other.take(free // 2)
    granted = begun(lambda: other.wait(free // 2))
    assert not granted.is_set()
    with most:
        pass
    assert granted.wait(5)


def test_a_stopped_shard_keeps_nobody_waiting(tmp_path: Path) -> None:
    ahead = ReadAhead(tmp_path, 1, MOST)
    errors: list[MachineError] = []

    def waits_for_room() -> None:
        with pytest.raises(MachineError) as caught:
            ahead.claim().wait(500)
        errors.append(caught.value)

    def waits_for_a_worker() -> None:
        with pytest.raises(MachineError) as caught, ahead.claim() as claim, claim.worker():
            pass
        errors.append(caught.value)

    with held(ahead, 500).worker():
        held(ahead, 1)
        ended = [begun(waits_for_room), begun(waits_for_a_worker)]
        ahead.close()
        assert all(one.wait(5) for one in ended)
    assert {error.cause for error in errors} == {"stopped"}
