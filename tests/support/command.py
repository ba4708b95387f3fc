"""The `batchjob` command as users start it: a subprocess, its answers, and whom it leaves behind."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

SECONDS = 170


@dataclass(frozen=True)
class Finished:
    """A command that ended by itself."""

    code: int
    stdout: str
    stderr: str

    @property
    def answer(self) -> dict[str, Any]:
        """The JSON object on the last line of standard output."""
        answer: dict[str, Any] = json.loads(self.stdout.splitlines()[-1])
        return answer


def environment(**settings: object) -> dict[str, str]:
    """This process's environment, with BATCHJOB_* set to `settings` alone."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BATCHJOB_")}
    return inherited | {f"BATCHJOB_{name.upper()}": str(value) for name, value in settings.items()}


def batchjob(*arguments: object, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Finished:
    return run("batchjob", *arguments, env=env, cwd=cwd)


def run(
    module: str, *arguments: object, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Finished:
    """A module as a program."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        env=dict(env) if env is not None else environment(),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def start(*arguments: object, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A command to be killed; what it says goes nowhere."""
    return subprocess.Popen(
        [sys.executable, "-m", "batchjob", *map(str, arguments)],
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def left_behind(folder: Path, within: float = 5.0) -> list[list[str]]:
    """Command lines of living processes that name `folder` or work in it, once there was time to end."""
    until = time.monotonic() + within
    while True:
        found = [line for line in _command_lines() if any(str(folder) in word for word in line)]
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.05)


def _command_lines() -> list[list[str]]:
    lines = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                lines.append([*process.cmdline(), _working_directory(process)])
        except psutil.Error:
            continue
    return lines


def _working_directory(process: psutil.Process) -> str:
    try:
        return process.cwd()
    except psutil.Error:
        return ""
