"""The embedding of a document's text: from the cache, or from the embedder; a failure is data."""

from dataclasses import dataclass
from typing import Any

from batchjob.enrich.embedding import Embedded, EmbeddingStatus, embed_text
from batchjob.errors import BatchjobError, TextRefusedError, TransientError
from batchjob.ports import Embedder
from batchjob.process.cache import CacheStore, recall_embedding, remember_embedding


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of embedding a text; `trouble` is why its embedding is missing."""

    embedded: Embedded
    trouble: BatchjobError | None = None

    def fields(self) -> dict[str, Any]:
        """What goes into the document: never a vector of zeros."""
        fields: dict[str, Any] = {"embedding_status": self.embedded.status}
        return fields | ({"embedding": self.embedded.vector} if self.embedded.vector else {})


def embedding_of(text: str, embedder: Embedder | None, store: CacheStore) -> Attempt:
    """Raises UsageError (the embedder is set up wrongly) and the store's errors."""
    if embedder is None:
        return Attempt(Embedded(EmbeddingStatus.NONE))
    entry = recall_embedding(store, embedder.identity, text)
    if entry is not None:
        return Attempt(Embedded(EmbeddingStatus.OK, entry["vector"], entry["tokens"]))
    try:
        found = embed_text(text, embedder)
    except (TransientError, TextRefusedError) as error:
        return Attempt(Embedded(EmbeddingStatus.MISSING), error)
    if found.vector is not None:
        entry = {"vector": found.vector, "tokens": found.tokens}
        remember_embedding(store, embedder.identity, text, entry)
    return Attempt(found)
