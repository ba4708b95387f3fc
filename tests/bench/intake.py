"""How much memory and time it takes to freeze rows as runs, and how equal the shards are."""

import json
import shutil
import sys

from tests.bench.context import Context
from tests.bench.measure import commands
from tests.bench.page import Section, figure, table

_CASES = [("a backlog of events", 1_000_000, 0), ("an inventory, 10,000 shards", 10_000_000, 10_000)]


def planning(context: Context) -> Section:
    """From batches of rows to a committed run in a folder store; the limits are 600 MB, and 1 GB and 8 minutes."""
    lines = [_line(context, *case) for case in _CASES]
    heads = (
        "",
        "rows",
        "objects",
        "runs",
        "shards",
        "wall s",
        "CPU s",
        "peak RSS MB",
        "heaviest shard / mean",
    )
    return Section(
        "Freezing runs",
        "Made-up rows are read, one row an object is kept, costs are estimated, shards are cut and written to a folder "
        "store, and the runs are committed to the ledger; making the rows up is counted too. One round. The heaviest "
        "shard is told without documents that exceed it alone.",
        table(heads, lines),
    )


def _line(context: Context, name: str, rows: int, shards: int) -> list[str]:
    folder = context.scratch / "planning"
    answer = context.scratch / "planning.json"
    rows = context.size(rows, rows // 1000)
    line = [sys.executable, "-m", "tests.bench.planning", rows, context.size(shards, shards // 1000), folder]
    usage = commands(line, output=answer)
    told = json.loads(answer.read_text(encoding="utf-8"))
    shutil.rmtree(folder)
    return [
        name,
        f"{rows:,}",
        f"{told['rows']:,}",
        str(told["runs"]),
        f"{told['shards']:,}",
        figure(usage.wall),
        figure(usage.cpu),
        f"{told['peak'] / 1e6:,.0f}",
        f"{told['imbalance']:.3f}",
    ]
