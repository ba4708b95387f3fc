"""From a document's text to its one vector, or to the reason why it has none."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from batchjob.enrich.chunks import Floats, has_words, mean_vector, split
from batchjob.ports import Embedder

EMBEDDING_VERSION = 1
"""Raise it with every change of chunking or of the mean: vectors of two versions are not compared."""

DECIMALS = 6
"""Of a number in a vector: what single precision holds, in half the bytes."""


class EmbeddingStatus(StrEnum):
    """`embedding_status` of a document; only `ok` comes with an `embedding`.

    `none`: no embedder is set. `no_text`: no letter to embed. `missing`: the embedder failed.
    """

    OK = "ok"
    NONE = "none"
    NO_TEXT = "no_text"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Embedded:
    """A text's vector, and what it took: `tokens` that the model counted, `calls` of it (0: from the cache)."""

    status: EmbeddingStatus
    vector: Sequence[float] | None = None
    tokens: int = 0
    calls: int = 0


def embedding_identity(model: str) -> str:
    """What vectors must have in common to be compared: model, dimension and the way from text to vector."""
    return f"{model}/{EMBEDDING_VERSION}"


def embed_text(text: str, embedder: Embedder) -> Embedded:
    """The vector of a whole text. Raises TransientError and UsageError, as the embedder does."""
    chunks = [chunk for chunk in split(text, embedder.limits) if has_words(chunk)]
    if not chunks:
        return Embedded(EmbeddingStatus.NO_TEXT)
    found = embedder.embed(chunks)
    vectors: list[Floats] = [one.vector for one in found]
    mean = mean_vector(vectors, [len(chunk) for chunk in chunks])
    tokens, calls = sum(one.tokens for one in found), sum(one.calls for one in found)
    if mean is None:
        return Embedded(EmbeddingStatus.NO_TEXT, tokens=tokens, calls=calls)
    return Embedded(EmbeddingStatus.OK, [round(x, DECIMALS) for x in mean.tolist()], tokens, calls)
