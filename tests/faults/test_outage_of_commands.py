"""S3 does not answer for four hourly `drain --submit` with jobs on this machine; afterwards everything is there."""

import socket
from pathlib import Path

import pytest

from batchjob import layout
from batchjob.adapters import embedded
from batchjob.adapters.clock import SystemClock
from batchjob.adapters.local_queue import LocalQueue
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.adapters.stores import open_store
from batchjob.drain.ledger import read_ledger
from batchjob.errors import ExitCode
from tests.support.command import Finished, environment, run
from tests.support.documents import text_pdf
from tests.support.events import Event, eventbridge
from tests.support.intake import send_all
from tests.support.servers import S3Server, unique_name

pytestmark = pytest.mark.slow

HOURS = 4
MOST_HOURS_AFTER = 4


def nobody_listens() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_an_outage_of_four_hours_gives_nothing_up(
    tmp_path: Path, s3_real: S3Server, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the documents alone, or of the work as well; in each hour another document changes."""
    for name, value in s3_real.environment().items():
        monkeypatch.setenv(name, value)
    work = str(tmp_path / "work") if place == "folder" else f"s3://{s3_real.bucket}/{unique_name()}"
    store, queue = open_store(work, endpoint=None), LocalQueue(tmp_path / "queue", SystemClock())
    server = embedded.start(tmp_path, keep=False)

    def hour(number: int, endpoint: str) -> Finished:
        env = environment(
            queue_url=queue.url,
            work=work,
            opensearch_url=server.url,
            job_queue="local",
            receivers=1,
            drain_seconds=1,
            s3_endpoint=endpoint,
        )
        return run("tests.support.later", number, "drain", "--submit", "--json", env=env)

    def new_document(number: int) -> None:
        key = f"{unique_name()}/{number}.pdf"
        s3_real.client().put_object(Bucket=s3_real.bucket, Key=key, Body=text_pdf(f"page {number}"))
        send_all(queue, [eventbridge(Event(key)).replace('"documents"', f'"{s3_real.bucket}"')])

    try:
        for number in range(HOURS):
            new_document(number)
            done = hour(number, nobody_listens())
            assert done.code == ExitCode.TRY_AGAIN, done.stderr
        new_document(HOURS)
        for number in range(HOURS, HOURS + MOST_HOURS_AFTER):
            done = hour(number, s3_real.endpoint)
            assert done.code == ExitCode.DONE, done.stderr
        assert not list(store.list("quarantine/"))
        assert not list(store.list(layout.INBOX))
        assert read_ledger(store).open == ()
        assert queue.counts().visible + queue.counts().in_flight == 0
        assert OpenSearchIndex(server.url).count("documents") == HOURS + 1
    finally:
        server.stop()
