"""How quickly a drain empties a queue, beside a loop that only receives and deletes."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from batchjob.adapters.clock import SystemClock
from batchjob.adapters.folder import FolderStore
from batchjob.adapters.queues import open_queue
from batchjob.drain.receive import Limits
from tests.bench.context import Context
from tests.bench.measure import Variant, calls, in_turn
from tests.bench.page import Section, timings
from tests.bench.watch import Usage
from tests.support.events import Mixed, mixed
from tests.support.intake import drain, inbox_keys, send_in_batches, until_empty
from tests.support.servers import SqsServer, start_elasticmq

Check = Callable[[Mixed], bool]

_LIMITS = Limits(wait_seconds=1)
_WARM_UP = 5000
_CONNECTIONS = 32


def queue(context: Context) -> Section:
    """Parsing, one row an object, verified segments and quarantine files, beyond receiving and deleting."""
    server = SqsServer(start_elasticmq())
    os.environ |= server.environment()
    messages = mixed(context.size(100_000, 500), seed=1)
    store = FolderStore(context.scratch / "work")
    _filled(server, mixed(context.size(_WARM_UP, 50), seed=2), _bare)
    variants = [
        Variant("a drain", partial(_filled, server, messages, partial(_drain, store)), len(messages.bodies)),
        Variant("receive and delete", partial(_filled, server, messages, _bare), len(messages.bodies)),
    ]
    return Section(
        "The queue",
        f"{len(messages.bodies):,} messages of mixed shapes (5 % repeated, 1 % garbage, 2 % deletions) in an ElasticMQ "
        f"server on the same CPUs, {_LIMITS.receivers} threads. A drain writes segments and quarantine files to a "
        "folder store, and its rows are compared with a plain computation. The loop is boto3's receive_message and "
        "delete_message_batch alone. Both end with a poll of 1 s that finds nothing. CPU is that of the client.",
        timings("message", variants, in_turn(variants, context.rounds), [(1, 0)]),
    )


def _filled(server: SqsServer, messages: Mixed, empty: Callable[[SqsServer, str], Check]) -> Usage:
    """Fills a new queue, measures how it is emptied, then checks what that came to."""
    url = server.new_queue()
    client = server.client(max_pool_connections=_CONNECTIONS)
    send_in_batches(client, url, messages.bodies, _LIMITS.receivers)
    checks: list[Check] = []
    used = calls(lambda: checks.append(empty(server, url)))
    if not checks[0](messages):
        raise RuntimeError("what came of the queue is not what a plain computation says")
    if until_empty(open_queue(url, SystemClock())) != [0, 0]:
        raise RuntimeError("the queue is not empty")
    client.delete_queue(QueueUrl=url)
    return used


def _drain(store: FolderStore, server: SqsServer, url: str) -> Check:
    report = drain(open_queue(url, SystemClock()), store, SystemClock(), _LIMITS)

    def is_right(messages: Mixed) -> bool:
        right = inbox_keys(store) == messages.keys
        for key in report.segments + report.quarantine_files:
            store.delete(key)
        return right and (report.events, report.quarantined) == (messages.events, messages.garbage)

    return is_right


def _bare(server: SqsServer, url: str) -> Check:
    client = server.client(max_pool_connections=_CONNECTIONS)
    with ThreadPoolExecutor(_LIMITS.receivers) as pool:
        emptied = sum(pool.map(lambda _: _loop(client, url), range(_LIMITS.receivers)))
    return lambda messages: emptied == len(messages.bodies)


def _loop(client: Any, url: str) -> int:
    count = 0
    while found := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get(
        "Messages"
    ):
        entries = [
            {"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(found)
        ]
        client.delete_message_batch(QueueUrl=url, Entries=entries)
        count += len(found)
    return count
