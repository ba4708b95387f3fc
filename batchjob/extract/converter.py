"""Runs the operator's own converter on one file, in a child of its own; started by process/conversion.py.

Takes `command`, the program and its arguments. What the program prints last becomes the reason of its failure.
"""

import subprocess
import sys

from batchjob import sandbox

_NOT_STARTED = 127


def main() -> int:
    command = sandbox.enter(starts_programs=True, keeps_network=True)["command"]
    try:
        code = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201 - the parent reads it
        return _NOT_STARTED
    return code if 0 <= code < _NOT_STARTED else 1


if __name__ == "__main__":
    sys.exit(main())
