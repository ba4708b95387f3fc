"""Runs a child to its end and collects what it says, as the tests of children want it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from batchjob.process.children import Child, ChildEnd, ChildLimits, NotAnEventError
from batchjob.process.launch import Launch


def run_child(
    launch: Launch,
    arguments: Mapping[str, object],
    *,
    cwd: Path,
    limits: ChildLimits,
    on_line: Callable[[dict[str, Any]], object],
    hold: Callable[[], bool] = lambda: False,
) -> ChildEnd:
    def take(line: bytes) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            raise NotAnEventError from None
        on_line(event)

    child = Child(launch, arguments, cwd=cwd, limits=limits, on_line=take)
    try:
        end = child.follow(hold=hold)
        assert end is not None
        return end
    finally:
        child.close()
