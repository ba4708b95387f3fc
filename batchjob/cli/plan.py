"""`plan`: what a run would do, take and cost, without doing it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pyarrow as pa

from batchjob.cli import options, services
from batchjob.cli.manifests import open_manifest
from batchjob.cli.output import print_json, print_table
from batchjob.drain.cost import read_rates
from batchjob.drain.inbox import SegmentsDamagedError
from batchjob.errors import TransientError
from batchjob.operate.plan import Plan, Prices, plan, read_prices, waiting_rows
from batchjob.scratch import scratch_folder
from batchjob.settings import Settings, load_settings

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("plan")
@click.argument("place", metavar="[MANIFEST]", required=False)
@click.option("--vcpus", type=click.IntRange(min=1), default=256, show_default=True, help="vCPUs at once.")
@click.option(
    "--vcpus-a-job",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="vCPUs of the shards' job definition.",
)
@click.option(
    "--prices", "price_file", type=FILE, help="JSON file of prices (default: those that came along)."
)
@options.work
@options.as_json
def plan_command(
    place: str | None,
    vcpus: int,
    vcpus_a_job: int,
    price_file: Path | None,
    work: str | None,
    as_json: bool,
) -> None:
    """Tell what MANIFEST would take and cost: CSV, Parquet, an inventory's manifest.json, a folder; a path or s3://….

    Without it, the inbox, and the messages in the queue as far as they can be counted. Changes nothing.
    """
    settings, prices = load_settings(work=work), read_prices(price_file)
    store = services.work_store(settings)
    queued = 0
    if place is None and settings.queue_url is not None:
        counts = services.queue(settings).counts()
        queued = counts.visible + counts.in_flight
    with _rows(place, settings) as batches, scratch_folder(settings.scratch) as scratch:
        found = plan(
            batches,
            scratch,
            read_rates(store),
            shard_cost=settings.shard_cost,
            queued=queued,
        )
    values = _values(found, prices, found.seconds(vcpus, vcpus_a_job), vcpus)
    if as_json:
        print_json(values)
    else:
        _show(place or "inbox and queue", values, found, prices)


@contextmanager
def _rows(place: str | None, settings: Settings) -> Iterator[Iterator[pa.RecordBatch]]:
    if place is not None:
        with open_manifest(place, settings) as batches:
            yield batches
        return
    try:
        yield iter(waiting_rows(services.work_store(settings), services.CLOCK.now_ms()))
    except SegmentsDamagedError as error:
        raise TransientError(f"{error}; the next drain sets that aside", cause="inbox") from None


def _values(found: Plan, prices: Prices, seconds: float, vcpus: int) -> dict[str, object]:
    return {
        "rows": found.rows,
        "queued_messages": found.queued,
        "duplicates": found.repeated,
        "runs": found.runs,
        "shards": found.shards,
        "heaviest_shard_over_mean": round(found.imbalance, 3),
        "cpu_hours": round(found.cpu_seconds / 3600, 3),
        "vcpus": vcpus,
        "hours": round(seconds / 3600, 3),
        "heaviest_document_cpu_seconds": round(found.heaviest_row, 1),
        "types": {
            name: {"documents": kind.documents, "cpu_hours": round(kind.cpu_seconds / 3600, 3)}
            for name, kind in found.kinds.items()
        },
        "prices": {
            family: {
                "on_demand": round(found.price(price.on_demand), 2),
                "spot": round(found.price(price.spot), 2),
            }
            for family, price in prices.vcpu_hour.items()
        },
        "currency": prices.currency,
        "prices_noted": prices.noted.isoformat(),
        "prices_source": prices.source,
        "region": prices.region,
    }


def _show(place: str, values: dict[str, object], found: Plan, prices: Prices) -> None:
    left_out = ("currency", "prices_noted", "prices_source", "region")
    plain = [
        [name, value]
        for name, value in values.items()
        if name not in left_out and not isinstance(value, dict)
    ]
    print_table(f"plan for {place}; nothing was changed", ["", ""], plain, numbers=[1])
    kinds = [[name, kind.documents, f"{kind.cpu_seconds / 3600:.3f}"] for name, kind in found.kinds.items()]
    print_table("by type", ["type", "documents", "CPU hours"], kinds, numbers=[1, 2])
    costs = [
        [family, f"{found.price(price.on_demand):,.2f}", f"{found.price(price.spot):,.2f}"]
        for family, price in prices.vcpu_hour.items()
    ]
    title = f"{prices.currency} for CPU time alone, {prices.region}"
    print_table(title, ["machines", "on demand", "spot"], costs, numbers=[1, 2])
    click.echo(f"Prices noted {prices.noted}: {prices.source}.")
