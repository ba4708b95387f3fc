"""From settings to the adapters that a command hands to its station."""

import os
import re
import secrets
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from batchjob.adapters.clock import SystemClock
from batchjob.adapters.queues import open_queue
from batchjob.adapters.stores import open_source, open_store
from batchjob.cli.embedders import open_embedder
from batchjob.errors import UsageError
from batchjob.ports import DeadLetters, Jobs, Source, Station, Store
from batchjob.process.fingerprint import extraction_fingerprint
from batchjob.process.reconcile import Surroundings
from batchjob.settings import Settings

if TYPE_CHECKING:
    from batchjob.adapters.opensearch import OpenSearchIndex

CLOCK = SystemClock()


def work_store(settings: Settings) -> Store:
    return open_store(settings.work, endpoint=settings.s3_endpoint)


def source(settings: Settings, bucket: str) -> Source:
    return open_source(bucket, endpoint=settings.s3_endpoint)


def queue(settings: Settings) -> DeadLetters:
    """The queue of events. Raises UsageError."""
    if settings.queue_url is None:
        raise UsageError("no queue of events: give --queue URL, or set BATCHJOB_QUEUE_URL")
    return open_queue(settings.queue_url, CLOCK)


def dead_letters(settings: Settings) -> DeadLetters:
    """The queue of messages that nobody took. Raises UsageError."""
    if settings.dead_letter_queue_url is None:
        raise UsageError("no dead-letter queue: give --queue URL, or set BATCHJOB_DEAD_LETTER_QUEUE_URL")
    return open_queue(settings.dead_letter_queue_url, CLOCK)


def work_folder(settings: Settings) -> Path | None:
    """The work folder on this machine; None where the work is in S3."""
    return _folder(settings.work)


def folders_written(settings: Settings) -> list[Path]:
    """The folders on this machine that batchjob itself writes to."""
    places = (_folder(settings.work), _folder(thumbnails_place(settings)), settings.scratch)
    return [place for place in places if place is not None]


def _folder(place: str) -> Path | None:
    return None if place.startswith("s3:") else Path(place.removeprefix("file://")).absolute()


def surroundings(settings: Settings, run_id: str, work: Store) -> Surroundings:
    """What a shard's rows are processed with."""
    place = thumbnails_place(settings)
    return Surroundings(
        run_id=run_id,
        fingerprint=extraction_fingerprint(settings),
        settings=settings,
        work=work,
        thumbnails=thumbnails_store(settings),
        thumbnail_url=lambda key: f"{_as_uri(place)}/{key}",
        source=lru_cache(maxsize=64)(lambda bucket: source(settings, bucket)),
        clock=CLOCK,
        embedder=open_embedder(settings),
    )


def thumbnails_store(settings: Settings) -> Store:
    return open_store(thumbnails_place(settings), endpoint=settings.s3_endpoint)


def thumbnails_place(settings: Settings) -> str:
    return settings.thumbnails or f"{settings.work.rstrip('/')}/thumbnails"


def _as_uri(place: str) -> str:
    return place.rstrip("/") if "://" in place else Path(place).absolute().as_uri()


def open_index(settings: Settings) -> "OpenSearchIndex":
    """The OpenSearch of the settings, or the embedded one that an earlier command kept. Raises UsageError.

    Its client takes 0.1 s of CPU to import, which jobs without an index need not pay.
    """
    from batchjob.adapters import embedded

    if settings.opensearch_url:
        return open_server(settings, settings.opensearch_url)
    folder = work_folder(settings)
    kept = embedded.find_kept(folder) if folder else None
    if kept is None:
        raise UsageError(
            "no search server: give --opensearch URL (BATCHJOB_OPENSEARCH_URL), or keep the embedded one with "
            "`batchjob local … --keep` in the same work folder"
        )
    return open_server(settings, kept.url)


def open_server(settings: Settings, url: str) -> "OpenSearchIndex":
    """The OpenSearch at `url`, with the login of the settings. Raises UsageError."""
    from batchjob.adapters.opensearch import OpenSearchIndex
    from batchjob.adapters.opensearch_connection import Login

    password = settings.opensearch_password
    login = Login(
        settings.opensearch_auth,
        settings.opensearch_user,
        password.get_secret_value() if password else None,
        settings.opensearch_region,
        settings.opensearch_ca_file,
    )
    return OpenSearchIndex(url, timeout=settings.opensearch_timeout_seconds, login=login)


LOCAL_QUEUE = "local"


def job_queue(settings: Settings) -> str:
    """The queue of the settings, or the one that this process is a job of. Raises UsageError."""
    queue = settings.job_queue or os.environ.get("AWS_BATCH_JQ_NAME")
    if not queue:
        raise UsageError(
            "no job queue: give --job-queue NAME (BATCHJOB_JOB_QUEUE), or `--job-queue local` for this machine"
        )
    return queue


def batch_jobs(settings: Settings) -> Jobs:
    """AWS Batch with the queue of the settings, or the one that this process is a job of. Raises UsageError.

    Its client takes 0.2 s to import.
    """
    from batchjob.adapters.batch import BatchJobs, BatchTarget, batch_client

    if work_folder(settings) is not None:
        raise UsageError(
            f"jobs of AWS Batch cannot see the folder {settings.work!r}: give --work s3://bucket/prefix "
            f"(BATCHJOB_WORK), or `--job-queue local`"
        )
    seconds: dict[Station, int | None] = {
        "process": settings.process_job_seconds,
        "reduce": settings.reduce_job_seconds,
    }
    target = BatchTarget(
        job_queue(settings),
        {"process": settings.process_job_definition, "reduce": settings.reduce_job_definition},
        settings.job_share,
        settings.job_priority,
        {station: limit for station, limit in seconds.items() if limit is not None},
    )
    return BatchJobs(batch_client(), target)


def new_writer() -> str:
    """Who writes: job id, attempt and 8 random hex digits, safe as a part of a key."""
    job = re.sub(r"[^A-Za-z0-9-]", "-", os.environ.get("AWS_BATCH_JOB_ID", "hand"))
    attempt = re.sub(r"[^0-9]", "", os.environ.get("AWS_BATCH_JOB_ATTEMPT", "1"))
    return f"{job}-{attempt}-{secrets.token_hex(4)}"
