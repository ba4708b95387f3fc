"""`process` and `reduce` die by SIGKILL at random moments; the next attempts make up for it."""

import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from batchjob import layout
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.process.fingerprint import extraction_fingerprint
from batchjob.records import ManifestRow, RunInfo, outcomes_from_parquet
from batchjob.settings import Settings
from tests.support.command import batchjob, environment, left_behind, start
from tests.support.documents import scanned_page, text_pdf, write_folder
from tests.support.pipeline import frozen_run
from tests.support.projection import index_projection, outcome_projection
from tests.support.servers import unique_name

KILLS_A_JOB = 2
LONGEST_LIFE = {"cold": 2.5, "warm": 1.4}
"""Seconds: a little more than a job takes, so that some are killed near their end."""
FILES = {
    "minutes.pdf": text_pdf("minutes of the first meeting", "and of the second"),
    "manual.pdf": text_pdf(*(f"page {number} of the manual" for number in range(1, 40))),
    "letter.png": scanned_page("Kind regards"),
    "notice.png": scanned_page("Closed on Monday"),
    "broken.pdf": b"%PDF-1.7\nnothing more",
    "empty.pdf": b"",
}


class Trials:
    """The same documents again and again, each time in a new work folder and a new index."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.index = OpenSearchIndex(url)
        bucket = write_folder(folder / "source", FILES)
        self.rows = [ManifestRow(bucket, name) for name in (*FILES, "gone.pdf")]
        self.expected = self._undisturbed()

    def _undisturbed(self) -> Any:
        work, run, env = self.prepare("undisturbed", cache=None)
        for job in jobs(run):
            assert batchjob(*job, env=env).code == 0
        return self.projection(work, run)

    def prepare(self, name: str, cache: Path | None) -> tuple[Path, RunInfo, dict[str, str]]:
        """A frozen run in a work folder of its own, and the environment of its jobs."""
        work = self.folder / name / "work"
        store = FolderStore(work)
        run = frozen_run(store, self.rows, 2, unique_name("alias"), extraction_fingerprint(Settings()))
        if cache is not None:
            shutil.copytree(cache, work / "cache")
        scratch = self.folder / name / "scratch"
        env = environment(work=work, scratch=scratch, opensearch_url=self.url, workers=2)
        return work, run, env

    def projection(self, work: Path, run: RunInfo) -> Any:
        name = self.index.resolve(run.index)
        assert name is not None
        with FolderStore(work).open(layout.merged_outcomes(run.run_id)) as opened:
            outcomes = outcomes_from_parquet(opened.body.read())
        return index_projection(self.index, name), sorted(map(outcome_projection, outcomes))


def jobs(run: RunInfo) -> list[list[object]]:
    return [
        *(["process", run.run_id, "--shard", shard] for shard in range(run.shards)),
        ["reduce", run.run_id],
    ]


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory, opensearch_url: str) -> Trials:
    return Trials(tmp_path_factory.mktemp("trials"), opensearch_url)


def kill_at_random(trials: Trials, cache: str, seed: int) -> None:
    moments = random.Random(seed)
    name = f"{cache}-{seed}"
    warm = trials.folder / "undisturbed" / "work" / "cache" if cache == "warm" else None
    work, run, env = trials.prepare(name, warm)
    for job in jobs(run):
        for _ in range(KILLS_A_JOB):
            process = start(*job, env=env)
            time.sleep(moments.uniform(0.2, LONGEST_LIFE[cache]))
            process.kill()
            process.wait()
            assert left_behind(trials.folder / name / "scratch") == []
        done = batchjob(*job, env=env)
        assert done.code == 0, done.stderr
    assert trials.projection(work, run) == trials.expected
    assert list((trials.folder / name / "scratch").iterdir()) == []


@pytest.mark.parametrize("cache", ["cold", "warm"])
@pytest.mark.parametrize("seed", range(1))
def test_killed_jobs_lose_and_repeat_nothing(trials: Trials, cache: str, seed: int) -> None:
    kill_at_random(trials, cache, seed)


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["cold", "warm"])
@pytest.mark.parametrize("seed", range(100, 125))
def test_killed_jobs_lose_and_repeat_nothing_25_times(trials: Trials, cache: str, seed: int) -> None:
    kill_at_random(trials, cache, seed)
