"""On a real node: a machine's fault stops the run and decides nothing; what is a document's own is rejected."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import opensearchpy
import pytest

from batchjob import layout
from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.errors import BatchjobError, MachineError, PermanentError, TooManyFailedError, UsageError
from batchjob.ports import BulkItem
from batchjob.records import Checkpoint, FinalState, GivenUp, Outcome, RunInfo, outcomes_from_parquet
from batchjob.reduce.run import ReduceJob, reduce_run
from tests.support.faults import FaultIndex, Faults
from tests.support.madeup_runs import Row, make_run, rejected_ids, wrong_size
from tests.support.pipeline import FINGERPRINT, Silent
from tests.support.servers import unique_name

RUN = "20260101T000000Z-aaaaaa"
Change = Callable[[opensearchpy.OpenSearch, str, str], object]


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "work")


@pytest.fixture
def alias() -> str:
    return unique_name("alias")


class Meanwhile(FaultIndex):
    """An index to which something happens right before the first body comes."""

    def __init__(self, inner: OpenSearchIndex, happens: Callable[[], object]) -> None:
        super().__init__(inner, Faults())
        self._happens: Callable[[], object] | None = happens

    def bulk(self, alias: str, body: bytes) -> Sequence[BulkItem] | None:
        if self._happens:
            self._happens()
            self._happens = None
        return super().bulk(alias, body)


def reduced(store: FolderStore, index: FaultIndex | OpenSearchIndex, run: RunInfo) -> None:
    reduce_run(ReduceJob(run, "reduce"), store, index, SystemClock(), Silent())


def blocked(name: str) -> Change:
    return lambda client, index, _: client.indices.put_settings(
        index=index, body={f"index.blocks.{name}": True}
    )


TROUBLES: list[tuple[str, Change, type[BatchjobError], str]] = [
    ("full disk", blocked("read_only_allow_delete"), MachineError, "disk"),
    ("write block", blocked("write"), MachineError, "lift the block"),
    ("read only", blocked("read_only"), MachineError, "lift the block"),
    ("no alias", lambda c, i, a: c.indices.delete_alias(index=i, name=a), UsageError, "no alias"),
    ("no index", lambda c, i, _: c.indices.delete(index=i), UsageError, "was the index deleted"),
    ("closed", lambda c, i, _: c.indices.close(index=i), PermanentError, "closed"),
]


@pytest.mark.parametrize(
    ("change", "error", "words"), [trouble[1:] for trouble in TROUBLES], ids=[one[0] for one in TROUBLES]
)
def test_a_machines_failure_stops_the_run_and_decides_nothing(
    store: FolderStore,
    index: OpenSearchIndex,
    client: opensearchpy.OpenSearch,
    alias: str,
    change: Change,
    error: type[BatchjobError],
    words: str,
) -> None:
    rows = [Row("good.pdf", text="text"), Row("refused.pdf", spoil=wrong_size)]
    run = make_run(store, RUN, alias, FINGERPRINT, [rows], 1024 * 1024)
    happening = Meanwhile(index, lambda: change(client, f"{alias}-000001", alias))
    with pytest.raises((error, MachineError), match=words):
        reduced(store, happening, run)
    with store.open(layout.checkpoint(RUN)) as opened:
        checkpoint = Checkpoint.model_validate_json(opened.body.read())
    assert (checkpoint.prefix, checkpoint.done) == (0, ())
    assert rejected_ids(store, run) == []
    assert not list(store.list("quarantine/"))


def test_too_many_rejections_are_no_documents_fault(
    store: FolderStore, index: OpenSearchIndex, alias: str
) -> None:
    rows = [Row(f"{number}.pdf", spoil=wrong_size) for number in range(101)]
    run = make_run(store, RUN, alias, FINGERPRINT, [rows], 1024 * 1024)
    with pytest.raises(TooManyFailedError, match="wrong as a whole, for example mapper_parsing_exception"):
        reduced(store, index, run)
    assert rejected_ids(store, run) == []
    assert not list(store.list("quarantine/"))


def deep(levels: int) -> bytes:
    return b'{"content":' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"


def with_fields(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda document: document | fields


BAD = {
    "deep.pdf": lambda _: deep(20),
    "deeper.pdf": lambda _: deep(2000),
    "not-json.pdf": lambda _: b'{"content":',
    "empty.pdf": lambda _: b"",
    "conflict.pdf": wrong_size,
    "unknown.pdf": with_fields(nothing_like_it=1),
    "zero-vector.pdf": with_fields(embedding=[0.0] * 512),
    "short-vector.pdf": with_fields(embedding=[1.0] * 3),
    "huge-number.pdf": lambda d: json.dumps(d | {"size": 10**30}).encode(),
}
ODD = {
    "surrogate.pdf": lambda d: json.dumps(d | {"content": "a\ud800b"}).encode(),
    "raw-surrogate.pdf": lambda d: json.dumps(d).encode().replace(b'"ok"', b'"ok\xed\xa0\x80"'),
    "long-key.pdf": with_fields(s3_key="k" * 40_000),
    "long-word.pdf": with_fields(content="k" * 40_000),
    "vector.pdf": with_fields(embedding=[0.1] * 512),
}


def outcomes(store: FolderStore) -> dict[str, Outcome]:
    with store.open(layout.merged_outcomes(RUN)) as opened:
        return {outcome.key: outcome for outcome in outcomes_from_parquet(opened.body.read())}


def test_bad_documents_are_rejected_alone_and_odd_ones_are_indexed(
    store: FolderStore, index: OpenSearchIndex, alias: str
) -> None:
    rows = [Row(key, spoil=spoil) for key, spoil in (BAD | ODD).items()]  # type: ignore[arg-type]
    run = make_run(store, RUN, alias, FINGERPRINT, [rows, [Row("good.pdf")]], 1024 * 1024)
    reduced(store, index, run)
    found = outcomes(store)
    assert {key: outcome.state for key, outcome in found.items()} == {
        **dict.fromkeys(BAD, FinalState.REJECTED),
        **dict.fromkeys(ODD, FinalState.INDEXED),
        "good.pdf": FinalState.INDEXED,
    }
    assert rejected_ids(store, run) == sorted(layout.doc_id("made-up", key) for key in BAD)
    for key in BAD:
        with store.open(layout.quarantined_row(layout.doc_id("made-up", key))) as opened:
            given_up = GivenUp.model_validate_json(opened.body.read())
        assert (given_up.row["key"], given_up.category) == (key, "refused")
        assert given_up.message == found[key].message
        assert "exception: " in given_up.message


def test_what_the_index_lost_or_mixed_up_is_loaded_again(
    store: FolderStore, index: OpenSearchIndex, client: opensearchpy.OpenSearch, alias: str
) -> None:
    """As after OpenSearch issue 20724."""
    rows = [Row(f"{number}.pdf", text=f"text {number}") for number in range(5)]
    run = make_run(store, RUN, alias, FINGERPRINT, [rows], 1024 * 1024)
    lost, mixed = rows[1].doc_id, rows[2].doc_id

    class Spoilt(FaultIndex):
        spoil = True

        def refresh(self, name: str) -> None:
            super().refresh(name)
            if self.spoil:
                version = {"version": 1000, "version_type": "external_gte"}
                client.delete(index=name, id=lost, params=version)
                body = {"file_id": mixed, "s3_key": rows[2].key, "content": "what another said"}
                client.index(index=name, id=mixed, body=body, params=version)
            self.spoil = False

    reduced(store, Spoilt(index, Faults()), run)
    sources = {key: found.source for key, found in index.documents(alias, [lost, mixed], ["content"]).items()}
    assert sources == {lost: {"content": "text 1"}, mixed: {"content": "text 2"}}
