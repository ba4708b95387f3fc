"""What every question needs: where to put files, how much to measure, and how programs are called."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.cli.embedders import fingerprint_of_runs
from batchjob.cli.manifests import read_folder
from batchjob.drain.commit import Intake, freeze_rows
from batchjob.drain.freeze import Target
from batchjob.records import manifest_batches
from batchjob.settings import Settings
from tests.bench.material import ROOT

BATCHJOB = (sys.executable, "-m", "batchjob")
BASELINES = ("-m", "tests.bench.baselines")
_VENV = ROOT / ".venv-bench"
"""Has what only the benchmark needs; `make setup-bench` installs it."""
OTHERS = _VENV / "bin"
_TIKA_APP = _VENV / "tika-app.jar"
_TIKA_SETTINGS = Path(__file__).with_name("tika.xml")


@dataclass(frozen=True, slots=True)
class Context:
    """`quick`: only to see that everything works; `pages`: a folder of images and true texts of one's own."""

    scratch: Path
    quick: bool = False
    pages: Path | None = None

    def size(self, usual: int, quick: int) -> int:
        return quick if self.quick else usual

    @property
    def rounds(self) -> int | None:
        return 1 if self.quick else None


def cores() -> int:
    return len(os.sched_getaffinity(0))


def has(package: str) -> bool:
    """Whether a package that only the benchmark needs is installed."""
    return any(_VENV.glob(f"lib/python*/site-packages/{package}"))


def left_out(*packages: str) -> str:
    """A sentence for the page on those that are not there; empty where all are."""
    missing = [package for package in packages if not has(package)]
    return (
        f" **Left out, since `make setup-bench` did not install it: {', '.join(missing)}.**"
        if missing
        else ""
    )


def baseline(name: str, *files: Path, venv: bool = False) -> list[object]:
    """The command line of a baseline; `venv`: it needs packages that only the benchmark has."""
    return [OTHERS / "python" if venv else sys.executable, *BASELINES, name, *files]


def tikas(files: Sequence[Path]) -> dict[str, list[object]]:
    """The command lines of Apache Tika, native and on Java, as far as they are installed."""
    lines: dict[str, list[object]] = {}
    if has("extractous"):
        lines["Apache Tika, native"] = baseline("tika", *files, venv=True)
    if _TIKA_APP.exists():
        lines["Apache Tika"] = ["java", "-jar", _TIKA_APP, f"--config={_TIKA_SETTINGS}", "--text", *files]
    return lines


def extract(files: Sequence[Path]) -> list[object]:
    return [*BATCHJOB, "extract", *files, "--json"]


def objects(output: Path) -> list[dict[str, Any]]:
    """The JSON objects, one a line, that a command printed."""
    return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


def frozen_run(
    folder: Path, work: Path, shards: int = 1, embedder: Literal["local", "none"] = "local"
) -> str:
    """Plans a run over the documents in a folder, as `local` would, and returns its name."""
    settings = Settings(work=str(work), embedder=embedder)
    intake = Intake(Target("local", settings.index, fingerprint_of_runs(settings)), "bench", 1.0, shards)
    rows = manifest_batches(read_folder(folder, settings).rows)
    return freeze_rows(intake, FolderStore(work), SystemClock(), rows).runs[0].run_id


def process(run_id: str, work: Path, shard: int = 0) -> list[object]:
    return [*BATCHJOB, "process", run_id, "--shard", shard, "--work", work, "--json"]
