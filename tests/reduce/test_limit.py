"""How many requests may be on their way: whatever happens, between one and eight, and fewer after failures."""

from hypothesis import given
from hypothesis import strategies as st

from batchjob.reduce.limit import LEAST, MOST, SMALLEST_BYTES, START, Limit

EVENTS = st.lists(
    st.tuples(st.booleans(), st.floats(0, 100), st.floats(0.001, 200), st.integers(0, 2**33)), max_size=60
)
BODY = 8 * SMALLEST_BYTES


def play(limit: Limit, events: list[tuple[bool, float, float, int]]) -> None:
    now = 0.0
    for failed, pause, seconds, size in events:
        now += pause
        if failed:
            limit.turned_away(now - seconds, now)
        else:
            limit.answered(now - seconds, now, size)
        assert LEAST <= limit.allowed <= MOST


@given(EVENTS)
def test_the_limit_keeps_its_bounds(events: list[tuple[bool, float, float, int]]) -> None:
    play(Limit(), events)


@given(EVENTS, st.floats(0.01, 100))
def test_a_server_that_keeps_its_pace_gets_all_there_is(
    events: list[tuple[bool, float, float, int]], seconds: float
) -> None:
    limit = Limit()
    play(limit, events)
    for at in range(10_000, 10_200):
        limit.answered(at - seconds, at, SMALLEST_BYTES // 2)
    assert limit.allowed == MOST


@given(EVENTS)
def test_latency_alone_leaves_as_many_as_at_the_start(events: list[tuple[bool, float, float, int]]) -> None:
    limit = Limit()
    play(limit, [(False, *rest) for _, *rest in events])
    assert limit.allowed >= START


def test_what_only_waits_in_the_server_is_taken_back() -> None:
    limit = Limit()
    limit.answered(0, 1, BODY)
    for at in range(1, 50):
        limit.answered(at, at + 1, BODY)
    assert limit.allowed == MOST
    for at in range(100, 200):
        limit.answered(at - 20, at, BODY)
    assert limit.allowed == START


@given(st.integers(2, 30))
def test_failures_of_one_moment_halve_once(failures: int) -> None:
    limit = Limit()
    for number in range(failures):
        limit.turned_away(10, 20 + number)
    assert limit.window == START / 2
    limit.turned_away(60, 61)
    assert limit.window == START / 4
