"""Chunking loses nothing, whatever the text is, and a document's vector is the weighted mean of its chunks'."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchjob.enrich.chunks import has_words, mean_vector, split
from batchjob.ports import ChunkLimits

PIECES = st.sampled_from(
    [
        "契約",
        "。",
        "「はい。」",
        "word ",
        "End. ",
        "\n",
        "\n \n",
        "\x0c",
        "、",
        "😀",
        "��",
        "3.14",
        "𠮷",
        "\x00",
        "!?",
    ]
)
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=200).map("".join))
LIMITS = st.builds(ChunkLimits, st.integers(4, 60), st.integers(2, 60))


@given(TEXTS, LIMITS)
def test_chunks_are_the_text_within_the_limits(text: str, limits: ChunkLimits) -> None:
    chunks = list(split(text, limits))

    assert "".join(chunks) == text
    assert all(chunks)
    for chunk in chunks:
        assert len(chunk) <= limits.characters
        assert sum(c > "\u024f" for c in chunk) <= limits.tokens


@given(TEXTS, LIMITS)
def test_no_surrogate_pair_is_cut(text: str, limits: ChunkLimits) -> None:
    chunks = list(split(text, limits))

    for one, other in pairwise(chunks):
        assert not ("\ud800" <= one[-1] <= "\udbff" and "\udc00" <= other[0] <= "\udfff")


def test_cuts_are_after_paragraphs_then_sentences_then_words() -> None:
    assert list(split("一二三。\n\n四五六。七八九。", ChunkLimits(12, 12))) == [
        "一二三。\n\n",
        "四五六。七八九。",
    ]
    assert list(split("一二三。「四五六。」七八九", ChunkLimits(11, 11))) == [
        "一二三。「四五六。」",
        "七八九",
    ]
    assert list(split("It costs 3.14 yen. It is cheap.", ChunkLimits(100, 20))) == [
        "It costs 3.14 yen.",
        " It is cheap.",
    ]
    assert list(split("alpha beta gamma", ChunkLimits(100, 12))) == ["alpha beta ", "gamma"]


@pytest.mark.parametrize(
    "text",
    [
        "契約" * 2_500_000,
        "a" * 5_000_000,
        "😀" * 1_000_000,
        " " * 1_000_000,
        "\n" * 1_000_000,
        "." * 1_000_000,
    ],
    ids=["kanji", "latin", "emoji", "spaces", "lines", "stops"],
)
def test_one_endless_line(text: str) -> None:
    chunks = list(split(text, ChunkLimits(8192, 50_000)))

    assert "".join(chunks) == text
    assert len(chunks) <= len(text) // 2000 + 1


def test_words() -> None:
    assert all(map(has_words, ("…契…", "- 3 -", "é")))
    assert not has_words("😀😀 \x00\x1b[— _ \f")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 50)), min_size=1))
def test_a_mean_is_as_long_as_1_and_weighted(parts: list[tuple[int, int]]) -> None:
    mean = mean_vector(
        [np.eye(4, dtype=np.float32)[axis] for axis, _ in parts], [length for _, length in parts]
    )

    sums = np.bincount([axis for axis, _ in parts], [length for _, length in parts], 4)
    assert mean is not None
    assert np.allclose(mean, sums / np.linalg.norm(sums), atol=1e-6)


def test_vectors_that_cancel_out_have_no_mean() -> None:
    one = np.eye(4, dtype=np.float32)[0]

    assert mean_vector([one, -one], [5, 5]) is None
    assert mean_vector([one * np.nan], [5]) is None
