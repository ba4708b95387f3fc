"""The `batchjob` command: its groups, signals, and what every kind of error exits with."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

import click

from batchjob.cli.output import configure_logs, log, report_error, report_usage
from batchjob.errors import BatchjobError, ExitCode, TransientError
from batchjob.local.jobs import SUPERVISOR
from batchjob.sandbox import end_with_parent

COMMANDS = {
    "drain": "batchjob.cli.drain:drain",
    "submit": "batchjob.cli.submit:submit",
    "sweep": "batchjob.cli.submit:sweep",
    "local": "batchjob.cli.local:local",
    "process": "batchjob.cli.stations:process",
    "reduce": "batchjob.cli.stations:reduce",
    "reindex": "batchjob.cli.reindex:reindex",
    "rollback": "batchjob.cli.reindex:rollback",
    "manifest": "batchjob.cli.manifest:manifest",
    "plan": "batchjob.cli.plan:plan_command",
    "extract": "batchjob.cli.extract:extract",
    "search": "batchjob.cli.operate:search",
    "status": "batchjob.cli.operate:status",
    "explain": "batchjob.cli.explain:explain_command",
    "runs": "batchjob.cli.runs:runs",
    "reconcile": "batchjob.cli.reconcile:reconcile_command",
    "gc": "batchjob.cli.housekeeping:gc",
    "purge": "batchjob.cli.housekeeping:purge_command",
    "quarantine": "batchjob.cli.quarantine:quarantine",
    "dlq": "batchjob.cli.dlq:dlq",
}


class LazyGroup(click.Group):
    """Imports a command's module only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        imported = __import__(module, fromlist=[name])
        command: click.Command = getattr(imported, name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="batchjob")
def cli() -> None:
    """Keeps an OpenSearch index in step with documents in S3 or in a folder.

    Try `batchjob local FOLDER --keep`, then `batchjob search WORDS`. Settings are environment variables
    BATCHJOB_*; exit codes: 0 done, 64 wrong use or configuration, 65 too many documents failed, 66 index and
    source differ, 75 try again.
    """


class Terminated(BaseException):
    """SIGTERM came."""


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """Batch sends SIGTERM 30 s before SIGKILL: leave what is not receipted to the next attempt."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


def main() -> NoReturn:
    """The entry point. Exits with the code of the error's class; tracebacks are for bugs alone."""
    signal.signal(signal.SIGTERM, _stop)
    supervisor = os.environ.get(SUPERVISOR)
    if supervisor:
        end_with_parent(int(supervisor))
    configure_logs()
    try:
        code = cli.main(prog_name="batchjob", standalone_mode=False)
        sys.stdout.flush()
    except BatchjobError as error:
        report_error(error)
        code = error.exit_code
    except click.ClickException as error:
        code = report_usage(error)
    except (click.Abort, KeyboardInterrupt):
        click.echo("batchjob: interrupted; the same command goes on from what is done", err=True)
        code = 128 + signal.SIGINT
    except Terminated:
        report_error(TransientError("stopped by SIGTERM; the same command goes on from what is done"))
        code = ExitCode.TRY_AGAIN
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = ExitCode.DONE
    except Exception:  # noqa: BLE001 - the last resort: a bug is logged, and has its own exit code
        log().exception("bug", hint="please report this with the lines above")
        code = ExitCode.INTERNAL
    _leave(int(code or 0))


def _leave(code: int) -> NoReturn:
    """Ends the process without waiting for rows still in work: their child processes end with it."""
    if threading.active_count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
