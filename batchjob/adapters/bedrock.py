"""Amazon Titan Text Embeddings V2 on Bedrock behind the Embedder port; the one place that knows its answers."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np
import orjson
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError, ProfileNotFound
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from urllib3.exceptions import HTTPError

from batchjob.errors import BatchjobError, TextRefusedError, TransientError, UsageError
from batchjob.ports import ChunkLimits, ChunkVector

if TYPE_CHECKING:
    from mypy_boto3_bedrock_runtime import BedrockRuntimeClient

DIMENSION = 512
LIMITS = ChunkLimits(tokens=8192, characters=50_000)
"""Of one text (Amazon Bedrock User Guide, "Amazon Titan Text Embeddings V2")."""
ATTEMPTS = 14
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 20
CONNECT_SECONDS = 5
READ_SECONDS = 30
TOO_LONG = re.compile("too many input tokens|expected maxLength", re.IGNORECASE)
NO_MODEL = "model identifier"
MISCONFIGURED = {
    "AccessDeniedException": "allow bedrock:InvokeModel on this model to the role, and the model to the account",
    "ResourceNotFoundException": "no such model in this region; see BATCHJOB_BEDROCK_MODEL, BATCHJOB_BEDROCK_REGION",
    "UnrecognizedClientException": "check the AWS credentials and the region",
}


class _TooLongError(Exception):
    """The model counts more tokens in a text than it takes."""


def bedrock_client(
    region: str | None, endpoint: str | None, connections: int, read_seconds: float = READ_SECONDS
) -> "BedrockRuntimeClient":
    """A client that tries once: the retries here are BedrockEmbedder's. Raises UsageError.

    botocore's own retries share a quota that 36 % of failing calls use up after some thousand; then each failure
    counts. Its adaptive mode slows down without end where throttling does not depend on its own rate.
    """
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        max_pool_connections=connections,
    )
    try:
        return boto3.session.Session().client(
            "bedrock-runtime", region_name=region, endpoint_url=endpoint, config=config
        )
    except (BotoCoreError, ValueError) as error:
        raise UsageError(
            f"Bedrock client: {error}; set BATCHJOB_BEDROCK_REGION and the AWS profile"
        ) from error


class BedrockEmbedder:
    """Implements ports.Embedder. At most `concurrency` calls are under way at once, from all threads together.

    A text waits for its next attempt outside of that. Throttling, time-outs and server errors are tried again; a text
    that has more tokens than was estimated is halved, and its vector is the mean of the halves, weighted by length.
    """

    limits = LIMITS

    def __init__(self, client: "BedrockRuntimeClient", model: str, identity: str, concurrency: int) -> None:
        self.identity = identity
        self._client = client
        self._model = model
        self._slots = Semaphore(concurrency)
        self._threads = ThreadPoolExecutor(2 * concurrency, thread_name_prefix="bedrock")

    def embed(self, chunks: Sequence[str]) -> list[ChunkVector]:
        return list(self._threads.map(self._whole, chunks))

    def _whole(self, chunk: str) -> ChunkVector:
        """Lone surrogates have no UTF-8; without any, a text can be halved between any two characters."""
        return self._vector(chunk.encode(errors="replace").decode())

    def _vector(self, text: str) -> ChunkVector:
        retrying = Retrying(
            retry=retry_if_exception_type(TransientError),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS),
            reraise=True,
        )
        try:
            answer = retrying(self._invoke, text)
        except _TooLongError as error:
            if len(text) == 1:
                raise TextRefusedError(f"Bedrock, {self._model}: {error}") from None
            return self._halved(text)
        calls = int(retrying.statistics["attempt_number"])
        return ChunkVector(self._checked(answer), int(answer.get("inputTextTokenCount", 0)), calls)

    def _halved(self, text: str) -> ChunkVector:
        halves = [text[: len(text) // 2], text[len(text) // 2 :]]
        found = [self._vector(half) for half in halves]
        mean = np.average([one.vector for one in found], axis=0, weights=[len(half) for half in halves])
        return ChunkVector(
            mean.astype(np.float32), sum(one.tokens for one in found), sum(one.calls for one in found) + 1
        )

    def _invoke(self, text: str) -> Any:
        body = orjson.dumps({"inputText": text, "dimensions": DIMENSION, "normalize": True})
        with self._slots:
            try:
                answer = self._client.invoke_model(
                    modelId=self._model, body=body, contentType="application/json", accept="application/json"
                )
                return orjson.loads(answer["body"].read())
            except ClientError as error:
                raise self._refusal(error) from error
            except (NoCredentialsError, NoRegionError, ProfileNotFound) as error:
                raise UsageError(
                    f"Bedrock: {error}; set AWS credentials and BATCHJOB_BEDROCK_REGION"
                ) from error
            except (BotoCoreError, HTTPError, OSError, ValueError) as error:
                raise self._unavailable(str(error)) from error

    def _checked(self, answer: Any) -> Any:
        vector = np.asarray(answer.get("embedding", ()), dtype=np.float32)
        if vector.shape != (DIMENSION,):
            raise UsageError(
                f"Bedrock, {self._model}: an answer has a vector of shape {vector.shape}; the index takes {DIMENSION} "
                "dimensions, so set BATCHJOB_BEDROCK_MODEL to a model that makes these"
            )
        return vector

    def _refusal(self, error: ClientError) -> BatchjobError | _TooLongError:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        message = f"{code} ({status}): {error.response.get('Error', {}).get('Message', '')}"
        if code == "ValidationException":
            if TOO_LONG.search(message):
                return _TooLongError(message)
            if NO_MODEL in message:
                return UsageError(
                    f"Bedrock, {self._model}: {message} See BATCHJOB_BEDROCK_MODEL, BATCHJOB_BEDROCK_REGION"
                )
            return TextRefusedError(f"Bedrock, {self._model}: {message}")
        if code in MISCONFIGURED:
            return UsageError(f"Bedrock, {self._model}: {message}; {MISCONFIGURED[code]}")
        return self._unavailable(message)

    def _unavailable(self, message: str) -> TransientError:
        return TransientError(f"Bedrock, {self._model}: {message}; try again", cause="embedder_unavailable")
