"""`manifest from-…`: makes manifests of a bucket, an inventory, a folder, or a file that people wrote."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import click
import pyarrow as pa

from batchjob.adapters.stores import open_bucket, open_output
from batchjob.cli import options, services
from batchjob.cli.manifests import open_manifest, read_folder, split_place
from batchjob.cli.output import print_result
from batchjob.errors import UsageError
from batchjob.manifest.changed import changed, known_objects
from batchjob.manifest.inventory import MANIFEST
from batchjob.manifest.listing import forget_listing, list_bucket
from batchjob.manifest.read import read_manifest
from batchjob.manifest.select import Selection, Tally, select
from batchjob.manifest.units import Listing
from batchjob.manifest.write import write_manifest
from batchjob.records import manifest_batches
from batchjob.scratch import scratch_folder
from batchjob.settings import Settings, load_settings

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class Request:
    """What all sources are asked alike: where the manifest goes, and which rows it gets."""

    output: str
    settings: Settings
    selection: Selection
    changed_since: str | None
    as_json: bool


SIZE = click.IntRange(min=0)
OPTIONS = (
    click.option("-o", "--output", required=True, help="Parquet file to write; may be s3://bucket/key."),
    click.option(
        "--suffix", "suffixes", multiple=True, metavar=".EXT", help="Ends of keys (BATCHJOB_SUFFIXES)."
    ),
    click.option("--prefix", metavar="TEXT", help="Only keys that begin with this (BATCHJOB_PREFIX)."),
    click.option("--min-size", type=SIZE, metavar="BYTES", help="Only objects of at least this size."),
    click.option("--max-size", type=SIZE, metavar="BYTES", help="Only objects of at most this size."),
    click.option(
        "--modified-from", type=options.Moment(), metavar="TIME", help="Only objects changed then or later."
    ),
    click.option(
        "--modified-before", type=options.Moment(), metavar="TIME", help="Only objects changed before."
    ),
    click.option(
        "--changed-since", metavar="RUN", help="Only objects that RUN was not done with as they are."
    ),
    options.work,
    options.as_json,
)


def request_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options of all sources, as one Request."""

    def run(
        *,
        output: str,
        suffixes: tuple[str, ...],
        prefix: str | None,
        min_size: int | None,
        max_size: int | None,
        modified_from: int | None,
        modified_before: int | None,
        changed_since: str | None,
        work: str | None,
        as_json: bool,
        **arguments: Any,
    ) -> None:
        settings = load_settings(suffixes=" ".join(suffixes) or None, prefix=prefix, work=work)
        if not output.endswith(".parquet"):
            raise UsageError(f"{output!r}: name the manifest *.parquet")
        ends = tuple(settings.suffixes.lower().split())
        selection = Selection(settings.prefix, ends, min_size, max_size, modified_from, modified_before)
        command(Request(output, settings, selection, changed_since, as_json), **arguments)

    run.__doc__ = command.__doc__
    return reduce(lambda inner, option: option(inner), reversed(OPTIONS), run)


@click.command("from-s3")
@click.argument("place", metavar="s3://BUCKET/PREFIX")
@request_options
def from_s3(request: Request, place: str) -> None:
    """Make a manifest of the documents in a bucket, listed by many connections.

    What was listed is kept in the work folder until the manifest is written, so that the same command goes on after a
    kill. Run it again within a day.
    """
    bucket, prefix = split_place(place)
    wanted = request.selection
    if prefix and wanted.prefix and not prefix.startswith(wanted.prefix):
        raise UsageError(f"{place!r} is outside the prefix {wanted.prefix!r} (--prefix, BATCHJOB_PREFIX)")
    listing = Listing(bucket, replace(wanted, prefix=prefix or wanted.prefix))
    store = services.work_store(request.settings)
    source = open_bucket(bucket, endpoint=request.settings.s3_endpoint)
    tally = Tally()
    batches = list_bucket(listing, source, store, services.CLOCK, services.new_writer(), tally)
    _make(request, batches, tally)
    forget_listing(listing, store)


@click.command("from-inventory")
@click.argument("place", metavar="MANIFEST.JSON")
@request_options
def from_inventory(request: Request, place: str) -> None:
    """Make a manifest of an S3 Inventory in Parquet or CSV: the place of its manifest.json, a path or s3://….

    Of each object the latest version counts. Nothing is written unless every file is there and whole.
    """
    if place.rpartition("/")[2] != MANIFEST:
        raise UsageError(f"{place!r}: name the {MANIFEST} of an inventory")
    tally = Tally()
    with open_manifest(place, request.settings, tally) as batches:
        _make(request, select(batches, request.selection, tally), tally)


@click.command("from-dir")
@click.argument("folder", type=FOLDER)
@request_options
def from_dir(request: Request, folder: Path) -> None:
    """Make a manifest of the documents below FOLDER."""
    found, tally = read_folder(folder, request.settings), Tally()
    tally.read = len(found.rows)
    _make(request, select(manifest_batches(found.rows), request.selection, tally), tally)


@click.command("from-csv")
@click.argument("file", type=FILE)
@request_options
def from_csv(request: Request, file: Path) -> None:
    """Make a manifest of a FILE that people wrote, CSV or Parquet. Ends of keys count only with --suffix."""
    given = click.get_current_context().params["suffixes"]
    selection = request.selection if given else replace(request.selection, suffixes=())
    found, tally = read_manifest(file), Tally()
    tally.read = len(found.rows)
    _make(request, select(manifest_batches(found.rows), selection, tally), tally, duplicates=found.duplicates)


def _make(request: Request, batches: Batches, tally: Tally, duplicates: int = 0) -> None:
    if request.changed_since is not None:
        known = known_objects(services.work_store(request.settings), request.changed_since)
        batches = changed(batches, known, tally)
    try:
        _write(request, batches)
    except OSError as error:
        raise UsageError(f"{request.output!r} cannot be written: {error.strerror or error}") from None
    values = {
        "manifest": request.output,
        "read": tally.read,
        "rows": tally.rows,
        "duplicates": duplicates,
        "passed_over": tally.passed_over,
        "unchanged": tally.unchanged,
        "older_versions": tally.older,
        "deleted": tally.deleted,
    }
    print_result(request.output, values, request.as_json)


def _write(request: Request, batches: Batches) -> None:
    if not request.output.startswith("s3:"):
        write_manifest(batches, Path(request.output))
        return
    bucket, key = split_place(request.output)
    with scratch_folder(request.settings.scratch) as scratch:
        write_manifest(batches, scratch / "manifest.parquet")
        open_output(bucket, endpoint=request.settings.s3_endpoint).put_file(key, scratch / "manifest.parquet")
