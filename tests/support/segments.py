"""What a work store holds of events: in the inbox, in committed runs, in quarantine."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from batchjob import layout
from batchjob.drain.commit import Intake
from batchjob.drain.freeze import Target
from batchjob.drain.ledger import read_ledger
from batchjob.ports import ObjectMeta, Opened, Store
from batchjob.records import ManifestRow, manifest_from_parquet, manifest_to_parquet
from batchjob.runs import read_run
from tests.support.servers import unique_name

TARGET = Target("incremental", "documents", "0123456789abcdef")


def intake(shards: int = 2) -> Intake:
    """What one drain is told; each call is another drain."""
    return Intake(TARGET, unique_name("drain"), 100.0, shards)


def put_segment(store: Store, name: str, rows: Iterable[ManifestRow]) -> str:
    key = layout.segment(name)
    store.create_once(key, manifest_to_parquet(rows))
    return key


def events(prefix: str, count: int) -> list[ManifestRow]:
    return [ManifestRow("bucket", f"{prefix}/{number}.pdf", size=1000 * number) for number in range(count)]


def read_rows(store: Store, key: str) -> list[ManifestRow]:
    with store.open(key) as opened:
        return manifest_from_parquet(opened.body.read())


def inbox_keys(store: Store) -> set[str]:
    """Keys of the documents in segments that no committed run holds."""
    adopted = read_ledger(store).adopted
    segments = [meta.key for meta in store.list(layout.INBOX) if meta.key not in adopted]
    return {row.key for segment in segments for row in read_rows(store, segment)}


def committed(store: Store, run_ids: Iterable[str] | None = None) -> Counter[str]:
    """How often each document is in the open runs (or those named), each read whole."""
    found: Counter[str] = Counter()
    for run_id in read_ledger(store).open if run_ids is None else run_ids:
        run = read_run(store, run_id)
        rows = [
            row for shard in range(run.shards) for row in read_rows(store, layout.manifest(run_id, shard))
        ]
        assert len(rows) == run.rows
        found.update(row.key for row in rows)
    return found


class Interrupted:
    """A store that does something else first when it comes to the `at`-th write, counted from 1."""

    def __init__(self, inner: Store, at: int, action: Callable[[], object]) -> None:
        self._inner = inner
        self._at = at
        self._action = action
        self.writes = 0

    def _write(self) -> Store:
        self.writes += 1
        if self.writes == self._at:
            self._action()
        return self._inner

    def open(
        self, key: str, *, byte_range: tuple[int, int] | None = None, if_match: str | None = None
    ) -> Opened:
        return self._inner.open(key, byte_range=byte_range, if_match=if_match)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        return self._inner.list(prefix, start_after=start_after)

    def put(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> str:
        return self._write().put(key, data, content_type=content_type)

    def create_once(self, key: str, data: bytes) -> str:
        return self._write().create_once(key, data)

    def replace_if_match(self, key: str, data: bytes, etag: str) -> str:
        return self._write().replace_if_match(key, data, etag)

    def delete(self, key: str) -> None:
        self._write().delete(key)
