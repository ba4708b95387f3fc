"""What documents with a text layer cost: long ones, and many of one page."""

import gzip
import json
import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from batchjob.adapters.folder import FolderStore
from batchjob.runs import read_receipt
from tests.bench import material
from tests.bench.context import (
    BATCHJOB,
    Context,
    baseline,
    extract,
    frozen_run,
    left_out,
    objects,
    process,
    tikas,
)
from tests.bench.measure import Variant, commands, in_turn
from tests.bench.page import Section, timings
from tests.bench.scores import Score, score
from tests.bench.watch import Usage

_PAGES = 20


def long_documents(context: Context) -> Section:
    """What is left of PDFium's speed when a file is parsed in a child and every page is judged."""
    documents = context.size(20, 2)
    texts = material.born_digital(context.scratch / "documents", documents, _PAGES)
    files = [*texts]
    lines = {
        "`batchjob extract`": extract(files),
        "pypdfium2 alone": baseline("pdfium", *files),
        **tikas(files),
    }
    outputs = {name: context.scratch / f"{number}.json" for number, name in enumerate(lines)}
    variants = [
        Variant(name, partial(commands, line, output=outputs[name]), documents * _PAGES)
        for name, line in lines.items()
    ]
    measured = in_turn(variants, context.rounds)
    errors = {
        name: _errors(texts, _printed(output)) for name, output in outputs.items() if name != "Apache Tika"
    }
    return Section(
        "Text layers of long documents",
        f"{documents} born-digital PDFs of {_PAGES} Japanese and English pages, in one call. {_BASELINES}",
        timings("page", variants, measured, [(other, 0) for other in range(1, len(variants))])
        + _told(errors),
    )


_BASELINES = (
    "Baselines, each in one process: pypdfium2's text of every page, nothing judged, no protection; Apache Tika, text "
    "only, on Java (tika-app) and as the native program of the `extractous` wheel." + left_out("extractous")
)


def one_page_documents(context: Context) -> Section:
    """What a document costs when there is next to nothing to read: process starts, cache, thumbnail, records."""
    count = context.size(200, 10)
    folder, work = context.scratch / "documents", context.scratch / "work"
    texts = material.born_digital(folder, count, 1)
    lines = {"pypdfium2 alone": baseline("pdfium", *texts), **tikas([*texts])}
    ours: dict[str, Callable[[], Usage]] = {
        "`batchjob process`": partial(_process, folder, work),
        "`batchjob local`": partial(_local, folder, context.scratch / "local"),
    }
    others = {name: partial(commands, line) for name, line in lines.items()}
    variants = [Variant(name, run, count) for name, run in (ours | others).items()]
    measured = in_turn(variants, context.rounds)
    errors = {"`batchjob process`": _errors(texts, _indexed(work, folder))}
    return Section(
        "One-page documents",
        f"{count} born-digital PDFs of one page. `process`: a shard all in, from the manifest to thumbnails, cache, "
        "bulk bodies and receipt, with a cold cache, without vectors. `local`: the same, planning, the embedded search "
        f"server (whose start and CPU count as well) and loading into it. {_BASELINES}",
        timings("document", variants, measured, [(other, 0) for other in range(2, len(variants))])
        + _told(errors),
    )


_NO_VECTORS = {**os.environ, "BATCHJOB_EMBEDDER": "none"}
"""None of the baselines makes any."""


def _process(folder: Path, work: Path) -> Usage:
    shutil.rmtree(work, ignore_errors=True)
    return commands(process(frozen_run(folder, work, embedder="none"), work), env=_NO_VECTORS)


def _local(folder: Path, work: Path) -> Usage:
    shutil.rmtree(work, ignore_errors=True)
    return commands([*BATCHJOB, "local", folder, "--work", work, "--json"], env=_NO_VECTORS)


def _printed(output: Path) -> dict[Path, str]:
    return {Path(found["path"]): found["text"] for found in objects(output)}


def _indexed(work: Path, folder: Path) -> dict[Path, str]:
    """What the bulk bodies of the only run say."""
    store = FolderStore(work)
    (run,) = (work / "runs").iterdir()
    receipt = read_receipt(store, run.name, 0)
    assert receipt is not None
    texts = {}
    for part in receipt.parts:
        with store.open(part.key) as opened:
            lines = gzip.decompress(opened.body.read()).decode().splitlines()
        for document in map(json.loads, lines[1::2]):
            texts[folder / document["file_name"]] = document["content"]
    return texts


def _errors(true: Mapping[Path, str], read: Mapping[Path, str]) -> Score:
    return sum((score(text, read.get(path, "")) for path, text in true.items()), Score())


def _told(errors: Mapping[str, Score]) -> str:
    told = [f"{name} {found.error_rate:.4f} %" for name, found in errors.items()]
    return f"\n* Character errors against the known text: {', '.join(told)}"
