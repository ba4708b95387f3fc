"""Does what gets installed agree with what is written: setup.cfg, the lock files, the reasons given?"""

import configparser
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(REPOSITORY / "setup.cfg")
LOCKS = {"requirements.lock": ("local", "build"), "requirements-dev.lock": ("local", "build", "dev")}


def direct(extras: tuple[str, ...]) -> set[str]:
    """Names of the dependencies that setup.cfg states, without versions and extras."""
    extra_lines = (SETUP["options.extras_require"][extra] for extra in extras)
    lines = "\n".join([SETUP["options"]["install_requires"], *extra_lines])
    return set(re.findall(r"^([a-z0-9-]+)", lines, re.MULTILINE))


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_is_pinned_with_hashes_and_nothing_else_is_said(name: str) -> None:
    text = (REPOSITORY / name).read_text()
    entries = re.findall(r"^(\S+)==\S+.*?((?:\s+--hash=sha256:[0-9a-f]{64})+)", text, re.MULTILINE)
    pinned = {package for package, _ in entries}
    assert len(re.findall(r"^[^\s#]", text, re.MULTILINE)) == len(entries)
    assert direct(LOCKS[name]) <= pinned
    assert "/" not in text, "no host, no path of a machine"


def test_both_locks_agree() -> None:
    runtime, dev = (
        set(re.findall(r"^\S+==\S+", (REPOSITORY / name).read_text(), re.MULTILINE)) for name in LOCKS
    )
    assert runtime <= dev


def test_every_direct_dependency_has_its_reason() -> None:
    text = (REPOSITORY / "docs" / "dependencies.md").read_text()
    named = {
        word
        for row in re.findall(r"^\| (.+?) \|", text, re.MULTILINE)
        for word in re.findall(r"[a-z0-9-]+", row)
    }
    assert direct(LOCKS["requirements-dev.lock"]) <= named


def test_make_alone_lists_every_target() -> None:
    shown = subprocess.run(["make"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    targets = {line.split()[0] for line in shown.splitlines()}
    assert targets >= {"sample", "test", "test-slow", "check", "bench", "lock", "opensearch", "clean"}


def test_a_wheel_holds_the_job_definitions_that_local_reads(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    source = tmp_path / "source"
    shutil.copytree(REPOSITORY / "batchjob", source / "batchjob")
    shutil.copytree(REPOSITORY / "job-definitions", source / "job-definitions")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    subprocess.run([*command, "--wheel-dir", tmp_path, source], check=True, cwd=tmp_path)
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.endswith("data/share/batchjob/job-definitions/process.json") for name in names)
    assert "batchjob/cli/main.py" in names
