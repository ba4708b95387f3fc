"""Embedders for tests of what is around them: quick, counted, and failing when told to."""

from collections.abc import Sequence

import numpy as np

from batchjob.errors import BatchjobError
from batchjob.ports import ChunkLimits, ChunkVector
from tests.support.bedrock_server import tokens_of, vector_of


class PairEmbedder:
    """Texts with common pairs of characters are near each other. `trouble` is raised for texts that hold its key."""

    limits = ChunkLimits(400, 400)

    def __init__(self, identity: str = "pairs") -> None:
        self.identity = identity
        self.calls = 0
        self.trouble: dict[str, BatchjobError] = {}

    def embed(self, chunks: Sequence[str]) -> list[ChunkVector]:
        found = []
        for chunk in chunks:
            for part, error in self.trouble.items():
                if part in chunk:
                    raise error
            self.calls += 1
            found.append(ChunkVector(np.asarray(vector_of(chunk, 512), dtype=np.float32), tokens_of(chunk)))
        return found
