"""Where a file is: every state an object can be in, told in one sentence, with all that happened to it."""

import time
from dataclasses import replace

import pytest

from batchjob import layout
from batchjob.drain.filters import key_filter
from batchjob.errors import UsageError
from batchjob.operate.explain import Explanation, explain
from batchjob.operate.naming import name_object
from batchjob.operate.runfiles import find_outcomes, look_into
from batchjob.records import GivenUp, ManifestRow, manifest_to_parquet
from batchjob.settings import Settings
from tests.operate.conftest import ADDED, CORRUPT, KEPT, REMOVED, Place
from tests.support.documents import text_pdf
from tests.support.pipeline import folder_source

KEYS = key_filter(Settings())


def asked(place: Place, key: str) -> Explanation:
    return explain(place.name(key), place.store, place.pipeline.index, place.alias, folder_source, KEYS)


def test_the_answer_tells_each_state(place: Place) -> None:
    assert asked(place, KEPT).answer.startswith("is searchable since 20")
    assert ", 2 pages." in asked(place, KEPT).answer
    assert "reading it failed (corrupt: " in asked(place, CORRUPT).answer
    assert "put a whole file in its place" in asked(place, CORRUPT).answer
    assert "but the object is gone: `batchjob reconcile --repair`" in asked(place, REMOVED).answer
    assert "its event is still in the queue, or was lost" in asked(place, ADDED).answer
    assert "is its name right?" in asked(place, "nowhere.pdf").answer
    (place.root / "notes.txt").write_text("no document")
    assert "BATCHJOB_SUFFIXES" in asked(place, "notes.txt").answer


def test_what_waits_is_told(place: Place) -> None:
    later = int(time.time() * 1000) + 60_000
    row = ManifestRow(place.bucket, ADDED, event_time=1_000, attempt=2, not_before=later)
    place.store.put("inbox/some.parquet", manifest_to_parquet([row, replace(row, key="other.pdf")]))
    found = asked(place, ADDED)
    assert "waits in the inbox (inbox/some.parquet, attempt 2, not before 20" in found.answer
    assert [event.what for event in found.events] == ["upsert waits in the inbox", "last changed"]


def test_an_open_run_is_followed_to_its_end(place: Place) -> None:
    (place.root / KEPT).write_bytes(text_pdf("another page"))
    run = place.commit(KEPT, ADDED)
    assert asked(place, ADDED).answer.startswith(f"is in run {run.run_id}, which is processing")
    assert "is searchable since 20" in asked(place, KEPT).answer
    assert f"is in run {run.run_id}" in asked(place, KEPT).answer
    place.pipeline.process(run, 0)
    assert f"was read (indexed) by run {run.run_id}" in asked(place, ADDED).answer
    place.finish(run)
    found = asked(place, KEPT)
    assert ", 1 page." in found.answer
    wheres = [event.where for event in found.events if event.what == "indexed"]
    assert wheres == [f"run {one.run_id}" for one in place.runs]


def test_a_deletion_is_told_from_its_tombstone(place: Place) -> None:
    place.index_all(REMOVED)
    found = asked(place, REMOVED)
    assert found.answer.startswith("was deleted, and not found any more since 20")
    assert [event.what for event in found.events][-3:] == ["deleted", "tombstone", "is gone"]
    (place.root / REMOVED).write_bytes(text_pdf("back again"))
    assert "but it is there again" in asked(place, REMOVED).answer


def test_what_was_given_up_is_told(place: Place) -> None:
    key = layout.quarantined_row(place.name(ADDED).doc_id)
    row = {"bucket": place.bucket, "key": ADDED}
    given_up = GivenUp(run_id="r", at=1, category="gave_up", message="no answer thrice", row=row)
    place.store.put(key, given_up.to_json())
    assert (
        "was given up (gave_up: no answer thrice); `batchjob quarantine retry`" in asked(place, ADDED).answer
    )


def test_without_an_index_the_rest_is_told(place: Place) -> None:
    found = explain(place.name(KEPT), place.store, None, place.alias, folder_source, KEYS)
    assert found.answer.startswith(f"ended as indexed in run {place.runs[0].run_id}; no index was asked")


def test_an_object_goes_by_its_uri_its_key_and_its_path(place: Place) -> None:
    index = place.pipeline.index
    for text in (f"{place.bucket}/{KEPT}", KEPT, str(place.root / KEPT)):
        assert name_object(text, index, place.alias) == place.name(KEPT)
    assert name_object("s3://bucket/a key", None, place.alias).key == "a key"
    with pytest.raises(UsageError, match="s3://bucket/key"):
        name_object(KEPT, None, place.alias)


def test_outcomes_are_found_by_their_id_alone(place: Place) -> None:
    run = look_into(place.store, place.runs[0].run_id)
    assert run.merged is not None
    assert run.finished_at is not None
    wanted = {outcome.key: outcome for outcome in place.pipeline.outcomes(place.runs[0])}
    assert set(wanted) == {KEPT, CORRUPT, REMOVED}
    for key, outcome in wanted.items():
        assert find_outcomes(place.store, run.merged, place.name(key).doc_id) == [outcome]
    assert find_outcomes(place.store, run.merged, place.name("other").doc_id) == []
