"""How quickly a run is loaded, beside curl with the same bodies and opensearch-py's parallel_bulk."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from opensearchpy import OpenSearch

from batchjob.adapters.folder import FolderStore
from batchjob.process.parts import MAX_RAW_BYTES
from batchjob.reduce.bulk import raw_size
from batchjob.reduce.mapping import PROPERTIES, first_index, index_body
from tests.bench.context import BATCHJOB, Context
from tests.bench.measure import Variant, commands, in_turn
from tests.bench.page import Section, figure, table, timings
from tests.bench.watch import Usage
from tests.bench.wording import sentences
from tests.support.madeup_runs import Row, make_run
from tests.support.servers import start_opensearch

MB = 1_000_000
ROUNDS = 7
"""So many that the least of the ratios is below their median with a certainty of 99 %."""
SENDERS = 4
THREADS = (1, 2, 4, 8)
ALIAS = "bench"
FINGERPRINT = "bench"
RUNS = {"small": "20260101T000000Z-aaaaaa", "large": "20260101T000000Z-bbbbbb"}
UNINDEXED = {"content": {"type": "text", "index": False}, "title": {"type": "text", "index": False}}


@dataclass(frozen=True, slots=True)
class Bodies:
    """A run that is ready to be loaded, in a work folder; `megabytes` of NDJSON."""

    run: str
    work: Path
    files: Sequence[Path]
    megabytes: int


def load(context: Context) -> Section:
    """Kuromoji is the bottleneck of a real index, so content that is not indexed tells more of the loader."""
    small = _bodies(context.scratch / "small", "small", context.size(60, 10))
    large = _bodies(context.scratch / "large", "large", context.size(600, 30))
    return _section(context, start_opensearch("--heap", "1g"), small, large)


def _section(context: Context, url: str, small: Bodies, large: Bodies) -> Section:
    threads = _best_threads(url, small)
    rounds = 1 if context.quick else ROUNDS
    kuromoji = [_variant(url, large, name, PROPERTIES) for name in ("reducer", "curl")]
    rest = {**PROPERTIES, **UNINDEXED}
    plain = [
        *(_variant(url, large, name, rest) for name in ("reducer", "curl")),
        Variant(f"parallel_bulk, {threads} threads", partial(_bulk, url, large, threads), large.megabytes),
    ]
    sizes = [Variant(name, partial(_reduce, url, bodies, rest), bodies.megabytes) for name, bodies in
             (("small", small), ("large", large))]  # fmt: skip
    return Section(
        "Loading",
        f"Bodies of at most 8 MiB of NDJSON, gzip-compressed, in a folder, with documents of 3.6 kB, into a real node "
        f"on the same CPUs (1 GB heap, 3 shards, no replica, no refresh before the end). `batchjob reduce`: its wall "
        f"time is that of the whole run with reading back, without Python's start; its CPU is with it. curl: {SENDERS} "
        f"senders (xargs). parallel_bulk: opensearch-py's, from JSON lines, with the best of {THREADS} threads. Each "
        "ends with a refresh. The least of seven ratios is a lower bound of their median with a certainty of 99 %.",
        "\n\n".join(
            [
                "Content analysed with Kuromoji:",
                timings("MB", kuromoji, in_turn(kuromoji, rounds), [(1, 0)]),
                "Content not indexed:",
                timings("MB", plain, in_turn(plain, rounds), [(1, 0), (2, 0)]),
                "CPU and memory of `batchjob reduce` at two sizes:",
                _slope(sizes, in_turn(sizes, min(3, rounds))),
            ]
        ),
    )


def _slope(variants: Sequence[Variant], measured: Mapping[str, list[Usage]]) -> str:
    """What a further MB costs: without Python's start."""
    best = {variant.name: min(measured[variant.name], key=lambda usage: usage.cpu) for variant in variants}
    rows = [
        [str(v.units), figure(best[v.name].cpu), f"{max(u.memory for u in measured[v.name]) / MB:,.0f}"]
        for v in variants
    ]
    small, large = variants
    further = (best[large.name].cpu - best[small.name].cpu) / (large.units - small.units)
    return (
        table(("MB of NDJSON", "CPU s", "peak PSS MB"), rows)
        + f"\n\n* A further MB costs **{figure(further * 1000)} ms** of CPU."
    )


