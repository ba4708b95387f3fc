"""ROOT: commits the inbox of a work folder, and prints how many rows; a program, so that processes can race."""

import sys
from pathlib import Path

from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.drain.commit import commit_inbox
from tests.support.segments import intake

if __name__ == "__main__":
    print(commit_inbox(intake(), FolderStore(Path(sys.argv[1])), SystemClock()).rows)
