"""From what a user names to rows: a manifest, an inventory or a folder, on this machine or in S3."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from batchjob.adapters.source_folder import SourceFolder
from batchjob.cli import services
from batchjob.cli.output import notice
from batchjob.errors import ObjectMissingError, UsageError
from batchjob.manifest.folder import read_listing
from batchjob.manifest.inventory import MANIFEST, inventory_batches, read_inventory
from batchjob.manifest.read import Manifest, one_row_an_object, read_batches
from batchjob.manifest.select import Tally
from batchjob.ports import Get
from batchjob.records import manifest_batches
from batchjob.scratch import scratch_folder
from batchjob.settings import Settings


@contextmanager
def open_manifest(
    place: str, settings: Settings, tally: Tally | None = None
) -> Iterator[Iterator[pa.RecordBatch]]:
    """Rows in MANIFEST_SCHEMA of a CSV or Parquet file, an inventory's manifest.json, or a folder.

    Raises UsageError, TransientError, also while they are read.
    """
    with scratch_folder(settings.scratch) as scratch:
        yield _batches(place, settings, scratch, tally or Tally())


def _batches(place: str, settings: Settings, scratch: Path, tally: Tally) -> Iterator[pa.RecordBatch]:
    if place.rpartition("/")[2] == MANIFEST:
        return _inventory(place, settings, scratch, tally)
    if place.startswith("s3:"):
        return read_batches(_fetched(place, settings, scratch), place)
    if Path(place).is_dir():
        return manifest_batches(read_folder(Path(place), settings).rows)
    return read_batches(Path(place))


def _inventory(place: str, settings: Settings, scratch: Path, tally: Tally) -> Iterator[pa.RecordBatch]:
    """On this machine, its files are where they were in their bucket, seen from a folder above the manifest."""
    if place.startswith("s3:"):
        bucket, key = split_place(place)
        found = read_inventory(services.source(settings, bucket), key)
        files: Get = services.source(settings, found.bucket)
    else:
        path = Path(place).absolute()
        found = read_inventory(SourceFolder(path.parent), path.name)
        roots = [folder for folder in path.parents if (folder / found.files[0].key).is_file()]
        if not roots:
            raise UsageError(
                f"{place}: no folder above it has the file {found.files[0].key!r}; copy the inventory with its folders"
            )
        files = SourceFolder(roots[0])
    return inventory_batches(found, files, scratch, tally)


def split_place(uri: str) -> tuple[str, str]:
    """`s3://bucket/key` to (bucket, key), which may be empty. Raises UsageError."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise UsageError(f"{uri!r} names no bucket; write s3://bucket/prefix")
    return bucket, key


def _fetched(uri: str, settings: Settings, scratch: Path) -> Path:
    bucket, key = split_place(uri)
    suffix = Path(key).suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise UsageError(f"{uri!r} is no manifest: .csv, .parquet, or the {MANIFEST} of an inventory")
    path = scratch / f"manifest{suffix}"
    try:
        with services.source(settings, bucket).open(key) as opened, path.open("wb") as copy:
            shutil.copyfileobj(opened.body, copy)
    except ObjectMissingError:
        raise UsageError(f"no object {uri!r}") from None
    return path


def read_folder(folder: Path, settings: Settings) -> Manifest:
    """A row for each document below a folder, save in its work folder. Raises UsageError where there is none."""
    root = folder.resolve()
    source = SourceFolder(root)
    found = read_listing(
        root.as_uri(), source, own_folders(root, settings), tuple(settings.suffixes.lower().split())
    )
    if found.passed_over or source.left_out:
        notice(
            f"{found.passed_over} other files passed over, {source.left_out} left out with a warning; documents are "
            f"{settings.suffixes}"
        )
    if not found.rows:
        raise UsageError(
            f"no documents below {str(folder)!r}: files named {settings.suffixes} are looked for"
        )
    return one_row_an_object(found.rows)


def own_folders(root: Path, settings: Settings) -> list[str]:
    """The folders below a resolved root in which batchjob itself writes, as prefixes of keys."""
    own = [Path(place).resolve() for place in services.folders_written(settings)]
    return [
        f"{path.relative_to(root).as_posix()}/" for path in own if path != root and path.is_relative_to(root)
    ]
