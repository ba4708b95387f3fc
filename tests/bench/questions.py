"""The questions of the benchmark by name, in the order in which the page answers them."""

from collections.abc import Callable

from tests.bench.balance import balance
from tests.bench.context import Context
from tests.bench.digital import long_documents, one_page_documents
from tests.bench.docuworks import docuworks
from tests.bench.findability import findability
from tests.bench.history import explain
from tests.bench.intake import planning
from tests.bench.load import load
from tests.bench.long_scan import long_scan, memory, thousand_pages
from tests.bench.manifests import inventory, listing
from tests.bench.page import Section
from tests.bench.pipeline import sample, store
from tests.bench.quality import quality
from tests.bench.queue import queue
from tests.bench.scans import other_programs, scan

USUAL: dict[str, Callable[[Context], Section]] = {
    "sample": sample,
    "quality": quality,
    "scan": scan,
    "other_programs": other_programs,
    "long_documents": long_documents,
    "one_page_documents": one_page_documents,
    "docuworks": docuworks,
    "memory": memory,
    "long_scan": long_scan,
    "store": store,
    "planning": planning,
    "balance": balance,
    "inventory": inventory,
    "listing": listing,
    "queue": queue,
    "load": load,
    "findability": findability,
    "explain": explain,
}
QUESTIONS = {**USUAL, "thousand_pages": thousand_pages}
