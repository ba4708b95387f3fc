"""`manifest`: makes, shows and checks manifests."""

from pathlib import Path

import click

from batchjob.adapters.source_folder import SourceFolder
from batchjob.cli import options, services
from batchjob.cli.output import notice, print_json, print_result, print_table
from batchjob.drain.cost import estimated_cost
from batchjob.errors import UsageError
from batchjob.manifest.folder import read_listing
from batchjob.manifest.read import Manifest, one_row_an_object, read_manifest
from batchjob.records import ManifestRow, manifest_to_parquet
from batchjob.settings import SUFFIXES, Settings, load_settings

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.group()
def manifest() -> None:
    """Make, show and check manifests. manifests/README.md states the columns."""


def read_folder(folder: Path, settings: Settings) -> Manifest:
    """A row for each document below a folder, save in its work folder. Raises UsageError where there is none."""
    root = folder.resolve()
    source = SourceFolder(root)
    own = [Path(place).resolve() for place in services.folders_written(settings)]
    inside = [
        f"{path.relative_to(root).as_posix()}/" for path in own if path != root and path.is_relative_to(root)
    ]
    found = read_listing(root.as_uri(), source, inside)
    if found.passed_over or source.left_out:
        notice(
            f"{found.passed_over} other files passed over, {source.left_out} left out with a warning; documents are "
            f"{' '.join(SUFFIXES)}"
        )
    if not found.rows:
        raise UsageError(
            f"no documents below {str(folder)!r}: files named {' '.join(SUFFIXES)} are looked for"
        )
    return one_row_an_object(found.rows)


@manifest.command("from-dir")
@click.argument("folder", type=FOLDER)
@click.option("-o", "--output", type=NEW_FILE, required=True, help="Parquet file to write.")
@options.as_json
def from_dir(folder: Path, output: Path, as_json: bool) -> None:
    """Make a manifest of the documents below FOLDER."""
    _write(read_folder(folder, load_settings()), output, as_json)


@manifest.command("from-csv")
@click.argument("file", type=FILE)
@click.option("-o", "--output", type=NEW_FILE, required=True, help="Parquet file to write.")
@options.as_json
def from_csv(file: Path, output: Path, as_json: bool) -> None:
    """Make a manifest of a CSV FILE that people wrote."""
    _write(read_manifest(file), output, as_json)


def _write(found: Manifest, output: Path, as_json: bool) -> None:
    if output.suffix != ".parquet":
        raise UsageError(f"{str(output)!r}: name the manifest *.parquet")
    try:
        output.write_bytes(manifest_to_parquet(found.rows))
    except OSError as error:
        raise UsageError(f"{str(output)!r} cannot be written: {error.strerror}") from None
    values = {"manifest": str(output), "rows": len(found.rows), "duplicates": found.duplicates}
    if as_json:
        print_json(values)
    else:
        click.echo(f"{output}: {len(found.rows)} rows, {found.duplicates} repeated an object")


@manifest.command()
@click.argument("file", type=FILE)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Rows to show.")
@options.as_json
def show(file: Path, limit: int, as_json: bool) -> None:
    """Show the first rows of a manifest, CSV or Parquet."""
    found = read_manifest(file)
    shown = found.rows[:limit]
    if as_json:
        rows = [
            {"bucket": row.bucket, "key": row.key, "action": row.action, "size": row.size} for row in shown
        ]
        print_json({"rows": len(found.rows), "duplicates": found.duplicates, "shown": rows})
        return
    columns = ["bucket", "key", "action", "size", "department", "project"]
    print_table(f"{file}: {len(found.rows)} rows", columns, [_cells(row) for row in shown], numbers=[3])


def _cells(row: ManifestRow) -> list[object]:
    return [row.bucket, row.key, row.action.value, row.size or "", row.department or "", row.project or ""]


@manifest.command()
@click.argument("file", type=FILE)
@options.as_json
def validate(file: Path, as_json: bool) -> None:
    """Check a manifest: its columns, every row, and what it would cost in CPU seconds."""
    found = read_manifest(file)
    values = {
        "rows": len(found.rows),
        "duplicates": found.duplicates,
        "buckets": len({row.bucket for row in found.rows}),
        "estimated_cpu_seconds": round(sum(map(estimated_cost, found.rows))),
    }
    print_result(f"{file} is a valid manifest", values, as_json)
