"""What a selection takes, against the same rules for one row."""

from hypothesis import given
from hypothesis import strategies as st

from batchjob.manifest.select import Selection, Tally, select
from batchjob.records import ManifestRow, manifest_batches

KEYS = ["a.pdf", "a.PDF", "files/a.pdf", "files/b.tif", "pdf", "files/報告.Xdw", "files/c.pdf\n", "files/"]
LIMIT = st.none() | st.integers(0, 5)


def takes(selection: Selection, row: ManifestRow) -> bool:
    size, time = row.size, row.event_time
    return (
        row.key.startswith(selection.prefix)
        and (not selection.suffixes or row.key.lower().endswith(selection.suffixes))
        and (selection.smallest is None or size is None or size >= selection.smallest)
        and (selection.largest is None or size is None or size <= selection.largest)
        and (selection.changed_from is None or time is None or time >= selection.changed_from)
        and (selection.changed_before is None or time is None or time < selection.changed_before)
    )


@given(
    st.builds(
        Selection,
        prefix=st.sampled_from(["", "files/"]),
        suffixes=st.sampled_from([(), (".pdf",), (".xdw", ".tif")]),
        smallest=LIMIT,
        largest=LIMIT,
        changed_from=LIMIT,
        changed_before=LIMIT,
    ),
    st.lists(
        st.builds(ManifestRow, bucket=st.just("b"), key=st.sampled_from(KEYS), size=LIMIT, event_time=LIMIT)
    ),
)
def test_a_batch_is_selected_as_its_rows_are(selection: Selection, rows: list[ManifestRow]) -> None:
    tally = Tally(read=len(rows))
    taken = [
        key for batch in select(manifest_batches(rows), selection, tally) for key in batch["key"].to_pylist()
    ]
    assert taken == [row.key for row in rows if takes(selection, row)]
    assert tally.rows == len(taken)
