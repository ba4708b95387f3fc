"""Turns what was measured into docs/benchmarks.md."""

import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from tests.bench.measure import Spread, Usage, Variant, ratios, spread

INTRODUCTION = """# Measurements

`make bench` writes this page; it takes some minutes on two cores. Variants are run in turn (A B A B …): at
least five rounds where a round takes less than 10 s, else three. A figure is the median of the rounds, with the
least and the largest in brackets; a ratio is formed round by round. CPU is user and system time of the command and
of all processes below it. Memory is the largest sum of their resident memory, seen every 0.1 s: pages that they
share count more than once, and what lives shorter may be missed. Where the load before the first run is well above
0, others were at work: then only the ratios of CPU are worth much."""


@dataclass(frozen=True, slots=True)
class Table:
    """A question and the answer; `pairs` says which variants are divided (by place)."""

    title: str
    question: str
    unit: str
    variants: Sequence[Variant]
    measured: dict[str, list[Usage]]
    pairs: tuple[tuple[int, int], ...] = ((0, 1),)


def page(tables: Sequence[Table], load_before: float, seconds: float) -> str:
    parts = [INTRODUCTION, _machine(load_before, seconds), *map(_table, tables)]
    return "\n\n".join(parts) + "\n"


def _machine(load_before: float, seconds: float) -> str:
    rows = [
        ("Date", f"{datetime.now(UTC):%Y-%m-%d}, {seconds / 60:.1f} minutes"),
        ("CPU", f"{_cpu_model()}, {len(os.sched_getaffinity(0))} cores"),
        ("Memory", f"{psutil.virtual_memory().total / 2**30:.0f} GiB"),
        ("Python", platform.python_version()),
        ("Tesseract", _tesseract()),
        ("Load before the first run, after the last", f"{load_before:.1f}, {os.getloadavg()[0]:.1f}"),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _cpu_model() -> str:
    """Of Linux's /proc/cpuinfo, which names a model on x86 only."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _tesseract() -> str:
    said = subprocess.run(["tesseract", "--version"], capture_output=True, text=True, check=True)
    return said.stdout.split("\n", 1)[0].removeprefix("tesseract").strip()


def _table(table: Table) -> str:
    unit = table.unit
    lines = [
        f"## {table.title}",
        table.question,
        "",
        f"| | rounds | wall s | CPU s | CPU ms / {unit} | {unit}s / CPU s | {unit}s / s | memory MiB |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(variant, table.measured[variant.name]) for variant in table.variants),
        "",
        *(_ratio(table, *pair) for pair in table.pairs),
    ]
    return "\n".join(lines)


def _row(variant: Variant, runs: list[Usage]) -> str:
    cpu = spread([run.cpu for run in runs])
    wall = spread([run.wall for run in runs])
    memory = max(run.memory for run in runs)
    cells = [
        variant.name,
        str(len(runs)),
        _figures(wall),
        _figures(cpu),
        _figure(cpu.median * 1000 / variant.units),
        _figure(variant.units / cpu.median),
        _figure(variant.units / wall.median),
        f"{memory / 2**20:,.0f}" if memory else "–",
    ]
    return f"| {' | '.join(cells)} |"


def _ratio(table: Table, first: int, second: int) -> str:
    a, b = table.variants[first], table.variants[second]
    names = f"{a.name} ÷ {b.name}"

    def of(figure: Callable[[Usage], float]) -> str:
        return _figures(ratios(table.measured[a.name], table.measured[b.name], figure))

    return f"* {names}: CPU **{of(lambda run: run.cpu)}**, wall **{of(lambda run: run.wall)}**"


def _figures(found: Spread) -> str:
    if found.least == found.largest:
        return _figure(found.median)
    return f"{_figure(found.median)} ({_figure(found.least)}–{_figure(found.largest)})"


def _figure(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
