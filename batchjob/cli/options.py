"""Options that several commands share; each sets the setting of its name."""

from collections.abc import Callable
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

work: Decorator = click.option(
    "--work", metavar="PLACE", help="Work folder or s3://bucket/prefix (BATCHJOB_WORK; default .batchjob)."
)
index: Decorator = click.option(
    "--index", metavar="NAME", help="Alias to load into or search (BATCHJOB_INDEX; default documents)."
)
opensearch: Decorator = click.option(
    "--opensearch", "opensearch_url", metavar="URL", help="OpenSearch server (BATCHJOB_OPENSEARCH_URL)."
)
job_queue: Decorator = click.option(
    "--job-queue",
    "job_queue",
    metavar="NAME",
    help="AWS Batch queue of the jobs, or `local` (BATCHJOB_JOB_QUEUE; default: the queue this job runs in).",
)
as_json: Decorator = click.option("--json", "as_json", is_flag=True, help="One JSON object on the last line.")


class Moment(click.ParamType[int]):
    """ISO 8601 as milliseconds since 1970."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from batchjob.manifest.read import milliseconds  # brings Arrow, which few commands need

        try:
            return milliseconds(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
