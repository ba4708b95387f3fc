"""`python -m tests.bench [QUESTION…]`: measures, and prints the answers or puts them into docs/benchmarks.md."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import page
from tests.bench.context import Context
from tests.bench.material import ROOT
from tests.bench.questions import QUESTIONS, USUAL

SCRATCH = ROOT / ".cache"
"""On the disk of the checkout: where /tmp is memory, fsync costs nothing."""
PAGE = ROOT / "docs" / "benchmarks.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=", ".join(QUESTIONS))
    parser.add_argument("--write", action="store_true", help="put the answers into docs/benchmarks.md")
    parser.add_argument(
        "--quick", action="store_true", help="little of everything, only to see that it works"
    )
    parser.add_argument(
        "--pages", type=Path, help="for quality: a folder with gt/NAME.txt and LEVEL/NAME.jpg"
    )
    chosen = parser.parse_args()
    unknown = set(chosen.questions) - set(QUESTIONS)
    if unknown or (chosen.write and chosen.quick):
        parser.error(f"no question {', '.join(unknown)}" if unknown else "--quick gives no figures to keep")
    _forget_settings()
    if chosen.write and not chosen.questions:
        PAGE.unlink(missing_ok=True)  # sections of questions that are asked no more would stay
    return max([_answer(name, chosen) for name in chosen.questions or USUAL])


def _forget_settings() -> None:
    """What is measured are the defaults."""
    for name in [name for name in os.environ if name.startswith(("BATCHJOB_", "AWS_BATCH_"))]:
        del os.environ[name]


def _answer(name: str, chosen: argparse.Namespace) -> int:
    print(f"{name} …", file=sys.stderr)
    load, started = os.getloadavg()[0], time.monotonic()
    SCRATCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=SCRATCH) as scratch:
        try:
            section = QUESTIONS[name](Context(Path(scratch), chosen.quick, chosen.pages))
        except (RuntimeError, SystemExit) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
    minutes = (time.monotonic() - started) / 60
    when = f"Measured {datetime.now(UTC):%Y-%m-%d} at {_commit()} in {minutes:.1f} minutes; load before {load:.1f}."
    if chosen.write:
        page.write(PAGE, section, when)
    else:
        print(f"## {section.title}\n{page.body(section, when)}")
    return 0


def _commit() -> str:
    line = ["git", "describe", "--always", "--dirty"]
    said = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    return said.stdout.strip() or "an unknown version"


if __name__ == "__main__":
    sys.exit(main())
