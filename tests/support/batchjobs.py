"""Jobs of AWS Batch on the tests' server, in a queue of their own."""

from dataclasses import dataclass
from typing import Any

from batchjob.adapters.batch import BatchJobs, BatchTarget
from batchjob.ports import Station
from tests.support.servers import BatchServer


@dataclass(frozen=True)
class Queue:
    """A queue of the server, its definitions, and the adapter over both."""

    client: Any
    target: BatchTarget

    @property
    def jobs(self) -> BatchJobs:
        return BatchJobs(self.client, self.target)


def new_queue(server: BatchServer) -> Queue:
    definitions: dict[Station, str] = {
        "process": server.new_definition("process"),
        "reduce": server.new_definition("reduce"),
    }
    return Queue(server.client(), BatchTarget(server.new_queue(), definitions))
