"""Index and source are made equal by an ordinary run, and told to be equal only where they are."""

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchjob import layout
from batchjob.adapters.clock import SystemClock
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.adapters.source_folder import SourceFolder
from batchjob.drain.filters import KeyFilter, key_filter
from batchjob.drain.ledger import read_ledger
from batchjob.errors import UsageError
from batchjob.operate.compare import KEY, Difference, Source, ascending, side_by_side
from batchjob.operate.reconcile import Reconciled, Reconciler, reconcile, sweep_thumbnails
from batchjob.ports import ObjectMeta
from batchjob.process.document import bulk_lines
from batchjob.runs import read_run
from batchjob.settings import Settings
from tests.operate.conftest import ADDED, KEPT, REMOVED, Place
from tests.support.command import batchjob, environment
from tests.support.documents import text_pdf, write_folder
from tests.support.manual_clock import ManualClock

DAY = 24 * 3600


def reconciler(place: Place, clock: Any = None, keys: KeyFilter | None = None) -> Reconciler:
    scratch = place.pipeline.folder / "scratch"
    scratch.mkdir(exist_ok=True)
    by = (place.pipeline.index, place.alias, keys or key_filter(Settings()), clock or SystemClock(), scratch)
    return Reconciler(*by)  # type: ignore[arg-type]


def source(place: Place) -> Source:
    return Source(place.bucket, SourceFolder(place.root))


def compared(place: Place, *, repair: bool = False, **more: Any) -> Reconciled:
    intake = place.intake() if repair else None
    return reconcile(reconciler(place, **more), [source(place)], intake, place.store)


def told(found: Reconciled) -> dict[str, list[str]]:
    return {str(difference): keys for difference, keys in found.counts.examples.items() if keys}


def test_a_repair_makes_them_equal(place: Place) -> None:
    (place.root / KEPT).write_bytes(text_pdf("another text"))
    (place.root / "notes.txt").write_text("no document")
    expected = {"missing": [ADDED], "stale": [KEPT], "ghost": [REMOVED]}
    assert told(compared(place)) == expected
    assert read_ledger(place.store).open == ()
    found = compared(place, repair=True)
    assert told(found) == expected
    assert read_ledger(place.store).open == tuple(found.runs)
    run = next(iter(found.runs))
    place.pipeline.run(_info(place, run))
    after = compared(place)
    assert after.counts.equal
    assert (after.counts.objects, after.counts.documents) == (3, 3)


def _info(place: Place, run_id: str) -> Any:
    return read_run(place.store, run_id)


def test_only_what_counts_as_a_document_is_missing(place: Place) -> None:
    found = compared(place, keys=KeyFilter("日報/", (".pdf",)))
    assert told(found) == {"ghost": [REMOVED]}


def test_old_tombstones_go_with_a_repair(place: Place) -> None:
    place.index_all(REMOVED, ADDED)
    later = ManualClock(SystemClock().now_ms() + 31 * DAY * 1000)
    assert compared(place).tombstones == 0
    assert compared(place, clock=later).tombstones == 1
    assert compared(place, clock=later, repair=True).tombstones == 1
    assert compared(place, clock=later).tombstones == 0
    stored = place.pipeline.index.versions(
        f"{place.alias}-000001", [place.name(key).doc_id for key in (REMOVED, ADDED)]
    )
    assert stored.keys() == {place.name(ADDED).doc_id}


def test_a_source_that_is_nearly_empty_changes_nothing(place: Place) -> None:
    documents = [
        {"file_id": layout.doc_id(place.bucket, key), "bucket": place.bucket, "s3_key": key}
        for key in (f"many/{number:05d}.pdf" for number in range(6001))
    ]
    lines = b"".join(bulk_lines(document, 1) for document in documents)
    assert place.pipeline.index.bulk(place.alias, _gzipped(lines)) is None
    with pytest.raises(UsageError, match=r"6002 documents of 6004 .*--allow-deletes"):
        compared(place, repair=True)
    assert read_ledger(place.store).open == ()
    found = reconcile(reconciler(place), [source(place)], place.intake(), place.store, allow_deletes=True)
    assert found.counts.differences == {Difference.MISSING: 1, Difference.STALE: 0, Difference.GHOST: 6002}
    assert sum(_info(place, run).rows for run in found.runs) == 6003


