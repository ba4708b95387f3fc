"""Reads a made-up inventory of ROWS in FORM (CSV, Parquet) in FOLDER, and prints what came out."""

import hashlib
import json
import resource
import shutil
import sys
import time
from pathlib import Path

from batchjob.adapters.source_folder import SourceFolder
from batchjob.manifest.inventory import inventory_batches, read_inventory
from batchjob.manifest.select import Selection, Tally, select
from batchjob.settings import SUFFIXES
from tests.support.inventories import FOLDER, MANIFEST, Version, csv_file, parquet_file

FILE_ROWS = 250_000
FORMS = {"CSV": csv_file, "Parquet": parquet_file}


def publish(root: Path, form: str, rows: int) -> None:
    """One file of rows under as many names as there must be; in a process of its own, for its memory."""
    count = min(rows, FILE_ROWS)
    versions = [
        Version(f"files/部{n % 37}/project-{n % 991}/報告書 {n:08d}.pdf", n * 13, etag=f"{n:032x}")
        for n in range(count)
    ]
    body = FORMS[form](versions)
    keys = [f"{FOLDER}/data/{number}" for number in range(rows // count)]
    (root / keys[0]).parent.mkdir(parents=True)
    for key in keys:
        (root / key).write_bytes(body)
    (root / MANIFEST).parent.mkdir(parents=True)
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
    told = {
        "sourceBucket": "example-bucket",
        "destinationBucket": "arn:aws:s3:::inventories",
        "fileFormat": form,
        "fileSchema": "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag",
        "files": [{"key": key, "size": len(body), "MD5checksum": digest} for key in keys],
    }
    (root / MANIFEST).write_text(json.dumps(told), encoding="utf-8")


def read(root: Path) -> None:
    started, tally, source = time.monotonic(), Tally(), SourceFolder(root)
    batches = inventory_batches(read_inventory(source, MANIFEST), source, root, tally)
    rows = sum(len(batch) for batch in select(batches, Selection(suffixes=SUFFIXES), tally))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "rows": rows,
        "wall": time.monotonic() - started,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss * 1024,
    }
    print(json.dumps(told))


def main() -> None:
    task, form, rows, root = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    if task == "publish":
        shutil.rmtree(root, ignore_errors=True)
        publish(root, form, rows)
    else:
        read(root)


if __name__ == "__main__":
    main()
