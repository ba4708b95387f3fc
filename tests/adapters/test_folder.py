"""What only the work folder can do wrong: processes that race or die, full and read-only disks, odd names."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchjob.adapters.folder import ABANDONED_SECONDS, FolderStore
from batchjob.adapters.folder_keys import file_path
from batchjob.errors import TransientError, UsageError
from tests.adapters.test_folder_keys import KEYS


def test_processes_race_as_threads_do(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.create_once("counter", b"0 nobody")
    rounds, racers = 5, 16
    start = time.time() + 1.5
    command = [sys.executable, "-m", "tests.adapters.races", str(tmp_path)]
    processes = [
        subprocess.Popen([*command, str(n), str(start), str(rounds)], stdout=subprocess.PIPE, text=True)
        for n in range(racers)
    ]
    won = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * racers
    assert sorted(number for numbers in won for number in numbers) == [str(n) for n in range(rounds)]
    for writer, numbers in enumerate(won):
        for number in numbers:
            assert store.open(f"once/{number}").body.read() == f"written by {writer}".encode()
    assert int(store.open("counter").body.read().split()[0]) == rounds * racers


def test_a_killed_writer_leaves_whole_objects_and_no_lock(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from batchjob.adapters.folder import FolderStore\n"
        "store, n = FolderStore(pathlib.Path(sys.argv[1])), 0\n"
        "while True:\n"
        "    n += 1; store.put(f'hot/{n % 3}', bytes([n % 251]) * 100_000); print(n, flush=True)\n"
    )
    store = FolderStore(tmp_path)
    for number in range(5):
        with subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.005 * number)
            writer.send_signal(signal.SIGKILL)
        for meta in store.list("hot/"):
            data = store.open(meta.key).body.read()
            assert data == data[:1] * 100_000
        assert store.put("after", b"alive")


def test_what_dead_writers_staged_is_swept_in_time(tmp_path: Path) -> None:
    FolderStore(tmp_path)
    old, young = tmp_path / "%tmp" / "old", tmp_path / "%tmp" / "young"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, times=(then := time.time() - ABANDONED_SECONDS - 60, then))
    store = FolderStore(tmp_path)
    assert not old.exists()
    assert young.exists()
    assert list(store.list()) == []


SHORT_KEYS = KEYS.map(lambda key: key[:100])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(SHORT_KEYS, st.binary(max_size=9), max_size=8), SHORT_KEYS, SHORT_KEYS)
def test_it_holds_what_a_dictionary_holds(
    tmp_path_factory: pytest.TempPathFactory, model: dict[str, bytes], one: str, other: str
) -> None:
    root = tmp_path_factory.mktemp("work")
    store = FolderStore(root)
    for key, data in model.items():
        store.put(key, data)
    ordered = sorted(model, key=str.encode)
    assert [(meta.key, meta.size) for meta in store.list()] == [(k, len(model[k])) for k in ordered]
    for key in ordered:
        assert store.open(key).body.read() == model[key]
        for prefix, after in [(key[:2], ""), (key, one), (key[:-1], ordered[0]), (other[:1], key), ("", key)]:
            expected = [k for k in ordered if k.startswith(prefix) and k.encode() > after.encode()]
            assert [meta.key for meta in store.list(prefix, start_after=after)] == expected
    for key in ordered:
        store.delete(key)
    assert list(store.list()) == []
    assert sorted(path.name for path in root.iterdir()) == ["%lock", "%tmp"]


def test_the_deepest_key(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.create_once("/" * 1024, b"deep")
    assert [meta.key for meta in store.list("/" * 1000)] == ["/" * 1024]
    assert store.open("/" * 1024).body.read() == b"deep"
    store.delete("/" * 1024)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["%lock", "%tmp"]


def test_no_etag_recurs_however_fast_the_writes(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    etags = {store.put("key", b"same") for _ in range(100)}
    for _ in range(100):
        store.delete("key")
        etags.add(store.create_once("key", b"same"))
    assert len(etags) == 200


def test_times_are_finer_than_the_kernel_s(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    for _ in range(20):
        before = time.time_ns()
        store.put("key", b"")
        assert (tmp_path / file_path("key")).stat().st_mtime_ns >= before


def test_a_clock_set_back_does_not_bring_old_times_again(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("key", b"same")
    future = time.time_ns() + 3600 * 10**9
    os.utime(tmp_path / file_path("key"), ns=(future, future))
    store.put("key", b"same")
    assert (tmp_path / file_path("key")).stat().st_mtime_ns > future


def test_an_open_object_stays_what_it_was(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("key", b"old" * 1000)
    with store.open("key") as opened:
        store.put("key", b"new")
        assert opened.body.read() == b"old" * 1000
    with store.open("key") as opened:
        store.delete("key")
        assert opened.body.read() == b"new"


def test_a_folder_that_cannot_be_written_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for root in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/batchjob"), Path("/dev/null")):
        with pytest.raises(UsageError, match=r"not writable: .*choose another with --work"):
            FolderStore(root)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_permission_is_wrong_use(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "work")
    (tmp_path / "work").chmod(0o500)
    try:
        with pytest.raises(UsageError, match="not writable"):
            store.put("new/key", b"")
    finally:
        (tmp_path / "work").chmod(0o700)


def test_a_disk_without_room_is_an_outage_and_leaves_nothing(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, resource, signal\n"
        "from batchjob.adapters.folder import FolderStore; from batchjob.errors import TransientError\n"
        "store = FolderStore(pathlib.Path(sys.argv[1]))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: store.put('key', bytes(2000))\n"
        "except TransientError as error: print(error.cause, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.startswith("disk_full work folder")
    assert list((tmp_path / "%tmp").iterdir()) == []
    assert list(FolderStore(tmp_path).list()) == []


def test_a_work_folder_that_went_away_is_no_empty_one(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "mount")
    store.put("key", b"1")
    (tmp_path / "mount").rename(tmp_path / "elsewhere")
    for use in (lambda: store.open("key"), lambda: list(store.list()), lambda: store.put("key", b"")):
        with pytest.raises(TransientError, match="mount"):
            use()


def test_foreign_files_are_not_listed(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("a/b", b"")
    (tmp_path / "a" / "no-mark").write_bytes(b"")
    (tmp_path / "v1.2").mkdir()
    (tmp_path / "v1.2" / "x.txt").write_bytes(b"")
    (tmp_path / "bad%FF.txt").write_bytes(b"")
    assert [meta.key for meta in store.list()] == ["a/b"]
    assert (tmp_path / file_path("a/b")).is_file()
