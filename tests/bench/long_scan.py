"""Long scans in a shard: whether every core is busy, memory stays flat, and what is spent beside the work itself."""

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

import numpy as np

from tests.bench import material, scanner
from tests.bench.context import Context, cores, frozen_run, process
from tests.bench.page import Section, table
from tests.bench.watch import Look, Watched, run

_STARTED = 0.9
"""Share of the cores in use from which the start-up is over."""
_BUSY = 0.95
_MEMORY_WORKERS = 2
_STARTS = 3


def memory(context: Context) -> Section:
    """Pages of every size and form, since each new shape may cost an engine memory."""
    pages = context.size(500, 12)
    pdf = _folder(context) / "shapes.pdf"
    material.scan_of_all_shapes(pdf, pages)
    return Section(
        "Memory over pages of all shapes",
        f"`batchjob process` with {_MEMORY_WORKERS} workers on one scanned PDF of {pages} pages: A4 upright and "
        "across, A3, two and three columns, cards, long receipts, tables, photographs in colour. "
        + _EXPLANATION,
        _answer(context, pdf, pages, _MEMORY_WORKERS),
    )


def _long_scan(context: Context, usual: int) -> Section:
    pages = context.size(usual, 12)
    pdf = _folder(context) / "long.pdf"
    material.scanned_pdf(pdf, pages, scanner.OFFICE._replace(dpi=material.READY_DPI))
    return Section(
        "A long scanned PDF",
        f"`batchjob process`, a worker a core, on one PDF of {pages:,} A4 office scans (200 dpi, JPEG). `make bench` "
        f"takes 200 pages, `python -m tests.bench --write thousand_pages` takes 1,000. {_EXPLANATION}",
        _answer(context, pdf, pages, cores()),
    )


long_scan = partial(_long_scan, usual=200)
thousand_pages = partial(_long_scan, usual=1000)

_EXPLANATION = (
    "One round. Busy: CPU of the process tree in each second, of what the cores can give, from the first second with "
    f"{_STARTED:.0%} on. Cores idle: as the kernel counts it for the whole machine. Beside the work: all CPU of the "
    "main process (reading, cache, records, putting together), and what the processes from which children are forked "
    "take to start; writing and reading a page's image counts as preparation."
)


def _folder(context: Context) -> Path:
    folder = context.scratch / "documents"
    folder.mkdir()
    return folder


def _answer(context: Context, pdf: Path, pages: int, workers: int) -> str:
    work = context.scratch / "work"
    line = process(frozen_run(pdf.parent, work), work)
    watched = run(line, {**os.environ, "BATCHJOB_WORKERS": str(workers)})
    rows = [
        ("wall s, CPU s", f"{watched.usage.wall:.0f}, {watched.usage.cpu:.0f}"),
        ("CPU s / page", f"{watched.usage.cpu / pages:.2f}"),
        *_busy_rows(busy(watched.looks, workers), workers),
        *_memory_rows(watched),
        *_beside_rows(watched),
    ]
    return table(("", ""), rows)


class Busy(NamedTuple):
    """Shares second by second after the start-up: of the workers' cores in use, and of all cores idle."""

    startup: int
    used: Sequence[float]
    idle: Sequence[float]


def busy(looks: Sequence[Look], workers: int) -> Busy:
    seconds = np.array([look.seconds for look in looks])
    whole = np.arange(0, np.floor(seconds[-1]) + 1)
    used = np.diff(np.interp(whole, seconds, [look.cpu for look in looks])) / workers
    idle = np.diff(np.interp(whole, seconds, [look.idle for look in looks])) / (os.cpu_count() or 1)
    startup = int(np.argmax(used >= _STARTED)) if np.any(used >= _STARTED) else 0
    return Busy(startup, used[startup:].tolist(), idle[startup:].tolist())


def _busy_rows(found: Busy, workers: int) -> list[tuple[str, str]]:
    full = mean(share >= _BUSY for share in found.used)
    no_idle = mean(share <= 1 - _BUSY for share in found.idle)
    others = 1 - mean(found.idle) - mean(found.used) * workers / (os.cpu_count() or 1)
    return [
        ("start-up s", str(found.startup)),
        ("busy after it, mean", f"{mean(found.used):.1%}"),
        ("taken by other programs, mean", f"{max(others, 0):.1%} of the cores"),
        (f"seconds that are {_BUSY:.0%} busy", f"{full:.1%}"),
        (f"seconds with at most {1 - _BUSY:.0%} of the cores idle", f"{no_idle:.1%}"),
    ]


def quarters(looks: Sequence[Look]) -> list[float]:
    """Median bytes in each quarter of the time."""
    end = looks[-1].seconds
    parts: list[list[int]] = [[], [], [], []]
    for look in looks:
        parts[min(int(4 * look.seconds / end), 3)].append(look.memory)
    return [median(part or [0]) for part in parts]


def _memory_rows(watched: Watched) -> list[tuple[str, str]]:
    parts = quarters([look for look in watched.looks if look.memory])
    told = ", ".join(f"{part / 2**20:,.0f}" for part in parts)
    return [
        ("memory MiB, peak", f"{watched.usage.memory / 2**20:,.0f}"),
        ("memory MiB, median of each quarter", f"{told} (last ÷ first {parts[-1] / parts[0]:.2f})"),
    ]


def _beside_rows(watched: Watched) -> list[tuple[str, str]]:
    beside, told = watched.own_cpu, [f"main process {watched.own_cpu:.1f} s"]
    zygotes = {tuple(line[5:]) for line in watched.lines if list(line[2:4]) == ["-m", _ZYGOTE]}
    for module, *prepared in sorted(zygotes):
        start = median(_start_cpu(module, prepared) for _ in range(_STARTS))
        beside += start
        told.append(f"start of {module} {start:.2f} s")
    return [("CPU beside the work", f"{beside / watched.usage.cpu:.1%}: {', '.join(told)}")]


_ZYGOTE = "batchjob.process.zygote"
_START = (
    "import importlib, json, sys\n"
    "module = importlib.import_module(sys.argv[1])\n"
    "[module.prepare(json.loads(arguments)) for arguments in sys.argv[2:]]"
)


def _start_cpu(module: str, prepared: Sequence[str]) -> float:
    """CPU seconds of all that a zygote does before it forks its first child."""
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "OMP_THREAD_LIMIT": "1"}
    return run([sys.executable, "-I", "-c", _START, module, *prepared], environment).usage.cpu
