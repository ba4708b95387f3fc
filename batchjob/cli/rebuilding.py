"""What a re-index works with: its stores, its jobs, its documents, by the settings."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import pyarrow as pa

from batchjob.adapters.stores import open_bucket
from batchjob.cli import services
from batchjob.cli.dictionary import read_dictionary
from batchjob.cli.embedders import fingerprint_of_runs
from batchjob.cli.manifests import read_folder, split_place
from batchjob.cli.output import log, progress_bar
from batchjob.drain.commit import Intake
from batchjob.drain.filters import key_filter
from batchjob.drain.freeze import Target
from batchjob.drain.submit import Submitting
from batchjob.errors import UsageError
from batchjob.local.jobqueue import LocalJobQueue
from batchjob.manifest.listing import forget_listing, forget_older, list_bucket
from batchjob.manifest.select import Selection, Tally
from batchjob.manifest.units import Listing
from batchjob.operate.search import find
from batchjob.ports import Jobs
from batchjob.process.capacity import capacity
from batchjob.records import manifest_batches
from batchjob.reindex.drive import drive
from batchjob.reindex.gates import Limits
from batchjob.reindex.machine import Machine
from batchjob.reindex.rounds import Freezer
from batchjob.reindex.state import Reindex
from batchjob.settings import Settings


@contextmanager
def open_machine(settings: Settings, *, jobs: bool = True) -> Iterator[Machine]:
    """A re-index's surroundings; jobs of this machine end with them. Raises UsageError."""
    store, writer = services.work_store(settings), services.new_writer()
    index = services.open_index(settings)
    index.version()
    target = Target("reindex", settings.index, fingerprint_of_runs(settings))
    intake = Intake(target, writer, settings.shard_cost, None, settings.scratch)
    probes = tuple(filter(None, map(str.strip, settings.probe_queries.split(";"))))
    with _open_jobs(settings) if jobs else nullcontext() as queue:
        by = Submitting(store, queue, services.CLOCK, writer, _told(settings)) if queue else None
        yield Machine(
            Freezer(store, services.CLOCK, intake),
            index,
            settings.index,
            partial(_rows, settings, writer),
            partial(drive, by) if by else lambda runs: None,
            lambda alias, query: find(index, alias, query, 1).total,
            Limits(settings.reindex_tolerance, probes),
            read_dictionary(settings),
            _tell,
        )


def _tell(state: Reindex) -> None:
    log().info("reindex", name=state.name, next=str(state.phase), rounds=len(state.rounds))


def _told(settings: Settings) -> dict[str, str]:
    """Jobs in AWS Batch have their definition's variables; those of this machine have ours, and what was said here."""
    told = {"BATCHJOB_WORK": settings.work}
    if services.job_queue(settings) == services.LOCAL_QUEUE and settings.opensearch_url:
        told["BATCHJOB_OPENSEARCH_URL"] = settings.opensearch_url
    return told


@contextmanager
def _open_jobs(settings: Settings) -> Iterator[Jobs]:
    if services.job_queue(settings) != services.LOCAL_QUEUE:
        yield services.batch_jobs(settings)
        return
    from batchjob.cli.local import Progress

    with progress_bar() as bar:
        queue = LocalJobQueue(capacity(None).workers, Progress(bar, None), services.CLOCK)
        try:
            yield queue
        except BaseException:
            queue.stop()
            raise


@contextmanager
def _rows(
    settings: Settings, writer: str, places: Sequence[str], after: int
) -> Iterator[Iterator[pa.RecordBatch]]:
    """All documents of the places, seen at `after` (ms) or later; what was listed before a kill is not listed again."""
    listings = [(place, _listing(place, settings)) for place in places if place.startswith("s3:")]
    store = services.work_store(settings)
    for _, listing in listings:
        forget_older(listing, store, after)
    yield all_rows(settings, writer, places)
    for _, listing in listings:
        forget_listing(listing, store)


def all_rows(settings: Settings, writer: str, places: Sequence[str]) -> Iterator[pa.RecordBatch]:
    store = services.work_store(settings)
    for place in places:
        if place.startswith("s3:"):
            listing = _listing(place, settings)
            source = open_bucket(listing.bucket, endpoint=settings.s3_endpoint)
            yield from list_bucket(listing, source, store, services.CLOCK, writer, Tally())
        else:
            yield from manifest_batches(read_folder(Path(place), settings).rows)


def check_places(settings: Settings, places: Sequence[str]) -> None:
    """Raises UsageError where a place is no folder, no bucket, or empty; TransientError."""
    for place in places:
        if not place.startswith("s3:"):
            if not Path(place).is_dir():
                raise UsageError(f"{place!r} is no folder; write s3://bucket/prefix for a bucket")
            continue
        listing = _listing(place, settings)
        bucket = open_bucket(listing.bucket, endpoint=settings.s3_endpoint)
        if next(bucket.list(listing.selection.prefix), None) is None:
            raise UsageError(f"there is nothing in {place!r}")


def _listing(place: str, settings: Settings) -> Listing:
    """The documents of a place, by the same rules as events."""
    bucket, prefix = split_place(place)
    wanted = key_filter(settings)
    if prefix and wanted.prefix and not prefix.startswith(wanted.prefix):
        raise UsageError(f"{place!r} is outside the prefix {wanted.prefix!r} (BATCHJOB_PREFIX)")
    return Listing(bucket, Selection(prefix or wanted.prefix, wanted.suffixes))
