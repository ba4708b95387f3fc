"""The embedders keep one contract; Bedrock's, over HTTP: retries, the budget of calls, texts that are too long."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from batchjob.adapters.bedrock import BedrockEmbedder, bedrock_client
from batchjob.adapters.embedding_local import LocalEmbedder
from batchjob.enrich.embedding import EmbeddingStatus, embed_text
from batchjob.errors import TextRefusedError, TransientError, UsageError
from batchjob.ports import Embedder
from tests.support.bedrock_server import MODEL, Bedrock, Weather, bedrock_server, tokens_of, vector_of

CONTRACT = ["local", "bedrock"]


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@pytest.fixture
def bedrock() -> Iterator[Bedrock]:
    with bedrock_server() as server:
        yield server


@pytest.fixture(scope="module")
def local() -> Embedder:
    return LocalEmbedder("local")


def embedder_of(
    server: Bedrock, concurrency: int = 4, read_seconds: float = 5, model: str = MODEL
) -> BedrockEmbedder:
    client = bedrock_client("us-east-1", server.url, concurrency, read_seconds)
    return BedrockEmbedder(client, model, "bedrock", concurrency)


@pytest.fixture(params=CONTRACT)
def embedder(request: pytest.FixtureRequest, local: Embedder, bedrock: Bedrock) -> Embedder:
    return local if request.param == "local" else embedder_of(bedrock)


def test_every_chunk_has_a_unit_vector_in_its_place(embedder: Embedder) -> None:
    texts = ["契約の更新", "the pump must be stopped", "契約の更新"]
    found = embedder.embed(texts)

    vectors = np.asarray([one.vector for one in found])
    assert vectors.shape == (3, 512)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert np.allclose(vectors[0], vectors[2])
    assert not np.allclose(vectors[0], vectors[1], atol=0.05)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", "no_text"),
        ("😀" * 3000, "no_text"),
        ("\x00\x1b\x07 \f\n", "no_text"),
        ("漢" * 60_000, "ok"),
        ("\ud800 lone \udfff", "ok"),
        ("word\x00" * 1000, "ok"),
        ("1234567890" * 2000, "ok"),
    ],
    ids=["empty", "emoji", "controls", "60,000 kanji", "surrogates", "controls and words", "digits"],
)
def test_hostile_texts_have_a_vector_or_none(embedder: Embedder, text: str, status: str) -> None:
    found = embed_text(text, embedder)

    assert found.status == status
    assert (found.vector is not None) == (found.status is EmbeddingStatus.OK)
    if found.vector is not None:
        assert np.isclose(np.linalg.norm(found.vector), 1, atol=1e-3)


@pytest.mark.slow
def test_one_line_of_5_mb(embedder: Embedder) -> None:
    assert embed_text("文書" * 850_000, embedder).status is EmbeddingStatus.OK


def test_a_text_with_more_tokens_than_estimated_is_halved_and_weighed(bedrock: Bedrock) -> None:
    text = "日" * 10_001

    [found] = embedder_of(bedrock).embed([text])

    halves = [vector_of(text[:5000], 512), vector_of(text[5000:], 512)]
    assert np.allclose(found.vector, np.average(halves, axis=0, weights=[5000, 5001]), atol=1e-5)
    assert found.tokens == tokens_of(text)
    assert found.calls == 3
    assert [came for _, came in bedrock.calls] == ["ValidationException", "ok", "ok"]


def test_other_refusals_of_a_text_are_not_tried_again(bedrock: Bedrock) -> None:
    with pytest.raises(TextRefusedError, match="minLength"):
        embedder_of(bedrock).embed([""])
    assert len(bedrock.calls) == 1


def test_no_access_and_no_such_model_say_what_to_do(bedrock: Bedrock) -> None:
    with pytest.raises(UsageError, match="BATCHJOB_BEDROCK_MODEL"):
        embedder_of(bedrock, model="amazon.no-such-model").embed(["text"])
    bedrock.denied = True
    with pytest.raises(UsageError, match="bedrock:InvokeModel"):
        embedder_of(bedrock).embed(["text"])
    assert len(bedrock.calls) == 2


def test_an_endpoint_that_is_not_there_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchjob.adapters.bedrock.FIRST_WAIT_SECONDS", 0.001)
    client = bedrock_client("us-east-1", "http://127.0.0.1:9", 1)
    with pytest.raises(TransientError) as caught:
        BedrockEmbedder(client, MODEL, "bedrock", 1).embed(["text"])
    assert caught.value.cause == "embedder_unavailable"


@pytest.mark.parametrize(
    ("chunks", "concurrency"),
    [(300, 16), pytest.param(10_000, 32, marks=pytest.mark.slow)],
)
def test_in_bad_weather_all_are_embedded_within_the_budget(chunks: int, concurrency: int) -> None:
    weather = Weather(throttled=0.3, failed=0.05, stalled=0.01, seconds=0.002)
    texts = [f"chunk {n}" for n in range(chunks)]
    with bedrock_server(weather) as server:
        found = embedder_of(server, concurrency, read_seconds=3).embed(texts)
        calls = list(server.calls)

    assert all(
        np.allclose(one.vector, vector_of(text, 512), atol=1e-6)
        for one, text in zip(found, texts, strict=True)
    )
    assert server.most_at_once <= concurrency
    assert Counter(text for text, came in calls if came == "ok") == Counter(texts)  # none is paid for twice
    assert sum(came == "stalled" for _, came in calls) > 0
    assert sum(one.calls for one in found) == len(calls)  # so a stall costs one call more
