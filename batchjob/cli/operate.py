"""`search` and `status`: what people ask."""

import sys
from dataclasses import asdict, replace

import click

from batchjob.cli import options, services
from batchjob.cli.embedders import open_embedder
from batchjob.cli.output import print_json, print_problems, print_table, printable
from batchjob.errors import UsageError
from batchjob.operate.search import HIT_END, HIT_START, Answer, Filters, Hit, find, plain
from batchjob.operate.status import RunStatus, read_status
from batchjob.operate.vector import find_both, find_near, query_vector
from batchjob.records import Outcome
from batchjob.settings import Settings, load_settings


@click.command()
@click.argument("query", nargs=-1, required=True)
@click.option(
    "-n", "--size", type=click.IntRange(1, 1000), default=10, show_default=True, help="Hits to show."
)
@click.option(
    "--mode",
    type=click.Choice(["text", "vector", "hybrid"]),
    default="text",
    show_default=True,
    help="By words, by meaning, or both fused by rank.",
)
@click.option("--department", metavar="NAME", help="Only documents of this department.")
@click.option("--ext", metavar=".EXT", help="Only files of this ending.")
@click.option(
    "--since", type=options.Moment(), metavar="TIME", help="Only objects changed then or later (ISO 8601)."
)
@options.work
@options.index
@options.opensearch
@options.as_json
def search(
    query: tuple[str, ...],
    size: int,
    mode: str,
    department: str | None,
    ext: str | None,
    since: int | None,
    work: str | None,
    index: str | None,
    opensearch_url: str | None,
    as_json: bool,
) -> None:
    """Search the index: file, page and snippet of each hit."""
    settings = load_settings(work=work, index=index, opensearch_url=opensearch_url)
    if not " ".join(query).strip():
        raise UsageError("say what to search for")
    filters = Filters(department, f".{ext.lstrip('.').lower()}" if ext else None, since)
    answer = _answer(settings, mode, " ".join(query), size, filters)
    if as_json:
        hits = [asdict(replace(hit, snippet=plain(hit.snippet))) for hit in answer.hits]
        print_json({"total": answer.total, "hits": hits})
        return
    click.echo(f"{answer.total} document{'s' if answer.total != 1 else ''} for {' '.join(query)!r}")
    for hit in answer.hits:
        _show(hit)


def _answer(settings: Settings, mode: str, query: str, size: int, filters: Filters) -> Answer:
    index = services.open_index(settings)
    if mode == "text":
        return find(index, settings.index, query, size, filters)
    vector = query_vector(index, settings.index, query, open_embedder(settings))
    if mode == "vector":
        return find_near(index, settings.index, vector, size, filters)
    return find_both(index, settings.index, query, vector, size, filters)


def mark(snippet: str, start: str, end: str) -> str:
    """A snippet for people; whatever the document says, it cannot steer the terminal."""
    pieces = (printable(piece) for piece in snippet.replace(HIT_END, HIT_START).split(HIT_START))
    return "".join(piece + (start, end)[number % 2] for number, piece in enumerate(pieces)).removesuffix(
        start
    )


def _show(hit: Hit) -> None:
    page = f", page {hit.page}" if hit.page else ""
    click.echo(f"\n  {click.style(printable(hit.s3_key), bold=True)}{page}  (score {hit.score:.3g})")
    bold = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("«", "»")
    if hit.snippet:
        click.echo(f"    {mark(hit.snippet, *bold)}")


@click.command()
@click.argument("run", required=False)
@options.work
@options.as_json
def status(run: str | None, work: str | None, as_json: bool) -> None:
    """Show how far RUN is, or the newest run: shards, states, failures."""
    found = read_status(services.work_store(load_settings(work=work)), run)
    values = _status_values(found)
    if as_json:
        print_json(values | {"problems": [_problem(outcome) for outcome in found.problems]})
        return
    rows = [(name, value) for name, value in values.items() if not isinstance(value, dict)]
    states = values.get("states")
    rows += (
        [(f"  {name}", count) for name, count in states.items() if count] if isinstance(states, dict) else []
    )
    print_table(f"run {found.run.run_id}", ["", ""], rows, numbers=[1])
    print_problems(found.problems)


def _problem(outcome: Outcome) -> dict[str, object]:
    return {
        "document": outcome.key,
        "state": outcome.state,
        "why": outcome.category,
        "message": outcome.message,
    }


def _status_values(found: RunStatus) -> dict[str, object]:
    counts = [receipt.counts for receipt in found.receipts]
    values: dict[str, object] = {
        "run_id": found.run.run_id,
        "phase": found.phase,
        "index": found.run.index,
        "rows": found.run.rows,
        "rows_done": sum(count.rows for count in counts),
        "shards": found.run.shards,
        "shards_done": len(found.receipts),
        "shards_abandoned": sum(receipt.abandoned is not None for receipt in found.receipts),
        "pages": sum(count.pages for count in counts),
        "ocr_pages": sum(count.ocr_pages for count in counts),
    }
    if found.summary is not None:
        values["states"] = {str(state): count for state, count in found.summary.states.items()}
        values["failures"] = found.summary.failures
    return values
