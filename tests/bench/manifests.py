"""How quickly manifests are made of an inventory and of a bucket's listing."""

import json
import os
import shutil
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.s3 import S3Store, s3_client
from batchjob.manifest.listing import forget_listing, list_bucket
from batchjob.manifest.select import Selection, Tally
from batchjob.manifest.units import Listing
from tests.bench.context import Context
from tests.bench.measure import Variant, calls, commands, in_turn
from tests.bench.page import Section, figure, table, timings
from tests.support.servers import S3Server, start_seaweedfs

_ROWS = 10_000_000
_KEYS = 30_000
_FOLDERS = 50


def inventory(context: Context) -> Section:
    """From the files of an inventory to batches of rows; the limit of all planning is 1 GB."""
    return Section(
        "Reading an inventory",
        "Keys with Japanese folders and names, form-encoded in CSV. Files of 250,000 rows are copied to the scratch "
        "disk, their MD5 is compared, and the rows are selected by suffix. One round.",
        table(
            ("files", "rows", "wall s", "CPU s", "peak RSS MB"),
            [_line(context, form) for form in ("Parquet", "CSV")],
        ),
    )


def _line(context: Context, form: str) -> list[str]:
    root, answer = context.scratch / "inventory", context.scratch / "inventory.json"
    rows = context.size(_ROWS, 1000)
    program = (sys.executable, "-m", "tests.bench.inventory")
    commands([*program, "publish", form, rows, root])
    usage = commands([*program, "read", form, rows, root], output=answer)
    told = json.loads(answer.read_text(encoding="utf-8"))
    shutil.rmtree(root)
    if told["rows"] != rows:
        raise RuntimeError(f"{told['rows']} rows of {rows} were read")
    return [form, f"{rows:,}", figure(usage.wall), figure(usage.cpu), f"{told['peak'] / 1e6:,.0f}"]


def listing(context: Context) -> Section:
    """What keeping the listing, so that a kill loses little of it, costs beyond listing."""
    server = S3Server(start_seaweedfs())
    os.environ |= server.environment()
    keys = [f"部{n % _FOLDERS}/報告書 {n:08d}.pdf" for n in range(context.size(_KEYS, 200))]
    server.client().create_bucket(Bucket=server.bucket)
    source, store = S3Store(s3_client(server.endpoint), server.bucket), FolderStore(context.scratch / "work")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: source.put(key, b"x"), keys))

    def kept() -> None:
        wanted = Listing(server.bucket, Selection())
        batches = list_bucket(wanted, source, store, SystemClock(), uuid.uuid4().hex[:8], Tally())
        _check(sum(map(len, batches)), len(keys))
        forget_listing(wanted, store)

    def plain() -> None:
        pages = server.client().get_paginator("list_objects_v2").paginate(Bucket=server.bucket)
        _check(sum(len(page["Contents"]) for page in pages), len(keys))

    works = {"from-s3": kept, "boto3's pages, one after the other": plain}
    variants = [Variant(name, partial(calls, work), len(keys)) for name, work in works.items()]
    return Section(
        "Listing a bucket",
        f"{len(keys):,} objects in {_FOLDERS} folders of a SeaweedFS server on the same CPUs. CPU is that of the "
        "client.",
        timings("object", variants, in_turn(variants, context.rounds), [(1, 0)]),
    )


def _check(found: int, expected: int) -> None:
    if found != expected:
        raise RuntimeError(f"{found} objects of {expected} were listed")
