"""Files made to crash, hang or bloat their reader, in shards with small limits: what each must end as."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from batchjob.records import FinalState
from tests.hostile.shards import MIB, Limits, process
from tests.support.documents import text_pdf
from tests.support.hostile_images import IMAGES, NAMES, OTHERS
from tests.support.hostile_pdfs import BOMBS, BOXES, DEEP, TREES, bad_middle_page

Files = Mapping[str, Callable[[], bytes]]
LIMITED = frozenset({"out_of_memory", "timeout"})
"""Which limit is met first depends on the machine."""
CORRUPT = frozenset({"corrupt"})
TOO_LARGE = frozenset({"too_large"})
EXPECTED: dict[str, frozenset[str]] = {
    **dict.fromkeys(
        (
            "kids-are-their-parent", "kids-point-up", "kids-loop-beside-a-page", "count-of-a-million",
            "image-dimensions-lie", "image-jpeg-header", "object-stream-lies", "object-stream-extends-itself",
            "bomb-in-text", "bomb-in-profile", "16-bit-lie", "no-size", "strip-of-4gb",
            "strip-beyond-the-end", "deflate-bomb", "no-directory", "canvas-16777216", "canvas-4000",
            "runs-without-data", "strange-bits", "header-in-garbage", "only-a-header", "a-million-headers",
            "endless-objects", "arrays-deep-in-content",
        ),
        CORRUPT,
    ),
    **dict.fromkeys(
        (
            "states-deep", "marks-deep", "forms-draw-themselves", "forms-draw-each-other", "forms-multiply",
            "function-heavy", "content-1gb", "content-nested-1gb", "content-of-spaces", "content-lzw-over-flate",
            "image-1gb", "object-stream-1gb", "tounicode-100mb", "paths-3-million", "words-20mb",
            "many-scans",
        ),
        LIMITED,
    ),
    "image-fax": LIMITED | CORRUPT,
    "jbig2-65535": LIMITED | TOO_LARGE,
    "a-million-objects": LIMITED | CORRUPT,
    **dict.fromkeys(("100000-pages", "100000-times-one-page", "65535-frames"), frozenset({"too_many_pages"})),
    **dict.fromkeys(
        (
            "image-rgb-3gb", "image-predictor", "jbig2-4294967295", "jpx-60000", "jpx-2147483647",
            "bomb-over-limit", "frame-too-large", "second-frame-too-large", "canvas-65535", "two-billion",
            "header-65500",
        ),
        TOO_LARGE,
    ),
    **dict.fromkeys(("60000", "zeros", "truncated", "office"), frozenset({"unsupported"})),
    "empty": frozenset({"empty"}),
}  # fmt: skip
"""Categories by name; every other file is read and nothing is missing."""
COSTLY = frozenset(
    (
        "forms-draw-themselves", "forms-draw-each-other", "forms-multiply", "function-heavy",
        "tounicode-100mb", "paths-3-million", "words-20mb", "many-scans", "pattern-is-itself",
        "pattern-of-dust", "image-rgb-3gb", "image-fax", "object-stream-1gb", "content-of-spaces",
        "content-lzw-over-flate", "states-deep", "mask-is-itself", "header-4000", "a-million-objects",
    )
)  # fmt: skip
"""These meet a limit of time or fill memory twice; the quick tests have others of each kind."""


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _check(files: Files, limits: Limits, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [(name, make()) for name, make in files.items()]
    outcomes = process(folder, made, limits, monkeypatch)
    found = {name: outcome.category for name, outcome in outcomes.items()}
    wrong = {
        name: (category, outcomes[name].message)
        for name, category in found.items()
        if (category not in EXPECTED[_stem(name)] if _stem(name) in EXPECTED else category is not None)
    }
    assert wrong == {}, wrong


def _named(*groups: Files) -> dict[str, Callable[[], bytes]]:
    return {name: make for group in groups for name, make in group.items()}


PDFS = {f"{name}.pdf": make for name, make in _named(TREES, BOXES, DEEP, BOMBS).items()}
ALL = _named(PDFS, IMAGES, OTHERS)


@pytest.mark.timeout(600)
def test_each_ends_as_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = {name: make for name, make in ALL.items() if _stem(name) not in COSTLY}
    _check(quick, Limits(page_seconds=15), tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_costly_one_ends_as_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    costly = {name: make for name, make in ALL.items() if _stem(name) in COSTLY}
    _check(costly, Limits(page_seconds=4), tmp_path, monkeypatch)


def test_every_expectation_has_its_file() -> None:
    assert {*EXPECTED, *COSTLY} <= {_stem(name) for name in ALL}


def test_a_bomb_costs_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(child_memory=200 * MIB)
    [outcome] = process(tmp_path, [("a.pdf", bad_middle_page())], limits, monkeypatch).values()
    assert (outcome.state, outcome.page_count, outcome.pages_read) == (FinalState.INDEXED, 3, 2)
    assert outcome.category == "out_of_memory"
    assert (outcome.message or "").startswith("page 2 could not be read: stopped at")
    assert outcome.content_length > 70


def test_names_are_only_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [(name, text_pdf(name.encode("ascii", "ignore").decode())) for name in NAMES]
    outcomes = process(tmp_path, files, Limits(), monkeypatch)
    assert {(outcome.state, outcome.category) for outcome in outcomes.values()} == {
        (FinalState.INDEXED, None)
    }
