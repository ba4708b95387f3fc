"""A folder a writer for temporary files, swept of dead writers' folders when the next one is made."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batchjob.errors import MachineError, UsageError

PREFIX = "batchjob-scratch-"
LOCK = "writer.lock"
UNLOCKED_SECONDS = 3600
"""Age after which a folder whose writer died before it took its lock is swept."""


def full_scratch(folder: Path, found: str) -> MachineError:
    """The error of a scratch folder without room; `found` says what shows that."""
    message = f"scratch folder {str(folder)!r} is full ({found}): free some room, or set BATCHJOB_SCRATCH"
    return MachineError(message, cause="scratch_full")


def _is_abandoned(folder: Path) -> bool:
    """Whether no living process holds the folder's lock."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return folder.is_dir() and time.time() - folder.stat().st_mtime > UNLOCKED_SECONDS
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _take_lock(folder: Path) -> int:
    """Locks before the name appears, so that a sweep never sees a living writer's lock free."""
    descriptor = os.open(folder / f"{LOCK}.new", os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    (folder / f"{LOCK}.new").rename(folder / LOCK)
    return descriptor


def sweep(root: Path) -> int:
    """Removes the folders of writers that died, and returns how many."""
    dead = [folder for folder in root.glob(f"{PREFIX}*") if _is_abandoned(folder)]
    for folder in dead:
        shutil.rmtree(folder, ignore_errors=True)
    return len(dead)


@contextmanager
def scratch_folder(root: Path | None) -> Iterator[Path]:
    """A private folder (mode 0700) under `root`, removed at the end. Raises UsageError.

    After an error it stays locked while this process lives, since rows in work may still use it; the next writer
    sweeps it then.
    """
    root = root or Path(tempfile.gettempdir())
    try:
        root.mkdir(parents=True, exist_ok=True)
        sweep(root)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
        descriptor = _take_lock(folder)
    except OSError as error:
        raise UsageError(
            f"scratch folder {str(root)!r} cannot be used: {error.strerror}; set BATCHJOB_SCRATCH to a folder with room"
        ) from error
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
    os.close(descriptor)
