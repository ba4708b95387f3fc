"""Between extracted text and an embedder: the text in chunks that the model takes, and their vectors as one."""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from batchjob.ports import ChunkLimits

Floats = npt.NDArray[np.float32]

PARAGRAPH_END = re.compile(r"\f|\n[^\S\f]*\n")
SENTENCE_END = re.compile(r"[。！？｡]+[」』）)]*|[.!?][\"')\]]*(?=\s)|\n")
WORD_END = re.compile(r"\s+|、|，")
LETTER = re.compile(r"[^\W_]")
TOKENS_A_LATIN_CHARACTER = 1 / 3
"""More than a model of sub-words spends on prose (English: 4 to 5 characters a token), so that tables fit too."""
TOKENS_BEYOND_THE_BASIC_PLANE = 4
"""An emoji or a rare ideograph that a vocabulary lacks is spelled in the bytes of its UTF-8."""
LEAST_LENGTH = 1e-6
"""A mean of vectors that is shorter than this points nowhere."""


def has_words(text: str) -> bool:
    """Whether there is a letter, a digit or an ideograph."""
    return LETTER.search(text) is not None


def split(text: str, limits: ChunkLimits) -> Iterator[str]:
    """Chunks within the limits, cut after a paragraph, else a sentence, else a word, else anywhere.

    Together they are the text, character for character. A surrogate pair stays in one piece. Tokens are estimated: one
    for each character but Latin ones.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    tokens = np.concatenate([[0.0], np.cumsum(_tokens(codes))])
    ends = [_ends(pattern, text) for pattern in (PARAGRAPH_END, SENTENCE_END, WORD_END)]
    start = 0
    while start < len(text):
        within = int(np.searchsorted(tokens, tokens[start] + limits.tokens, side="right")) - 1
        furthest = max(min(within, start + limits.characters, len(text)), start + 1)
        stop = _cut(text, start, furthest, ends)
        yield text[start:stop]
        start = stop


def _tokens(codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.float64]:
    costs = np.where(codes < 0x250, TOKENS_A_LATIN_CHARACTER, 1.0)
    costs[codes > 0xFFFF] = TOKENS_BEYOND_THE_BASIC_PLANE
    return costs


def _ends(pattern: re.Pattern[str], text: str) -> npt.NDArray[np.int64]:
    return np.fromiter((match.end() for match in pattern.finditer(text)), dtype=np.int64)


def _cut(text: str, start: int, furthest: int, ends: Sequence[npt.NDArray[np.int64]]) -> int:
    if furthest == len(text):
        return furthest
    for places in ends:
        last = int(np.searchsorted(places, furthest, side="right")) - 1
        if last >= 0 and places[last] > start:
            return int(places[last])
    return not_within_pair(text, start, furthest)


def not_within_pair(text: str, start: int, place: int) -> int:
    """`place`, or the one before it where a surrogate pair would be cut; always after `start`."""
    pair = "\ud800" <= text[place - 1] <= "\udbff" and "\udc00" <= text[place : place + 1] <= "\udfff"
    if not pair:
        return place
    return place - 1 if place - 1 > start else place + 1


def mean_vector(vectors: Sequence[Floats], lengths: Sequence[int]) -> Floats | None:
    """The mean, weighted by length, normalised to 1; None where the vectors cancel out or are no numbers."""
    mean = np.average(np.asarray(vectors, dtype=np.float64), axis=0, weights=np.asarray(lengths))
    norm = float(np.linalg.norm(mean))
    if not np.isfinite(norm) or norm < LEAST_LENGTH:
        return None
    return (mean / norm).astype(np.float32)
