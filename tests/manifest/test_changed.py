"""What changed since a former run, against the same rule for one row."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchjob import layout
from batchjob.adapters.folder import FolderStore
from batchjob.errors import UsageError
from batchjob.manifest.changed import changed, known_objects
from batchjob.manifest.read import read_manifest
from batchjob.manifest.select import Tally
from batchjob.records import (
    Action,
    FinalState,
    ManifestRow,
    Outcome,
    RunInfo,
    manifest_batches,
    manifest_to_parquet,
    outcomes_to_parquet,
)
from tests.support.command import batchjob

RUN = RunInfo(
    run_id="20260401T093000Z-000001", kind="incremental", index="i", fingerprint="f", rows=0, shards=2
)
ETAGS = st.sampled_from(["e1", '"e1"', "e2", None])
SIZES = st.sampled_from([1, 2, None])
PLACES = st.sampled_from(["a.pdf", "b.pdf", "報告.pdf"])
ROWS = st.lists(
    st.builds(ManifestRow, st.just("b"), PLACES, st.sampled_from(Action), size=SIZES, etag=ETAGS), max_size=8
)


def bare(etag: str | None) -> str | None:
    return etag and etag.strip('"')


def left(store: FolderStore, rows: list[ManifestRow]) -> tuple[list[ManifestRow], Tally]:
    tally = Tally(read=len(rows))
    batches = list(changed(manifest_batches(rows), known_objects(store, RUN.run_id), tally))
    numbers = [row for batch in batches for row in batch.to_pylist()]
    kept = [
        ManifestRow(row["bucket"], row["key"], Action(row["action"]), size=row["size"], etag=row["etag"])
        for row in numbers
    ]
    assert tally.rows == len(kept)
    return kept, tally


def is_same(row: ManifestRow, key: str, size: int | None, etag: str | None) -> bool:
    mine = (row.key, row.size, bare(row.etag))
    return row.action is Action.UPSERT and None not in mine and mine == (key, size, bare(etag))


@settings(max_examples=40)
@given(rows=ROWS, states=st.lists(st.tuples(PLACES, SIZES, ETAGS, st.sampled_from(FinalState)), max_size=6))
def test_since_a_finished_run(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[ManifestRow],
    states: list[tuple[str, int | None, str | None, FinalState]],
) -> None:
    store = FolderStore(tmp_path_factory.mktemp("work"))
    store.put(layout.run_info(RUN.run_id), RUN.to_json())
    outcomes = [Outcome("d", "b", key, state, 1, size=size, etag=etag) for key, size, etag, state in states]
    store.put(layout.merged_outcomes(RUN.run_id), outcomes_to_parquet(outcomes))
    done = [o for o in outcomes if o.state not in (FinalState.REQUEUED, FinalState.DELETED)]
    kept, _ = left(store, rows)
    assert kept == [row for row in rows if not any(is_same(row, o.key, o.size, o.etag) for o in done)]


@settings(max_examples=40)
@given(rows=ROWS, former=st.tuples(ROWS, ROWS))
def test_since_a_run_that_is_not_finished(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[ManifestRow],
    former: tuple[list[ManifestRow], list[ManifestRow]],
) -> None:
    store = FolderStore(tmp_path_factory.mktemp("work"))
    store.put(layout.run_info(RUN.run_id), RUN.to_json())
    for shard, held in enumerate(former):
        store.put(layout.manifest(RUN.run_id, shard), manifest_to_parquet(held))
    known = [row for row in (*former[0], *former[1]) if row.action is Action.UPSERT]
    kept, _ = left(store, rows)
    assert kept == [row for row in rows if not any(is_same(row, o.key, o.size, o.etag) for o in known)]


def test_what_cannot_be_compared_with_is_named(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    with pytest.raises(UsageError, match=RUN.run_id):
        known_objects(store, RUN.run_id)
    store.put(layout.run_info(RUN.run_id), RUN.to_json())
    with pytest.raises(UsageError, match=r"00000\.parquet is missing"):
        known_objects(store, RUN.run_id)


def test_the_command_takes_what_changed(tmp_path: Path) -> None:
    documents, work, output = tmp_path / "documents", tmp_path / "work", tmp_path / "m.parquet"
    documents.mkdir()
    for name in ("a.pdf", "b.pdf"):
        (documents / name).write_bytes(name.encode())
    line = ("manifest", "from-dir", documents, "-o", output, "--work", work, "--json")
    assert batchjob(*line).answer["rows"] == 2
    store = FolderStore(work)
    store.put(layout.run_info(RUN.run_id), RUN.to_json())
    store.put(layout.manifest(RUN.run_id, 0), output.read_bytes())
    store.put(layout.manifest(RUN.run_id, 1), manifest_to_parquet([]))
    (documents / "b.pdf").write_bytes(b"longer than before")
    told = batchjob(*line, "--changed-since", RUN.run_id).answer
    assert (told["read"], told["unchanged"], told["rows"]) == (2, 1, 1)
    assert [row.key for row in read_manifest(output).rows] == ["b.pdf"]
    unknown = batchjob(*line, "--changed-since", "no-run")
    assert (unknown.code, "no-run" in unknown.stderr) == (64, True)
