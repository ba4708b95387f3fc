"""An object is erased everywhere, nothing of the others is, and it cannot come back by what is under way."""

import gzip
import io
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from batchjob import layout
from batchjob.adapters.folder import FolderStore
from batchjob.drain.quarantine import QuarantinedMessage, to_lines
from batchjob.errors import BatchjobError, UsageError
from batchjob.operate.purge import Places, purge
from batchjob.ports import Store
from batchjob.records import GivenUp, ManifestRow, manifest_to_parquet
from tests.operate.conftest import ADDED, KEPT, REMOVED, Place
from tests.support.faults import FaultPlan, Faults, FaultStore, SimulatedCrash
from tests.support.pipeline import folder_source

TEXT = "gone"


def places(place: Place, store: Store | None = None) -> Places:
    scratch = place.pipeline.folder / "scratch"
    scratch.mkdir(exist_ok=True)
    inner = place.pipeline.index
    return Places(store or place.store, place.thumbnails, inner, place.alias, folder_source, scratch)


def said(store: Store) -> Iterator[tuple[str, str]]:
    """All that the work folder says, file by file."""
    for meta in store.list():
        with store.open(meta.key) as opened:
            data = opened.body.read()
        if meta.key.endswith(".gz"):
            data = gzip.decompress(data)
        text = (
            str(pq.read_table(io.BytesIO(data)).to_pylist())
            if meta.key.endswith(".parquet")
            else data.decode()
        )
        yield meta.key, text


def mentions(store: Store) -> list[str]:
    return [key for key, text in said(store) if REMOVED in text or TEXT in text]


def spread(place: Place) -> None:
    """What other ways lead to: rejections, quarantine, messages that nobody can read, a second index."""
    doc_id, run = place.name(REMOVED).doc_id, place.runs[0].run_id
    lines = (
        b'{"doc_id": "%s", "document": {"s3_key": "removed.pdf"}}\n{"doc_id": "other"}\n' % doc_id.encode()
    )
    place.store.put(layout.rejected(run, 0, "part-00000"), lines)
    row = {"bucket": place.bucket, "key": REMOVED}
    given_up = GivenUp(run_id="r", at=1, category="c", message="m", row=row)
    place.store.put(layout.quarantined_row(doc_id), given_up.to_json())
    messages = [
        QuarantinedMessage("1", "?", 1, 0, 0, f"about {REMOVED}"),
        QuarantinedMessage("2", "?", 1, 0, 0, "x"),
    ]
    place.store.put(layout.quarantined_messages("m"), to_lines(messages))


def test_all_of_it_is_erased_and_nothing_else(place: Place) -> None:
    index, doc_id = place.pipeline.index, place.name(REMOVED).doc_id
    spread(place)
    others = {o.key: o for o in place.pipeline.outcomes(place.runs[0]) if o.key != REMOVED}
    before = {meta.key for meta in place.thumbnails.list()}
    assert any(key.startswith(doc_id) for key in before)
    done = purge(place.name(REMOVED), places(place))
    assert mentions(place.store) == []
    assert (done.documents, done.runs, done.thumbnails, done.quarantined, done.warning) == (1, 1, 1, 2, "")
    assert done.run_files == 5
    assert done.cache_entries == 2
    assert index.versions(f"{place.alias}-000001", [doc_id, place.name(KEPT).doc_id]).keys() == {
        place.name(KEPT).doc_id
    }
    assert {meta.key for meta in place.thumbnails.list()} == {k for k in before if not k.startswith(doc_id)}
    assert {o.key: o for o in place.pipeline.outcomes(place.runs[0])} == others
    told = dict(said(place.store))
    assert "other" in told[layout.rejected(place.runs[0].run_id, 0, "part-00000")]
    assert KEPT in told[layout.manifest(place.runs[0].run_id, 0)]
    assert "the kept page" in "".join(text for key, text in told.items() if "/bulk/" in key)
    again = purge(place.name(REMOVED), places(place))
    assert (again.documents, again.runs, again.cache_entries, again.thumbnails) == (0, 0, 0, 0)


def test_a_purge_that_was_killed_is_finished_by_the_next(place: Place, tmp_path: Path) -> None:
    spread(place)
    whole = place.pipeline.folder / "work"
    saved = tmp_path / "saved"
    shutil.copytree(whole, saved)
    counted = Faults()
    purge(place.name(REMOVED), places(place, FaultStore(place.store, counted)))
    assert len(counted.operations) > 8
    for at in range(1, len(counted.operations) + 1):
        folder = tmp_path / secrets.token_hex(4)
        shutil.copytree(saved, folder)
        store = FolderStore(folder)
        with suppress(SimulatedCrash, BatchjobError):
            plan = FaultPlan(at, "crash_after" if at % 2 else "crash_before")
            purge(place.name(REMOVED), places(place, FaultStore(store, Faults(plan))))
        purge(place.name(REMOVED), places(place, store))
        assert mentions(store) == []


def test_what_would_come_back_is_refused(place: Place) -> None:
    with pytest.raises(UsageError, match="still in"):
        purge(place.name(KEPT), places(place))
    run = place.commit(REMOVED, ADDED)
    with pytest.raises(UsageError, match=f"run {run.run_id} holds"):
        purge(place.name(REMOVED), places(place))
    place.finish(run)
    segment = layout.segment("some")
    place.store.put(segment, manifest_to_parquet([ManifestRow(place.bucket, REMOVED)]))
    with pytest.raises(UsageError, match="waits in the inbox"):
        purge(place.name(REMOVED), places(place))
    place.store.delete(segment)
    place.store.put("reindex/1.json", b'{"phase": "load"}')
    with pytest.raises(UsageError, match="re-index 1 is at work"):
        purge(place.name(REMOVED), places(place))
    place.store.put("reindex/1.json", b'{"phase": "done"}')
    done = purge(place.name(REMOVED), places(place))
    assert (done.runs, done.documents) == (2, 1)
    assert mentions(place.store) == []


def test_where_nobody_can_look_it_is_said(place: Place) -> None:
    (place.root / ".batchjob-root").unlink()
    done = purge(place.name(REMOVED), places(place))
    assert "an absent file may mean an unmounted folder" in done.warning
    assert done.documents == 1
