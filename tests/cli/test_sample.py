"""The sample, whole, through the real commands into a real OpenSearch node: everything is found."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from batchjob.adapters.folder import FolderStore
from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.errors import ExitCode
from batchjob.operate.search import Answer, find
from batchjob.records import FinalState, Outcome, outcomes_from_parquet
from tests.support.command import Finished, batchjob, environment
from tests.support.projection import index_projection
from tests.support.servers import unique_name

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
EXPECTED: dict[str, dict[str, Any]] = json.loads((MANIFESTS / "sample-expected.json").read_text("utf-8"))
READ = {path: told for path, told in EXPECTED.items() if told["status"] == "ok"}
FAILED = {path: told for path, told in EXPECTED.items() if told["status"] == "failed"}


class Sample:
    """The sample indexed twice: with a cold cache, then with a warm one."""

    def __init__(self, work: Path, url: str) -> None:
        self.work = work
        self.alias = unique_name("sample")
        self.index = OpenSearchIndex(url)
        self.env = environment(work=work, index=self.alias, opensearch_url=url, embedder="local")
        self.first = self.local()
        self.projection = index_projection(self.index, f"{self.alias}-000001")
        self.second = self.local()

    def local(self) -> Finished:
        return batchjob("local", MANIFESTS / "sample.csv", "--json", env=self.env)

    def outcomes(self, run: Finished | None = None) -> dict[str, Outcome]:
        key = f"runs/{(run or self.first).answer['run_id']}/outcomes.parquet"
        with FolderStore(self.work).open(key) as opened:
            return {outcome.key: outcome for outcome in outcomes_from_parquet(opened.body.read())}

    def find(self, query: str) -> Answer:
        return find(self.index, self.alias, query, 30)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, opensearch_url: str) -> Sample:
    return Sample(tmp_path_factory.mktemp("sample"), opensearch_url)


def test_the_counts_are_those_of_the_documents(sample: Sample) -> None:
    answer = sample.first.answer
    assert sample.first.code == 0
    assert (answer["rows"], answer["indexed"], answer["failed"]) == (len(EXPECTED), len(READ), len(FAILED))
    assert answer["ocr_pages"] == sum(told["ocr_pages"] for told in READ.values())
    assert sum(answer[state] for state in FinalState) == answer["rows"]


@pytest.mark.parametrize("path", READ)
def test_a_document_is_found_by_a_phrase_that_stands_in_it(sample: Sample, path: str) -> None:
    for phrase in READ[path]["phrases"]:
        hits = sample.find(phrase).hits
        [hit] = [hit for hit in hits if hit.s3_key == path]
        assert hit.page is not None
        assert 1 <= hit.page <= READ[path]["pages"]


@pytest.mark.parametrize("path", FAILED)
def test_a_failed_document_is_found_by_its_name_and_says_why(sample: Sample, path: str) -> None:
    assert path in [hit.s3_key for hit in sample.find(Path(path).name).hits]
    outcome = sample.outcomes()[path]
    assert (outcome.state, outcome.category) == (FinalState.FAILED, FAILED[path]["category"])
    assert outcome.message


@pytest.mark.parametrize("path", EXPECTED)
def test_every_document_is_found_first_by_its_whole_name(sample: Sample, path: str) -> None:
    best = sample.find(Path(path).name).hits[0]
    assert best.file_name == Path(path).name


def test_a_second_run_reads_no_content_and_leaves_the_same_index(sample: Sample) -> None:
    answer = sample.second.answer
    assert answer["cache_hits"] >= len(READ)
    assert index_projection(sample.index, f"{sample.alias}-000001") == sample.projection


def test_documents_are_found_by_their_meaning(sample: Sample) -> None:
    query = ["search", "how to avoid injury when servicing the machine", "--json", "--mode"]
    for mode in ("vector", "hybrid"):
        done = batchjob(*query, mode, env=sample.env)
        assert done.code == 0
        assert (
            "sample/engineering/pump-safety-instructions.pdf"
            in [hit["s3_key"] for hit in done.answer["hits"]][:3]
        )
    done = batchjob(*query, "vector", "--department", "no such", env=sample.env)
    assert done.answer["hits"] == []
    assert batchjob(*query, "vector", env=sample.env | {"BATCHJOB_EMBEDDER": "none"}).code == ExitCode.USAGE


def test_what_is_read_is_embedded_once(sample: Sample) -> None:
    first, second = sample.outcomes(), sample.outcomes(sample.second)
    assert {path: first[path].embedding_status for path in READ} == {
        path: "ok" if any(READ[path]["phrases"]) else "no_text" for path in READ
    }
    assert sum(outcome.embedding_calls for outcome in first.values()) >= len(READ)
    assert sum(outcome.embedding_calls for outcome in second.values()) == 0


def test_log_lines_are_json_and_say_where_they_come_from(sample: Sample) -> None:
    lines = [json.loads(line) for line in sample.first.stderr.splitlines() if line.startswith("{")]
    documents = [line for line in lines if line["event"] == "document"]
    assert {line["document"] for line in documents} == set(EXPECTED)
    assert all(
        {"run", "shard", "attempt", "phase", "level", "timestamp"} <= line.keys() for line in documents
    )


def test_status_tells_the_run(sample: Sample) -> None:
    told = batchjob("status", "--json", env=sample.env).answer
    assert (told["phase"], told["rows_done"]) == ("finished", len(EXPECTED))
    assert told["states"]["indexed"] == len(READ)


def test_search_shows_file_page_and_snippet(sample: Sample) -> None:
    done = batchjob("search", "請求書", env=sample.env)
    assert done.code == 0
    assert re.search(r"請求書 2026-04\.pdf, page 1", done.stdout)
    answer = batchjob("search", "請求書", "--json", env=sample.env).answer
    assert {"s3_key", "file_name", "score", "page", "snippet"} == answer["hits"][0].keys()
    assert "請求" in answer["hits"][0]["snippet"]


def test_reduce_again_changes_nothing(sample: Sample) -> None:
    run_id = sample.first.answer["run_id"]
    done = batchjob("reduce", run_id, "--json", env=sample.env)
    assert (done.code, done.answer["documents"]) == (0, len(READ))


def test_processing_a_shard_again_leaves_its_receipt(sample: Sample) -> None:
    run_id = sample.first.answer["run_id"]
    done = batchjob("process", run_id, "--shard", 0, "--json", env=sample.env)
    assert (done.code, done.answer["shard"]) == (0, 0)


def test_extract_shows_every_page(sample: Sample) -> None:
    path = next(path for path in READ if READ[path]["pages"] > 1)
    done = subprocess.run(
        [sys.executable, "-m", "batchjob", "extract", MANIFESTS / path, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert {"path", "mime_type", "status", "page_count", "text", "pages", "error"} == told.keys()
    assert [page["page"] for page in told["pages"]] == list(range(1, READ[path]["pages"] + 1))
    assert {"page", "method", "engine", "confidence", "seconds", "text"} <= told["pages"][0].keys()