def _bodies(folder: Path, name: str, megabytes: int) -> Bodies:
    rng = Random(megabytes)
    paragraphs = [sentences(rng, 4, rng.random() < 0.7) for _ in range(5000)]
    count = megabytes * MB // 3600
    rows = [Row(f"documents/{n}.pdf", text=_text(rng, paragraphs)) for n in range(count)]
    shards = [rows[start : start + 5000] for start in range(0, count, 5000)]
    run = RUNS[name]
    make_run(FolderStore(folder), run, ALIAS, FINGERPRINT, shards, MAX_RAW_BYTES)
    files = sorted(folder.glob(f"runs/{run}/bulk/**/*.gz"))
    return Bodies(run, folder, files, round(sum(raw_size(file.read_bytes()) for file in files) / MB))


def _text(rng: Random, paragraphs: Sequence[str]) -> str:
    """About 3 kB."""
    found = ""
    while len(found.encode()) < 2900:
        found += rng.choice(paragraphs) + "\n"
    return found


def _variant(url: str, bodies: Bodies, name: str, properties: Mapping[str, Any]) -> Variant:
    run: Callable[[str, Bodies, Mapping[str, Any]], Usage] = {"reducer": _reduce, "curl": _curl}[name]
    return Variant(name, partial(run, url, bodies, properties), bodies.megabytes)


def _fresh(url: str, properties: Mapping[str, Any]) -> None:
    body = index_body(ALIAS, FINGERPRINT)
    body["settings"]["index"] |= {"number_of_replicas": 0, "refresh_interval": "-1"}
    body["mappings"]["properties"] = dict(properties)
    with OpenSearch(url, timeout=300) as client:
        client.indices.delete(index=first_index(ALIAS), ignore_unavailable=True)
        client.indices.create(index=first_index(ALIAS), body=body)


def _reduce(url: str, bodies: Bodies, properties: Mapping[str, Any]) -> Usage:
    _fresh(url, properties)
    for left in ("summary.json", "reduce/checkpoint.json"):
        (bodies.work / "runs" / bodies.run / left).unlink(missing_ok=True)
    answer = bodies.work / "answer.json"
    line = [*BATCHJOB, "reduce", bodies.run, "--work", bodies.work, "--opensearch", url, "--json"]
    used = commands(line, output=answer)
    return replace(used, wall=float(json.loads(answer.read_text(encoding="utf-8"))["seconds"]))


def _curl(url: str, bodies: Bodies, properties: Mapping[str, Any]) -> Usage:
    _fresh(url, properties)
    names = bodies.work / "names"
    names.write_text("".join(f"@{file}\n" for file in bodies.files))
    target = f"{url}/{ALIAS}/_bulk?filter_path=errors&require_alias=true"
    headers = ["-H", "Content-Type: application/x-ndjson", "-H", "Content-Encoding: gzip"]
    send = ["xargs", "-a", names, "-P", SENDERS, "-I", "{}"]
    return commands(
        [*send, "curl", "-sf", "-o", "/dev/null", *headers, "--data-binary", "{}", target],
        ["curl", "-sf", "-o", "/dev/null", "-X", "POST", f"{url}/{ALIAS}/_refresh"],
    )


def _bulk(url: str, bodies: Bodies, threads: int) -> Usage:
    _fresh(url, {**PROPERTIES, **UNINDEXED})
    return commands([sys.executable, "-m", "tests.bench.parallel_bulk", url, ALIAS, threads, *bodies.files])


def _best_threads(url: str, bodies: Bodies) -> int:
    return min(THREADS, key=lambda threads: _bulk(url, bodies, threads).wall)
