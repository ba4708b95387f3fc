"""From settings to the embedder, and to its name without loading it."""

from functools import lru_cache

from batchjob.enrich.embedding import embedding_identity
from batchjob.errors import UsageError
from batchjob.ports import Embedder
from batchjob.process.fingerprint import extraction_fingerprint
from batchjob.records import run_fingerprint
from batchjob.settings import Settings

LOCAL_MODEL = "local/use-multilingual-3/512"


def embedder_identity(settings: Settings) -> str | None:
    """What an index says of its vectors; None without an embedder."""
    if settings.embedder == "none":
        return None
    return embedding_identity(
        LOCAL_MODEL if settings.embedder == "local" else f"bedrock/{settings.bedrock_model}/512"
    )


def fingerprint_of_runs(settings: Settings) -> str:
    """What runs under these settings stand for. Raises UsageError without the OCR engine."""
    return run_fingerprint(extraction_fingerprint(settings), embedder_identity(settings))


@lru_cache(maxsize=1)
def open_embedder(settings: Settings) -> Embedder | None:
    """The embedder of the settings, with this shard's part of the calls. Raises UsageError."""
    identity = embedder_identity(settings)
    if identity is None:
        return None
    if settings.embedder == "local":
        from batchjob.adapters.embedding_local import LocalEmbedder

        return LocalEmbedder(identity)
    from batchjob.adapters.bedrock import BedrockEmbedder, bedrock_client

    calls = settings.bedrock_concurrency // settings.fleet_shards
    if calls == 0:
        raise UsageError(
            f"BATCHJOB_BEDROCK_CONCURRENCY={settings.bedrock_concurrency} leaves no call for each of "
            f"BATCHJOB_FLEET_SHARDS={settings.fleet_shards}: raise the first, or lower the second"
        )
    client = bedrock_client(settings.bedrock_region, settings.bedrock_endpoint, calls)
    return BedrockEmbedder(client, settings.bedrock_model, identity, calls)
