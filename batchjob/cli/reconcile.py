"""`reconcile`: source and index compared both ways, and made equal again."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import click
import structlog

from batchjob.adapters.source_folder import SourceFolder
from batchjob.cli import options, services
from batchjob.cli.embedders import fingerprint_of_runs
from batchjob.cli.manifests import own_folders, split_place
from batchjob.cli.output import log, print_json, print_result, print_table
from batchjob.cli.submit import open_submitting
from batchjob.drain.commit import Intake
from batchjob.drain.filters import key_filter
from batchjob.drain.freeze import Target
from batchjob.drain.submit import submit_runs
from batchjob.errors import DifferentError, UsageError
from batchjob.operate.compare import Source
from batchjob.operate.reconcile import Reconciled, Reconciler, Swept, reconcile, sweep_thumbnails
from batchjob.scratch import scratch_folder
from batchjob.settings import Settings, load_settings


@click.command("reconcile")
@click.argument("places", nargs=-1, required=True, metavar="PLACE…")
@click.option(
    "--repair", is_flag=True, help="Make a run of what differs; remove tombstones older than 30 days."
)
@click.option("--submit", is_flag=True, help="With --repair: submit that run's jobs.")
@click.option("--allow-deletes", is_flag=True, help="Repair although much of the index would be deleted.")
@click.option(
    "--thumbnails", is_flag=True, help="Look for thumbnails of no document; with --repair remove them."
)
@options.work
@options.index
@options.opensearch
@options.job_queue
@options.as_json
def reconcile_command(
    places: tuple[str, ...],
    repair: bool,
    submit: bool,
    allow_deletes: bool,
    thumbnails: bool,
    work: str | None,
    index: str | None,
    opensearch_url: str | None,
    job_queue: str | None,
    as_json: bool,
) -> None:
    """Compare PLACE (a folder or s3://bucket/prefix) with the index: missing, stale, and gone from the source.

    Exit code 0 only where they are equal; what is under way differs until its run is done. Without --repair nothing
    is changed.
    """
    if submit and not repair:
        raise UsageError("--submit goes with --repair")
    settings = load_settings(work=work, index=index, opensearch_url=opensearch_url, job_queue=job_queue)
    structlog.contextvars.bind_contextvars(phase="reconcile")
    store, server, writer = (
        services.work_store(settings),
        services.open_index(settings),
        services.new_writer(),
    )
    target = Target("incremental", settings.index, fingerprint_of_runs(settings))
    intake = Intake(target, writer, settings.shard_cost, None, settings.scratch)
    with scratch_folder(settings.scratch) as scratch:
        by = Reconciler(server, settings.index, key_filter(settings), services.CLOCK, scratch)
        swept = (
            sweep_thumbnails(by, services.thumbnails_store(settings), store, remove=repair)
            if thumbnails
            else None
        )
        sources = [_source(place, settings) for place in places]
        with open_submitting(settings, writer) if submit else nullcontext() as submitting:
            found = reconcile(by, sources, intake if repair else None, store, allow_deletes=allow_deletes)
            if submitting is not None:
                submit_runs(submitting, found.runs)
    _show(found, swept, as_json)
    if not found.counts.equal:
        raise DifferentError(_advice(found, repair=repair))


def _source(place: str, settings: Settings) -> Source:
    if place.startswith("s3:"):
        bucket, prefix = split_place(place)
        return Source(bucket, services.source(settings, bucket), prefix or settings.prefix)
    root = Path(place).resolve()
    if not root.is_dir():
        raise UsageError(f"no folder {place!r}; name a folder or s3://bucket/prefix")
    return Source(root.as_uri(), SourceFolder(root), settings.prefix, tuple(own_folders(root, settings)))


def _advice(found: Reconciled, *, repair: bool) -> str:
    total = sum(found.counts.differences.values())
    if not repair:
        return f"index and source differ in {total} objects: `--repair` makes a run of them"
    return f"index and source differed in {total} objects: equal once {', '.join(found.runs)} is done"


def _show(found: Reconciled, swept: Swept | None, as_json: bool) -> None:
    counts = found.counts
    values: dict[str, object] = {
        "objects": counts.objects,
        "documents": counts.documents,
        **{str(difference): count for difference, count in counts.differences.items()},
        "old_tombstones": found.tombstones,
        **({"thumbnails": swept.thumbnails, "unused_thumbnails": swept.unused} if swept else {}),
    }
    if as_json:
        examples = {str(difference): keys for difference, keys in counts.examples.items()}
        print_json({**values, "examples": examples, "runs": found.runs})
        return
    for run_id in found.runs:
        log().info("run", run_id=run_id)
    print_result("equal" if counts.equal else "different", values, as_json=False)
    rows: Sequence[Sequence[object]] = [
        [difference, key] for difference, keys in counts.examples.items() for key in keys
    ]
    if rows:
        print_table("some of them", ["", "key"], rows)
