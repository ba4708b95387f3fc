"""Quarantined rows: shown with the cause, and back in the inbox for a first attempt."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import pytest

from batchjob import layout
from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.drain.commit import commit_inbox
from batchjob.drain.filters import key_filter
from batchjob.drain.giveups import given_up, names_of, retry
from batchjob.drain.quarantine import QuarantinedMessage, to_lines
from batchjob.drain.unread import Reread, reread, unread_messages
from batchjob.errors import TransientError
from batchjob.ports import Store
from batchjob.records import GivenUp, ManifestRow, manifest_to_parquet
from batchjob.settings import Settings
from tests.support.command import batchjob
from tests.support.faults import KINDS, FaultPlan, Faults, FaultStore, Kind, SimulatedCrash
from tests.support.segments import inbox_keys, intake, read_rows

ROWS = [
    ManifestRow("bucket", f"部/{number} .pdf", attempt=3, tags=("a", "b"), not_before=7, cost=2.0)
    for number in range(3)
]


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    store = FolderStore(tmp_path / "work")
    give_up(store, ROWS)
    return store


def give_up(store: Store, rows: Iterable[ManifestRow]) -> None:
    for number, row in enumerate(rows):
        found = GivenUp(run_id="r", at=number, category="gave_up", message="no answer", row=asdict(row))
        store.put(layout.quarantined_row(layout.doc_id(row.bucket, row.key)), found.to_json())


def test_rows_go_back_as_they_were_for_a_first_attempt(store: FolderStore) -> None:
    names = {ROWS[0].key, f"s3://bucket/{ROWS[2].key}"}
    chosen = [one for one in given_up(store, []) if names & names_of(one)]
    segment = retry(store, chosen, "writer")
    assert segment is not None
    back = sorted(read_rows(store, segment), key=lambda row: row.key)
    assert back == [ManifestRow("bucket", row.key, tags=("a", "b")) for row in (ROWS[0], ROWS[2])]
    assert [found.row["key"] for found in given_up(store, [])] == [ROWS[1].key]
    assert retry(store, [], "writer") is None


@pytest.mark.parametrize("kind", KINDS)
def test_going_back_may_fail_at_every_step(tmp_path: Path, kind: Kind) -> None:
    for at in range(1, 5):
        store = FolderStore(tmp_path / str(at))
        give_up(store, ROWS)
        with pytest.raises((SimulatedCrash, TransientError)):
            retry(FaultStore(store, Faults(FaultPlan(at, kind))), list(given_up(store, [])), "first")
        assert inbox_keys(store) | {found.row["key"] for found in given_up(store, [])} == {
            row.key for row in ROWS
        }
        retry(store, list(given_up(store, [])), "second")
        assert inbox_keys(store) == {row.key for row in ROWS}
        assert list(given_up(store, [])) == []


def test_messages_that_make_sense_now_are_read_again(store: FolderStore) -> None:
    later = json.dumps({"s3Bucket": "example-bucket", "s3Key": "a.pdf", "fileSize": 1, "etag": "e"})
    bodies = {
        "1": "no event",
        "2": later,
        "3": later.replace("a.pdf", "b.pdf"),
        "4": later.replace(".pdf", ".txt"),
    }
    messages = [QuarantinedMessage(name, "why", 1, None, 5, body) for name, body in bodies.items()]
    store.put(layout.quarantined_messages("w-1"), to_lines(messages[:3]))
    store.put(layout.quarantined_messages("w-2"), to_lines(messages[3:]))
    keys = key_filter(Settings())
    assert reread(store, ["2", "1"], keys, "first") == Reread(read=1, still_unread=1, rows=1)
    assert [message.message_id for message in unread_messages(store, [])] == ["1", "3", "4"]
    assert reread(store, None, keys, "second") == Reread(read=2, still_unread=1, rows=1)
    assert [message.message_id for message in unread_messages(store, [])] == ["1"]
    assert inbox_keys(store) == {"a.pdf", "b.pdf"}


def test_the_commands(store: FolderStore, tmp_path: Path) -> None:
    work = ("--work", tmp_path / "work")
    store.put(
        layout.quarantined_messages("w-1"),
        to_lines([QuarantinedMessage("id", "no JSON", 1, None, 5, "hello")]),
    )
    listed = batchjob("quarantine", "list", "--limit", 1, *work, "--json").answer
    assert (listed["rows"], [row["key"] for row in listed["shown"]["documents"]]) == (3, [ROWS[2].key])
    [shown] = batchjob("quarantine", "show", ROWS[1].key, *work, "--json").answer["found"]
    assert (shown["message"], shown["attempt"]) == ("no answer", 3)
    unknown = batchjob("quarantine", "retry", ROWS[1].key, "other.pdf", *work)
    assert (unknown.code, "'other.pdf'" in unknown.stderr) == (64, True)
    told = batchjob("quarantine", "retry", "--all", *work, "--json").answer
    assert (told["rows"], told["messages_still_unreadable"]) == (3, 1)
    assert inbox_keys(store) == {row.key for row in ROWS}


@pytest.mark.parametrize("key", [layout.quarantined_row("d"), layout.quarantined_messages("m")])
def test_a_damaged_record_is_named_and_hides_no_other(store: FolderStore, tmp_path: Path, key: str) -> None:
    store.put(key, b'{"row": ')
    listed = batchjob("quarantine", "list", "--work", tmp_path / "work", "--json")
    assert (listed.code, key in listed.stderr, "Traceback" in listed.stderr) == (64, True, False)
    assert (listed.answer["rows"], len(listed.answer["damaged_files"])) == (len(ROWS), 1)
    again = batchjob("quarantine", "retry", "--all", "--work", tmp_path / "work", "--json")
    assert (again.code, again.answer["rows"]) == (64, len(ROWS))
    assert inbox_keys(store) == {row.key for row in ROWS}


def test_damaged_segments_are_listed_and_come_back_when_they_are_put_back(
    store: FolderStore, tmp_path: Path
) -> None:
    key = layout.segment("half")
    whole = manifest_to_parquet([ManifestRow("bucket", "a.pdf")])
    store.put(key, whole[:-9])
    [place] = commit_inbox(intake(), store, SystemClock()).damaged
    listed = batchjob("quarantine", "list", "--work", tmp_path / "work", "--json").answer
    assert (listed["damaged_segments"], listed["shown"]["segments"][0]["object"]) == (1, place)
    store.put(key, whole)
    assert commit_inbox(intake(), store, SystemClock()).rows == 1
