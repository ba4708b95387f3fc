"""docs/benchmarks.md: its sections, each from one question, and where a new answer goes."""

import os
import platform
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench.measure import Spread, Variant, ratios, spread
from tests.bench.watch import Usage

INTRODUCTION = """# Measurements

`make bench` writes this page. Variants are run in turn (A B A B …): at least five rounds where a round takes less
than 10 s, else three, unless a section says otherwise. A figure is the median of the rounds, with the least and the
largest in brackets; a ratio is formed round by round. CPU is user and system time of the command and of all
processes below it, also of those that it did not wait for. Memory is the largest sum of their proportional set size
(PSS: what they share counts in parts), looked at up to ten times a second. Each section says when it was measured
and what the load was before: where it is well above 0, others were at work, and then only the ratios of CPU are
worth much."""


@dataclass(frozen=True, slots=True)
class Section:
    """A question and its answer, in Markdown."""

    title: str
    question: str
    answer: str


def write(path: Path, section: Section, measured: str) -> None:
    """Puts a section into the page, in place of an earlier one of the same title; `measured` says when and how."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    sections = dict(re.findall(r"^## (.+)\n([^\0]*?)(?=^## |\Z)", text, re.MULTILINE))
    sections[section.title] = body(section, measured)
    parts = [INTRODUCTION, _machine(), *(f"## {title}\n{told.strip()}" for title, told in sections.items())]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def body(section: Section, measured: str) -> str:
    return f"{section.question}\n\n{section.answer}\n\n*{measured}*\n"


def _machine() -> str:
    rows = [
        ("CPU", f"{_cpu_model()}, {len(os.sched_getaffinity(0))} cores{_low_precision()}"),
        ("Memory", f"{psutil.virtual_memory().total / 2**30:.0f} GiB"),
        ("Python", platform.python_version()),
        ("Tesseract", _tesseract()),
    ]
    return table(("", ""), rows)


def _cpu_info(name: str) -> str:
    """Of Linux's /proc/cpuinfo, which has these lines on x86 only."""
    found = re.search(rf"^{name}\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else ""


def _cpu_model() -> str:
    return _cpu_info("model name") or platform.machine()


def _low_precision() -> str:
    """What decides the speed of the paddle engine."""
    flags = _cpu_info("flags").split()
    return "".join(f", {flag}" for flag in ("amx_bf16", "avx512_bf16") if flag in flags)


def _tesseract() -> str:
    said = subprocess.run(["tesseract", "--version"], capture_output=True, text=True, check=True)
    return said.stdout.split("\n", 1)[0].removeprefix("tesseract").strip()


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)


def timings(
    unit: str,
    variants: Sequence[Variant],
    measured: Mapping[str, list[Usage]],
    pairs: Sequence[tuple[int, int]] = ((0, 1),),
) -> str:
    """A table of variants, and below it the ratios of those that `pairs` names by their places."""
    heads = (
        "",
        "rounds",
        "wall s",
        "CPU s",
        f"CPU ms / {unit}",
        f"{unit}s / CPU s",
        f"{unit}s / s",
        "memory MiB",
    )
    rows = [_row(variant, measured[variant.name]) for variant in variants]
    told = [_ratio(variants[a].name, variants[b].name, measured) for a, b in pairs]
    return "\n".join([table(heads, rows), "", *told])


def _row(variant: Variant, runs: list[Usage]) -> list[str]:
    cpu = spread([run.cpu for run in runs])
    wall = spread([run.wall for run in runs])
    memory = max(run.memory for run in runs)
    return [
        variant.name,
        str(len(runs)),
        figures(wall),
        figures(cpu),
        figure(cpu.median * 1000 / variant.units),
        figure(variant.units / cpu.median),
        figure(variant.units / wall.median),
        f"{memory / 2**20:,.0f}" if memory else "–",
    ]


def _ratio(first: str, second: str, measured: Mapping[str, list[Usage]]) -> str:
    def of(value: Callable[[Usage], float]) -> str:
        return figures(ratios(measured[first], measured[second], value))

    return f"* {first} ÷ {second}: CPU **{of(lambda run: run.cpu)}**, wall **{of(lambda run: run.wall)}**"


def figures(found: Spread) -> str:
    if found.least == found.largest:
        return figure(found.median)
    return f"{figure(found.median)} ({figure(found.least)}–{figure(found.largest)})"


def figure(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
