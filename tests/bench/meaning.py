"""How often a paraphrase finds its document first: by words, by meaning, and by both, on a real node."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from batchjob.adapters.opensearch import OpenSearchIndex
from batchjob.cli.embedders import open_embedder
from batchjob.operate.search import Hit, find
from batchjob.operate.vector import find_both, find_near, query_vector
from batchjob.settings import Settings
from manifests.sampledocs import paper
from tests.bench.context import BATCHJOB, Context
from tests.bench.measure import commands
from tests.bench.page import Section, table
from tests.support.servers import start_opensearch, unique_name

SET = Path(__file__).with_name("meaning.txt")
"""A line is a document, after `= ` the same in other words, or after `? ` a question that it answers, often without a
word of it."""
SHOWN = 10
RESAMPLES = 10_000


Ranks = npt.NDArray[np.int64]
Firsts = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Question:
    """A paraphrase of a document, or a question that it answers."""

    words: str
    document: str
    japanese: bool
    restated: bool


def read_set() -> tuple[dict[str, str], list[Question]]:
    """Documents by file name, and the questions about them."""
    documents: dict[str, str] = {}
    questions: list[Question] = []
    for line in SET.read_text(encoding="utf-8").splitlines():
        name = f"{len(documents):03d}.pdf"
        if line.startswith(("? ", "= ")):
            name = f"{len(documents) - 1:03d}.pdf"
            questions.append(Question(line[2:], name, documents[name][0] > "\u0250", line[0] == "="))
        else:
            documents[name] = line
    return documents, questions


def meaning(context: Context) -> Section:
    documents, questions = read_set()
    questions = questions[:: context.size(1, 20)]
    folder, alias = context.scratch / "papers", unique_name("meaning")
    _print(documents, folder)
    url = start_opensearch()
    settings = Settings(work=str(context.scratch / "work"), index=alias, opensearch_url=url)
    commands(
        [*BATCHJOB, "local", folder, "--work", settings.work, "--index", alias, "--opensearch", url, "--json"]
    )
    index = OpenSearchIndex(url)
    index.refresh(alias)
    embedder = open_embedder(settings)

    def near(query: str) -> Sequence[Hit]:
        return find_near(index, alias, query_vector(index, alias, query, embedder), SHOWN).hits

    def both(query: str) -> Sequence[Hit]:
        vector = query_vector(index, alias, query, embedder)
        return find_both(index, alias, query, vector, SHOWN).hits

    modes: dict[str, Callable[[str], Sequence[Hit]]] = {
        "text": lambda query: find(index, alias, query, SHOWN).hits,
        "vector": near,
        "hybrid": both,
    }
    ranks = {name: [_rank(ask(q.words), q) for q in questions] for name, ask in modes.items()}
    return _section(len(documents), questions, ranks)


def _print(documents: dict[str, str], folder: Path) -> None:
    paper.register_fonts()
    folder.mkdir()
    for name, text in documents.items():
        flowables = paper.paragraphs([text], text[0] > "\u0250")
        (folder / name).write_bytes(paper.print_pdf(flowables, name))


def _rank(hits: Sequence[Hit], question: Question) -> int:
    """From 1; 0 where the document is not among the hits."""
    return next((n for n, hit in enumerate(hits, start=1) if hit.file_name == question.document), 0)


def interval(found: Firsts, groups: Sequence[str]) -> tuple[float, float]:
    """95 % of the means of resamples with replacement (bootstrap), whole documents at a time.

    The queries of one document are not independent of each other.
    """
    names, places = np.unique(groups, return_inverse=True)
    sums = np.bincount(places, found, len(names))
    counts = np.bincount(places, minlength=len(names))
    drawn = np.random.default_rng(8).integers(len(names), size=(RESAMPLES, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _section(documents: int, questions: Sequence[Question], ranks: Mapping[str, Sequence[int]]) -> Section:
    parts: dict[str, Callable[[Question], bool]] = {
        "in other words": lambda question: question.restated,
        "questions": lambda question: not question.restated,
        "questions, Japanese": lambda question: not question.restated and question.japanese,
        "questions, English": lambda question: not (question.restated or question.japanese),
        "all": lambda question: True,
    }
    rows = []
    for part, belongs in parts.items():
        chosen = [number for number, question in enumerate(questions) if belongs(question)]
        groups = [questions[number].document for number in chosen]
        for mode, found in ranks.items():
            row = _row(np.asarray([found[number] for number in chosen]), groups)
            rows.append([part, str(len(chosen)), f"`--mode {mode}`", *row])
    heads = ("", "queries", "", "recall@1 (95 % interval)", f"recall@{SHOWN}", "MRR")
    return Section(
        "Search by meaning",
        f"{documents} short papers on office, contract and workshop matters, half of them Japanese, each said once in "
        "other words, and asked for by three short questions, most of which share no word with it "
        "(tests/bench/meaning.txt). They are printed to PDF and indexed by `batchjob local` into a real node, with the "
        "embedder inside the installation. The interval is a bootstrap over documents.",
        table(heads, rows),
    )


def _row(ranks: Ranks, groups: Sequence[str]) -> list[str]:
    first = ranks == 1
    low, high = interval(first, groups)
    inverse = np.divide(1.0, ranks, out=np.zeros(len(ranks)), where=ranks > 0)
    return [
        f"**{first.mean():.3f}** ({low:.3f}–{high:.3f})",
        f"{(ranks > 0).mean():.3f}",
        f"{inverse.mean():.3f}",
    ]