def _gzipped(data: bytes) -> bytes:
    return gzip.compress(data)


def test_thumbnails_of_no_document_are_swept_when_nothing_is_under_way(place: Place) -> None:
    (place.root / KEPT).write_bytes(text_pdf("another text"))
    run = place.commit(KEPT, REMOVED)
    place.pipeline.run(run)
    before = {meta.key for meta in place.thumbnails.list()}
    assert len(before) == 3
    by = reconciler(place)
    looked = sweep_thumbnails(by, place.thumbnails, place.store, remove=False)
    assert (looked.thumbnails, looked.unused) == (3, 2)
    with pytest.raises(UsageError, match=f"run {run.run_id} is open"):
        sweep_thumbnails(by, place.thumbnails, place.store, remove=True)
    place.finish(run)
    assert sweep_thumbnails(by, place.thumbnails, place.store, remove=True).unused == 2
    (left,) = {meta.key for meta in place.thumbnails.list()}
    assert left in before
    assert left.startswith(place.name(KEPT).doc_id)
    assert sweep_thumbnails(by, place.thumbnails, place.store, remove=True).unused == 0


@given(st.sets(st.text(min_size=1)), st.sets(st.text(min_size=1)))
def test_every_key_of_either_side_comes_once(left: set[str], right: set[str]) -> None:
    def encodable(keys: set[str]) -> list[str]:
        return sorted((k for k in keys if not any("\ud800" <= c < "\ue000" for c in k)), key=str.encode)

    ours, theirs = encodable(left), encodable(right)
    moment = SystemClock().now_ms()
    objects = [ObjectMeta(key, 1, "e", datetime.fromtimestamp(moment / 1000, UTC)) for key in ours]
    pairs = list(side_by_side(ascending(objects, "b"), [{KEY: key} for key in theirs]))
    assert [meta.key for meta, _ in pairs if meta] == ours
    assert [document[KEY] for _, document in pairs if document] == theirs
    both = {meta.key for meta, document in pairs if meta and document}
    assert both == set(ours) & set(theirs)


def test_a_listing_in_no_order_is_refused(place: Place) -> None:
    [first, *_] = list(SourceFolder(place.root).list())
    with pytest.raises(UsageError, match="bytewise order"):
        list(ascending([first, first], "b"))


@pytest.mark.slow
def test_the_command_repairs_and_says_so(
    tmp_path: Path, opensearch_url: str, index_name: str, server: OpenSearchIndex
) -> None:
    del server
    folder = tmp_path / "documents"
    write_folder(folder, {"a.pdf": text_pdf("first"), "b.pdf": text_pdf("second")})
    env = environment(
        work=tmp_path / "work", index=index_name, opensearch_url=opensearch_url, job_queue="local"
    )
    assert batchjob("local", folder, "--json", env=env).code == 0
    assert batchjob("reconcile", folder, env=env).code == 0
    (folder / "a.pdf").unlink()
    (folder / "c.pdf").write_bytes(text_pdf("third"))
    found = batchjob("reconcile", folder, "--json", env=env)
    assert (found.code, found.answer["missing"], found.answer["ghost"]) == (66, 1, 1)
    repaired = batchjob("reconcile", folder, "--repair", "--submit", "--json", env=env)
    assert (repaired.code, len(repaired.answer["runs"])) == (66, 1)
    again = batchjob("reconcile", folder, "--thumbnails", "--json", env=env)
    assert (again.code, again.answer["documents"], again.answer["unused_thumbnails"]) == (0, 2, 1)
    explained = batchjob("explain", "c.pdf", "--json", env=env)
    assert explained.answer["answer"].startswith("is searchable since")
    assert batchjob("gc", "--dry-run", "--json", env=env).answer["runs"] == []
    swept = batchjob("sweep", env=env)
    assert swept.code == 0
    refused = batchjob("purge", "c.pdf", "--yes", env=env)
    assert (refused.code, "still in" in refused.stderr) == (64, True)
    assert "--yes" in batchjob("purge", f"{folder.as_uri()}/a.pdf", env=env).stderr
    purged = batchjob("purge", f"{folder.as_uri()}/a.pdf", "--yes", "--json", env=env)
    assert (purged.code, purged.answer["documents"], purged.answer["runs"]) == (0, 1, 2)
