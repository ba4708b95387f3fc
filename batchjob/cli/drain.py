"""`drain`: from the queue to committed runs."""

from contextlib import nullcontext

import click
import structlog

from batchjob.cli import options, services
from batchjob.cli.output import log, print_result
from batchjob.cli.submit import open_submitting
from batchjob.drain.commit import Committed, Intake, commit_inbox
from batchjob.drain.filters import key_filter
from batchjob.drain.freeze import Target
from batchjob.drain.receive import ReceiveReport, limits_of, receive_all
from batchjob.drain.submit import Submitting, submit_runs
from batchjob.drain.sweep import Swept, sweep
from batchjob.errors import TransientError
from batchjob.process.fingerprint import extraction_fingerprint
from batchjob.settings import Settings, load_settings


@click.command()
@click.option("--queue", "queue_url", metavar="URL", help="The queue of events (BATCHJOB_QUEUE_URL).")
@click.option("--submit", is_flag=True, help="Sweep first, and submit the runs at the end.")
@options.work
@options.index
@options.job_queue
@options.as_json
def drain(
    queue_url: str | None,
    submit: bool,
    work: str | None,
    index: str | None,
    job_queue: str | None,
    as_json: bool,
) -> None:
    """Take all events from the queue, and make runs of them and of what is left in the inbox.

    Nothing is lost wherever it ends, and any number may work at once. Without rows there is no run.
    """
    settings = load_settings(queue_url=queue_url, work=work, index=index, job_queue=job_queue)
    structlog.contextvars.bind_contextvars(phase="drain")
    with open_submitting(settings, services.new_writer()) if submit else nullcontext() as by:
        swept = _sweep(by) if by is not None else Swept()
        committed = _drain(settings, by.writer if by else services.new_writer(), as_json)
        if by is not None:
            submit_runs(by, [run.run_id for run in committed.runs])
    swept.check()


def _sweep(by: Submitting) -> Swept:
    """What cannot be healed now keeps no event from becoming durable; the next sweep tries it again."""
    try:
        swept = sweep(by)
    except TransientError as error:
        log().warning("sweep", error=str(error))
        return Swept()
    for run_id, why in swept.stuck.items():
        log().error("a run is stuck", run_id=run_id, why=why)
    return swept


def _drain(settings: Settings, writer: str, as_json: bool) -> Committed:
    store = services.work_store(settings)
    received = receive_all(
        services.queue(settings), store, services.CLOCK, limits_of(settings), key_filter(settings), writer
    )
    target = Target("incremental", settings.index, extraction_fingerprint(settings))
    intake = Intake(target, writer, settings.shard_cost, scratch=settings.scratch)
    committed = commit_inbox(intake, store, services.CLOCK)
    _show(received, committed, as_json)
    return committed


def _show(received: ReceiveReport, committed: Committed, as_json: bool) -> None:
    if received.passed_over and not received.events:
        log().warning(
            "every event was passed over: look at BATCHJOB_PREFIX and BATCHJOB_SUFFIXES",
            events=received.passed_over,
        )
    for place in committed.damaged:
        log().error("a segment could not be read and was set aside", place=place)
    for run in committed.runs:
        log().info("run", run_id=run.run_id, rows=run.rows, shards=run.shards)
    values: dict[str, object] = {
        "messages": received.messages,
        "redelivered": received.redelivered,
        "shapes": received.shapes,
        "stopped": received.stopped,
        "seconds": round(received.seconds, 1),
        "events": received.events,
        "deletions": received.deletions,
        "duplicates": received.duplicates + committed.repeated,
        "passed_over": received.passed_over,
        "test_events": received.test_events,
        "quarantined": received.quarantined,
        "quarantine_files": received.quarantine_files,
        "undeleted": received.undeleted,
        "segments": len(received.segments),
        "damaged_segments": len(committed.damaged),
        "waiting_segments": committed.waiting,
        "rows": committed.rows,
        "shards": sum(run.shards for run in committed.runs),
        "estimated_cpu_seconds": round(committed.cost),
        "heaviest_shard_over_mean": round(committed.imbalance, 3),
        "runs": [run.run_id for run in committed.runs],
    }
    if not as_json:
        values["shapes"] = ", ".join(f"{count} {name}" for name, count in received.shapes.items())
        values["quarantine_files"] = "\n".join(received.quarantine_files)
        values["runs"] = "\n".join(run.run_id for run in committed.runs) or "none: nothing to do"
    print_result("drained", values, as_json)
