"""How equal the work of shards is that were cut by costs which an earlier run taught."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from random import Random

import numpy as np

from batchjob import layout
from batchjob.adapters.folder import FolderStore
from batchjob.drain.cost import estimated_costs, learn_costs
from batchjob.drain.cut import cut
from batchjob.records import (
    ManifestRow,
    Outcome,
    manifest_batches,
    manifest_from_parquet,
    outcomes_from_parquet,
)
from batchjob.runs import read_receipt, read_run
from manifests.sampledocs import camera, paper
from tests.bench import material, papers, scanner
from tests.bench.context import Context, frozen_run, process
from tests.bench.measure import commands
from tests.bench.page import Section, figure, table

_PAGES = (1, 1, 1, 1, 1, 1, 2, 2, 3, 4, 6, 10, 20)
"""Of documents with a text layer: most have one page, a few have many."""
_DIGITAL, _SCANNED, _PHOTOGRAPHED, _FAXED = 0.72, 0.86, 0.93, 0.97
"""Up to which of 1 a document is of a kind; the rest are pictures of a page."""


def balance(context: Context) -> Section:
    """The limit: the heaviest shard's CPU is at most 1.5 of the mean."""
    work, shards = context.scratch / "work", context.size(8, 3)
    store = FolderStore(work)
    count, taught = context.size(540, 30), context.size(300, 12)
    _corpus(context.scratch / "earlier", taught, seed=1)
    earlier = frozen_run(context.scratch / "earlier", work)
    commands(process(earlier, work))
    learn_costs(store, read_run(store, earlier))
    _corpus(context.scratch / "documents", count, seed=2)
    shutil.copytree(material.MANIFEST.parent / "sample", context.scratch / "documents" / "sample")
    run = frozen_run(context.scratch / "documents", work, shards)
    used = [commands(process(run, work, shard)).cpu for shard in range(shards)]
    manifests = [_rows(store, run, shard) for shard in range(shards)]
    loads = [sum(row.cost for row in rows) for rows in manifests]
    outcomes = [_outcomes(store, run, shard) for shard in range(shards)]
    lines = [
        [
            shard,
            len(manifests[shard]),
            figure(loads[shard]),
            figure(used[shard]),
            f"{used[shard] / np.mean(used):.2f}",
        ]
        for shard in range(shards)
    ]
    documents = sum(map(len, manifests))
    untaught = _without_lessons(manifests, outcomes, shards)
    return Section(
        "Equal shards",
        f"{documents} documents, the sample's {documents - count} among them: PDFs of 1 to 20 printed pages, scanned "
        "PDFs, photographs, faxes, pictures. Costs were learned from a run of "
        f"{taught} others of the same kinds. Each shard is a process of its own, one after the other.",
        table(("shard", "documents", "estimated CPU s", "CPU s", "of the mean"), lines)
        + f"\n\nHeaviest shard / mean: estimated {_imbalance(loads):.2f}, **CPU {_imbalance(used):.2f}** (limit 1.5). "
        f"By what the documents took to read: {_imbalance([sum(_seconds(o)) for o in outcomes]):.2f}; cut by the "
        f"built-in costs it would be {untaught:.2f}.",
    )


def _imbalance(loads: Sequence[float]) -> float:
    return float(max(loads) / np.mean(loads))


def _seconds(outcomes: Sequence[Outcome]) -> list[float]:
    return [outcome.reading_seconds for outcome in outcomes]


def _without_lessons(
    manifests: Sequence[Sequence[ManifestRow]], outcomes: Sequence[Sequence[Outcome]], shards: int
) -> float:
    """The heaviest shard's reading time over the mean, had the same documents been cut by the built-in costs."""
    took = {outcome.key: outcome.reading_seconds for shard in outcomes for outcome in shard}
    rows = [replace(row, cost=0.0) for shard in manifests for row in shard]
    costs = np.concatenate([estimated_costs(batch) for batch in manifest_batches(rows)])
    pieces = cut(costs, shards)
    return _imbalance(np.bincount(pieces.shard_of, [took[row.key] for row in rows]).tolist())


def _rows(store: FolderStore, run_id: str, shard: int) -> list[ManifestRow]:
    with store.open(layout.manifest(run_id, shard)) as opened:
        return manifest_from_parquet(opened.body.read())


def _outcomes(store: FolderStore, run_id: str, shard: int) -> list[Outcome]:
    receipt = read_receipt(store, run_id, shard)
    if receipt is None:
        raise RuntimeError(f"shard {shard} has no receipt")
    with store.open(receipt.outcomes.key) as opened:
        return outcomes_from_parquet(opened.body.read())


def _corpus(folder: Path, count: int, seed: int) -> None:
    """Documents as a company has them: mostly printed ones, some scans, a few of everything else."""
    paper.register_fonts()
    folder.mkdir()
    random = Random(seed)
    for number in range(count):
        kind, pages = random.random(), random.choice(_PAGES)
        name, one = folder / f"{number:04d}", seed * 10_000 + number
        if kind < _DIGITAL:
            printed = papers.print_papers(random.choices(papers.OFFICE, k=pages), seed=one)
            name.with_suffix(".pdf").write_bytes(printed.pdf)
        elif kind < _SCANNED:
            material.scanned_pdf(
                name.with_suffix(".pdf"), min(pages, 3), random.choice([*scanner.LEVELS.values()][:2]), one
            )
        else:
            suffix, image = _picture(kind, one)
            name.with_suffix(suffix).write_bytes(image)


def _picture(kind: float, seed: int) -> tuple[str, bytes]:
    page = scanner.render(papers.print_papers([papers.INVOICE], seed=seed).pdf, 0, material.READY_DPI)
    if kind < _PHOTOGRAPHED:
        return ".jpg", camera.jpeg(camera.photograph(page, seed=seed))
    if kind < _FAXED:
        return ".tif", scanner.scan(page, scanner.FAX, seed=seed)
    out = BytesIO()
    page.save(out, "PNG")
    return ".png", out.getvalue()
