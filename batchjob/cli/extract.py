"""`extract`: what would be indexed for a file."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from batchjob.cli import options
from batchjob.cli.output import print_json
from batchjob.errors import ExitCode, UsageError
from batchjob.ocr.installed import check as check_ocr
from batchjob.process.capacity import capacity
from batchjob.process.conversion import extract_document
from batchjob.process.doctypes import type_of
from batchjob.process.groups import NoCache
from batchjob.process.readers import Readers
from batchjob.records import Extraction, PageText
from batchjob.scratch import scratch_folder
from batchjob.settings import load_settings


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--doc-type", help="Type of the documents; without it BATCHJOB_DOC_TYPES tells by the path.")
@options.as_json
@click.pass_context
def extract(ctx: click.Context, files: tuple[Path, ...], doc_type: str | None, as_json: bool) -> None:
    """Show the text that would be indexed for FILES, and how each page was read; with --json one object a file.

    docs/extraction.md explains the decisions.

    Exits with 65 when a file could not be read.
    """
    settings = load_settings()
    check_ocr(settings)
    for path in files:
        if not path.is_file():
            raise UsageError(
                f"no file {str(path)!r}: `batchjob extract` takes files; `batchjob local` takes folders"
            )
    failed = 0
    workers = capacity(settings.workers).workers
    with (
        scratch_folder(settings.scratch) as scratch,
        Readers(settings, workers, scratch, thumbnails=False) as readers,
    ):
        for path in files:
            kind = doc_type or type_of(path.as_posix(), settings)
            found = extract_document(path, settings, scratch, NoCache(), readers, kind)
            failed += found.status == "failed"
            _show(path, found, as_json)
    if failed:
        ctx.exit(int(ExitCode.TOO_MANY_FAILED))


def _show(path: Path, found: Extraction, as_json: bool) -> None:
    if as_json:
        print_json(_values(path, found))
        return
    click.echo(
        click.style(f"{path}: {found.mime_type}, {found.page_count} pages, {found.status}", bold=True),
        err=True,
    )
    if found.failure:
        click.echo(f"{path}: {found.failure.category}: {found.failure.message}", err=True)
    for page in found.pages:
        click.echo(click.style(f"— page {page.page}: {_how(page)}", dim=True), err=True)
        click.echo(page.text)


def _how(page: PageText) -> str:
    """How a page was read, in words."""
    words = [page.method.value, page.engine, page.note]
    if page.confidence is not None:
        words.append(f"confidence {page.confidence:.0f}")
    words.append(f"{page.seconds:.2f} s")
    if page.error:
        words.append(f"{page.error.category}: {page.error.message}")
    return ", ".join(filter(None, words))


def _values(path: Path, found: Extraction) -> dict[str, Any]:
    return {
        "path": str(path),
        "mime_type": found.mime_type,
        "status": found.status,
        "page_count": found.page_count,
        "text": found.text,
        "pages": [_page(page) for page in found.pages],
        "error": asdict(found.failure) if found.failure else None,
    }


def _page(page: PageText) -> dict[str, Any]:
    values = {
        "page": page.page,
        "method": page.method,
        "engine": page.engine,
        "confidence": page.confidence,
        "seconds": page.seconds,
        "note": page.note,
        "text": page.text,
    }
    return values | ({"error": asdict(page.error)} if page.error else {})
