"""`manifest`: makes, shows and checks manifests."""

from collections.abc import Iterator

import click
import pyarrow as pa

from batchjob.cli import options, services, sources
from batchjob.cli.manifests import open_manifest
from batchjob.cli.output import print_json, print_result, print_table
from batchjob.drain.cost import read_rates
from batchjob.drain.gather import gather
from batchjob.manifest.select import Tally
from batchjob.scratch import scratch_folder
from batchjob.settings import load_settings

SHOWN = ("bucket", "key", "action", "size", "department", "project")


@click.group()
def manifest() -> None:
    """Make, show and check manifests. manifests/README.md states the columns."""


for command in (sources.from_s3, sources.from_inventory, sources.from_dir, sources.from_csv):
    manifest.add_command(command)


@manifest.command()
@click.argument("place", metavar="MANIFEST")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Rows to show.")
@options.as_json
def show(place: str, limit: int, as_json: bool) -> None:
    """Show the first rows of a manifest: CSV, Parquet, an inventory's manifest.json; a path or s3://…."""
    shown: list[dict[str, object]] = []
    count = 0
    with open_manifest(place, load_settings()) as batches:
        for batch in batches:
            count += len(batch)
            if len(shown) < limit:
                shown += batch.select(SHOWN).slice(0, limit - len(shown)).to_pylist()
    if as_json:
        print_json({"rows": count, "shown": shown})
    else:
        cells = [[row[name] if row[name] is not None else "" for name in SHOWN] for row in shown]
        print_table(f"{place}: {count} rows", SHOWN, cells, numbers=[3])


@manifest.command()
@click.argument("place", metavar="MANIFEST")
@options.work
@options.as_json
def validate(place: str, work: str | None, as_json: bool) -> None:
    """Check a manifest: its columns, every row, and what it would cost in CPU seconds.

    CSV, Parquet, or an inventory's manifest.json; a path or s3://….
    """
    settings, tally, buckets = load_settings(work=work), Tally(), set[str]()

    def counted(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            buckets.update(batch["bucket"].unique().to_pylist())
            yield batch

    with open_manifest(place, settings, tally) as batches, scratch_folder(settings.scratch) as scratch:
        rows = gather(counted(batches), scratch, read_rates(services.work_store(settings)))
    values = {
        "rows": len(rows),
        "duplicates": rows.repeated,
        "older_versions": tally.older,
        "deleted": tally.deleted,
        "buckets": len(buckets),
        "estimated_cpu_seconds": round(float(rows.costs.sum())),
    }
    print_result(f"{place} is a valid manifest", values, as_json)
