"""A parse child that was taken over: what it says is the lines of the document itself; test_answers.py starts it."""

import os
import sys
from pathlib import Path

from batchjob import sandbox


def main() -> None:
    arguments = sandbox.enter()
    said = Path(arguments["path"]).read_bytes()
    for _ in sys.stdin.buffer:
        os.write(sandbox._events, said)


if __name__ == "__main__":
    main()
