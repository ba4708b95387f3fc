"""What the benchmark says of a process tree: CPU of those left behind as well, shared memory once."""

import json
import subprocess
import sys

_MIB = 2**20
_WATCH = """
import json, sys
from tests.bench.watch import run
watched = run(json.loads(sys.argv[1]))
usage = watched.usage
print(json.dumps([usage.wall, usage.cpu, usage.memory, watched.own_cpu, watched.lines]))
"""
_BURN = "import time\nwhile time.process_time() < 0.4: pass"
_SHARE = f"import os, time\nheld = b'x' * {200 * _MIB}\nos.fork()\ntime.sleep(1)"


def watched(*line: str) -> tuple[float, float, int, float, list[list[str]]]:
    """In a process of its own, which adopts and waits for whatever is left behind."""
    said = subprocess.run(
        [sys.executable, "-c", _WATCH, json.dumps(line)], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    wall, cpu, memory, own, lines = json.loads(said.stdout)
    return wall, cpu, memory, own, lines


def test_cpu_counts_children_that_were_waited_for_and_those_that_were_not() -> None:
    for script in ('"$0" -c "$1"; exit 0', '"$0" -c "$1" & sleep 0.2'):
        _, cpu, _, own, lines = watched("sh", "-c", script, sys.executable, _BURN)
        assert cpu >= 0.4
        assert own < 0.2
        assert [sys.executable, "-c", _BURN] in lines


def test_memory_that_processes_share_counts_once() -> None:
    wall, _, memory, _, _ = watched(sys.executable, "-c", _SHARE)
    assert wall >= 1
    assert 200 * _MIB < memory < 360 * _MIB  # twice would be over 400


def test_a_command_that_fails_is_an_error() -> None:
    said = subprocess.run(
        [sys.executable, "-c", _WATCH, json.dumps(["false"])], capture_output=True, text=True, check=False
    )
    assert "RuntimeError: exit code 1 of false" in said.stderr
