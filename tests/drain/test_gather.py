"""Gathering: one row an object whatever the order, the batches and the place they are held in."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchjob.drain import gather as module
from batchjob.drain.gather import Rows, Weights, gather
from batchjob.records import Action, ManifestRow, manifest_batches, manifest_row

ROWS = st.lists(
    st.builds(
        ManifestRow,
        bucket=st.sampled_from(["a", "b", "ab"]),
        key=st.sampled_from(["x", "bx", "報告 書.pdf", "a\nb", "", "x" * 1500]),
        action=st.sampled_from(Action),
        size=st.none() | st.integers(0, 10**10),
        etag=st.none() | st.sampled_from(["1", "2"]),
        event_time=st.none() | st.integers(0, 5),
        sequencer=st.none() | st.sampled_from(["0", "00", "001", "01", "1", "0a", "0A"]),
        attempt=st.integers(1, 3),
        tags=st.lists(st.text("ab"), max_size=2).map(tuple),
    ),
    max_size=40,
)


def rows_of(found: Rows) -> list[ManifestRow]:
    return [manifest_row(record) for table in found.tables() for record in table.to_pylist()]


def latest(rows: Sequence[ManifestRow]) -> ManifestRow:
    """The rule in plain words: of those with a sequencer the greatest, of the others the latest, of both the later."""
    width = max(len(row.sequencer or "") for row in rows)

    def moment(row: ManifestRow) -> int:
        return -1 if row.event_time is None else row.event_time

    best: list[ManifestRow] = []
    ordered = [row for row in rows if row.sequencer is not None]
    if ordered:
        best.append(
            sorted(ordered, key=lambda row: ((row.sequencer or "").ljust(width, "0"), moment(row)))[-1]
        )
    if len(ordered) < len(rows):
        best.insert(0, sorted((row for row in rows if row.sequencer is None), key=moment)[-1])
    return sorted(best, key=moment)[-1]


def telling(row: ManifestRow) -> tuple[object, ...]:
    return (row.action, row.size, row.event_time, row.sequencer, row.etag)


@given(ROWS, st.integers(1, 41), st.sampled_from([0, 10**9]))
def test_one_row_an_object(rows: list[ManifestRow], size: int, held: int) -> None:
    batches = [
        batch for start in range(0, len(rows), size) for batch in manifest_batches(rows[start : start + size])
    ]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "HELD_BYTES", held)
        found = gather(batches, Path(folder))
        kept = rows_of(found)
    assert len(kept) == len(found) == len({(row.bucket, row.key) for row in rows})
    assert found.repeated == len(rows) - len(kept)
    for row in kept:
        same = [other for other in rows if (other.bucket, other.key) == (row.bucket, row.key)]
        wanted = latest(same)
        assert telling(row)[2:4] == telling(wanted)[2:4]
        assert telling(row) in {telling(other) for other in same}
        etag = row.etag
        assert row.attempt == max(other.attempt for other in same if (other.etag or "") == (etag or ""))


def test_a_hundred_thousand_duplicates_and_a_storm_are_one_row_each(tmp_path: Path) -> None:
    one = ManifestRow("bucket", "one.pdf", size=10, etag="e", event_time=1, sequencer="0A")
    storm = [
        ManifestRow(
            "bucket", "storm.pdf", Action.DELETE if n % 2 else Action.UPSERT, event_time=1, sequencer=f"{n:X}"
        )
        for n in (7, 3, 11, 12, 1)
    ]
    batch = next(manifest_batches([one]))
    copies = pa.Table.from_batches([batch] * 1000).combine_chunks().to_batches()[0]
    found = gather([copies] * 100 + [*manifest_batches(storm * 20)], tmp_path)
    kept = {row.key: row for row in rows_of(found)}
    assert (len(found), found.repeated) == (2, 100_098)
    assert (kept["storm.pdf"].action, kept["storm.pdf"].sequencer) == (Action.UPSERT, "C")


def test_an_event_delivered_again_keeps_what_a_row_is_suspected_of(tmp_path: Path) -> None:
    suspect, fresh = ManifestRow("b", "a.pdf", etag="1", cost=800.0), ManifestRow("b", "a.pdf", etag="1")
    [row] = rows_of(gather(manifest_batches([suspect, fresh]), tmp_path))
    assert row.cost == 800.0


def test_nothing_is_nothing(tmp_path: Path) -> None:
    assert (len(gather([], tmp_path)), list(gather([], tmp_path).tables())) == (0, [])


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=30), st.integers(0, 29))
def test_equal_objects_have_equal_hashes_wherever_they_stand(
    names: list[tuple[str, str]], start: int
) -> None:
    names = [
        (bucket.encode("utf-8", "replace").decode(), key.encode("utf-8", "replace").decode())
        for bucket, key in names
    ]
    table = pa.table({"bucket": [name[0] for name in names], "key": [name[1] for name in names]})
    weights = Weights()
    hashes = weights.hashes(table)
    assert (weights.hashes(table.slice(start)) == hashes[start:]).all()
    distinct = dict(zip(names, hashes.tolist(), strict=True))
    assert [distinct[name] for name in names] == hashes.tolist()
    assert len(set(distinct.values())) == len(distinct)


def test_partitions_are_of_about_the_same_size() -> None:
    keys = [f"files/{number % 7}/{number:06d}.pdf" for number in range(20_000)]
    table = pa.table({"bucket": ["bucket"] * len(keys), "key": keys})
    counts = np.bincount(Weights().hashes(table) % 64, minlength=64)
    assert counts.max() < 2 * len(keys) / 64
