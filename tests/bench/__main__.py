"""`python -m tests.bench [QUESTION…]`: all questions and docs/benchmarks.md, or some to standard output."""

import os
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.material import ROOT
from tests.bench.page import page
from tests.bench.questions import QUESTIONS

SCRATCH = ROOT / ".cache"
"""On the disk of the checkout: where /tmp is memory, fsync costs nothing."""


def main() -> None:
    wanted = sys.argv[1:]
    load, started = os.getloadavg()[0], time.monotonic()
    SCRATCH.mkdir(exist_ok=True)
    tables = []
    for question in QUESTIONS:
        if wanted and question.__name__ not in wanted:
            continue
        print(f"{question.__name__} …", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="bench-", dir=SCRATCH) as scratch:
            tables.append(question(Path(scratch)))
    text = page(tables, load, time.monotonic() - started)
    if wanted:
        print(text)
    else:
        (ROOT / "docs" / "benchmarks.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
