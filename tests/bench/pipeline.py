"""The whole pipeline on the sample, and the folder store beneath it."""

import os
import secrets
import shutil
from functools import partial
from pathlib import Path

from batchjob.adapters.folder import FolderStore
from tests.bench import material
from tests.bench.context import BATCHJOB, Context
from tests.bench.measure import Variant, calls, commands, in_turn
from tests.bench.page import Section, timings
from tests.bench.watch import Usage

_OBJECT_BYTES = 2048


def sample(context: Context) -> Section:
    """What the extraction cache saves. The cold run fills the cache that the warm one finds."""
    work = context.scratch / "work"

    def cold() -> Usage:
        shutil.rmtree(work, ignore_errors=True)
        return warm()

    def warm() -> Usage:
        return commands([*BATCHJOB, "local", material.MANIFEST, "--work", work, "--json"])

    variants = [
        Variant("`batchjob local`, cold cache", cold, 27),
        Variant("the same, warm cache", warm, 27),
    ]
    return Section(
        "The sample",
        "`batchjob local manifests/sample.csv`: 27 documents, 28 pages, 12 of them read by OCR; embedded search "
        "server, two jobs at once where there are two CPUs.",
        timings("document", variants, in_turn(variants, context.rounds)),
    )


def store(context: Context) -> Section:
    """What the folder store's promises cost beyond writing durably."""
    count = context.size(1000, 50)
    data = [secrets.token_bytes(_OBJECT_BYTES) for _ in range(count)]
    keys = [f"cache/extract/{number % 16:x}/{number:06d}" for number in range(count)]
    kept, plain = FolderStore(context.scratch / "store"), context.scratch / "plain"

    def put() -> None:
        for key, value in zip(keys, data, strict=True):
            kept.put(key, value)

    def get() -> None:
        for key in keys:
            with kept.open(key) as opened:
                opened.body.read()

    def write() -> None:
        for key, value in zip(keys, data, strict=True):
            _write_durably(plain / key, value)

    def read() -> None:
        for key in keys:
            (plain / key).read_bytes()

    works = {
        "folder store, PUT": put,
        "plain write, fsync, rename": write,
        "folder store, GET": get,
        "plain read": read,
    }
    variants = [Variant(name, partial(calls, work), count) for name, work in works.items()]
    return Section(
        "The folder store",
        f"{count:,} objects of {_OBJECT_BYTES:,} bytes, one after the other, in one process. The store also flushes "
        "the folder, takes a lock, and never lets an ETag recur. The first round makes the objects, the others replace "
        "them.",
        timings("object", variants, in_turn(variants, context.rounds), [(0, 1), (2, 3)]),
    )


def _write_durably(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(path.name + ".part")
    with staged.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)
