"""How variants are compared: run in turn, so that a machine that changes its speed changes it for all."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.watch import Usage, run

QUICK_SECONDS = 10.0
"""A round below this is repeated more often."""
QUICK_ROUNDS, SLOW_ROUNDS = 5, 3


@dataclass(frozen=True, slots=True)
class Variant:
    """Something to measure, what it does once, and how many units (pages, documents, objects) that is."""

    name: str
    run: Callable[[], Usage]
    units: int = 1


def commands(
    *lines: Sequence[object], env: Mapping[str, str] | None = None, output: Path | None = None
) -> Usage:
    """Runs commands one after the other; `output` gets what the last one prints. Raises RuntimeError."""
    used = [run(line, env, output).usage for line in lines]
    return Usage(sum(one.wall for one in used), sum(one.cpu for one in used), max(one.memory for one in used))


def calls(work: Callable[[], None]) -> Usage:
    """Runs a function in this process."""
    wall, cpu = time.monotonic(), time.process_time()
    work()
    return Usage(time.monotonic() - wall, time.process_time() - cpu)


def in_turn(variants: Sequence[Variant], rounds: int | None = None) -> dict[str, list[Usage]]:
    """Measures A B A B …; without `rounds` more of them where one is quick."""
    started = time.monotonic()
    measured = {variant.name: [variant.run()] for variant in variants}
    if rounds is None:
        rounds = QUICK_ROUNDS if time.monotonic() - started < QUICK_SECONDS else SLOW_ROUNDS
    for _ in range(rounds - 1):
        for variant in variants:
            measured[variant.name].append(variant.run())
    return measured


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, least and largest of some figures."""

    median: float
    least: float
    largest: float


def spread(values: Sequence[float]) -> Spread:
    return Spread(median(values), min(values), max(values))


def ratios(
    numerator: Sequence[Usage], denominator: Sequence[Usage], figure: Callable[[Usage], float]
) -> Spread:
    """How many times as much the first takes as the second, pair by pair."""
    return spread([figure(a) / figure(b) for a, b in zip(numerator, denominator, strict=True)])
