"""How commands speak: logs, progress, tables, the last JSON line, and errors with their exit codes."""

import logging
import os
import sys
import unicodedata
from collections.abc import Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

import click
import orjson
import structlog
from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from batchjob.errors import BatchjobError, ExitCode

if TYPE_CHECKING:
    from batchjob.records import Outcome

PROBLEMS_SHOWN = 20


def in_batch() -> bool:
    """Whether this process is a job: then even the last words are a JSON line."""
    return "AWS_BATCH_JOB_ID" in os.environ


def configure_logs() -> None:
    """JSON lines on standard error, or plain ones on a terminal; libraries' own warnings become our errors."""
    logging.basicConfig(handlers=[logging.NullHandler()])
    human = sys.stderr.isatty()
    render: list[Any] = [structlog.processors.JSONRenderer(_to_json)]
    if human:
        render = [_printable_values, structlog.dev.ConsoleRenderer()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _printable_values(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: printable(value) if isinstance(value, str) else value for name, value in event.items()}


def _to_json(event: Mapping[str, Any], **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()


def log() -> Any:
    return structlog.get_logger()


UNPRINTABLE = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Unicode categories that steer a terminal or break a line: controls, formats, surrogates, separators."""


def printable(text: str) -> str:
    """Text of unknown origin for a terminal, with what could steer it written as escapes."""
    return "".join(_escaped(c) if unicodedata.category(c) in UNPRINTABLE else c for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def notice(text: str) -> None:
    """A word beside the result: a line on a terminal, an event in the log elsewhere."""
    if sys.stderr.isatty():
        click.echo(printable(text), err=True)
    else:
        log().info("notice", text=text)


def print_json(values: Mapping[str, Any]) -> None:
    """The one JSON object on the last line of standard output."""
    sys.stdout.flush()
    click.echo(orjson.dumps(values).decode())


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], numbers: Sequence[int] = ()
) -> None:
    """A table on standard output; `numbers` are the columns aligned to the right."""
    table = Table(title=title, title_justify="left", show_header=any(columns), box=box.SIMPLE_HEAD)
    for position, name in enumerate(columns):
        table.add_column(name, justify="right" if position in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(printable(str(cell)) for cell in row))
    Console(markup=False).print(table)


def print_result(title: str, values: Mapping[str, Any], as_json: bool) -> None:
    """Named values: the JSON object for machines, or a table of two columns."""
    if as_json:
        print_json(values)
    else:
        print_table(title, ["", ""], [*values.items()], numbers=[1])


def print_problems(problems: Sequence["Outcome"]) -> None:
    """The first rows that failed or were not read wholly, with the reason of each."""
    if problems:
        rows = [[o.key, o.state.value, o.category or "", o.message or ""] for o in problems[:PROBLEMS_SHOWN]]
        print_table("not read, or not wholly", ["document", "state", "why", ""], rows)
    if len(problems) > PROBLEMS_SHOWN:
        click.echo(f"and {len(problems) - PROBLEMS_SHOWN} more; `batchjob status RUN --json` lists all")


def progress_bar() -> Progress:
    """A bar on a terminal's standard error; nothing elsewhere."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )


def report_error(error: BatchjobError) -> None:
    """One or two lines: what happened, to which object, and what to do."""
    if in_batch():
        log().error(
            "stopped", error=str(error), exit_code=int(error.exit_code), cause=getattr(error, "cause", None)
        )
    else:
        click.echo(f"batchjob: {printable(str(error))}", err=True)


def report_usage(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return int(ExitCode.USAGE)
    hint = ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f" (see `{error.ctx.command_path} --help`)"
    click.echo(f"batchjob: {printable(error.format_message())}{hint}", err=True)
    return int(ExitCode.USAGE)
