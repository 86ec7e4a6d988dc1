"""Embeddings from an endpoint: asked in batches, once for a text, tried again, and with no key shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from swarm.errors import IndexFailed, ModelError
from swarm.index import Cached, LocalEmbeddings, OpenAIEmbeddings, embeddings
from swarm.testing.vectors import SIZE, VectorServer, by_words


@pytest.fixture
def server() -> Iterator[VectorServer]:
    with VectorServer(key="sk-embedding-key") as server:
        yield server


@pytest.fixture
def embed(server: VectorServer, tmp_path: Path) -> Iterator[OpenAIEmbeddings]:
    made = OpenAIEmbeddings(
        "any", base_url=server.openai_url, api_key="sk-embedding-key", store=tmp_path / "store.db"
    )
    with made:
        yield made


def test_texts_come_back_as_vectors_in_their_order(server: VectorServer, embed: OpenAIEmbeddings) -> None:
    texts = [f"text {n}" for n in range(600)]
    assert np.allclose(embed(texts), by_words(texts))
    assert server.requests["/v1/embeddings"] == embed.calls == 3
    assert embed.tokens > 600


def test_no_text_is_paid_for_twice(server: VectorServer, embed: OpenAIEmbeddings, tmp_path: Path) -> None:
    embed(["one", "two", "one"])
    embed(["two", "three"])
    assert sorted(server.texts) == ["one", "three", "two"]
    other = OpenAIEmbeddings(
        "any", base_url=server.openai_url, api_key="sk-embedding-key", store=tmp_path / "store.db"
    )
    with other:
        assert np.allclose(other(["three", "one"]), by_words(["three", "one"]))
        assert other.calls == 0
    short = OpenAIEmbeddings(
        "any",
        base_url=server.openai_url,
        api_key="sk-embedding-key",
        store=tmp_path / "store.db",
        dimensions=8,
    )
    with short:
        assert [len(vector) for vector in short(["one"])] == [8]


def test_what_was_made_before_a_failure_is_kept(
    server: VectorServer, embed: OpenAIEmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "_TEXTS", 2)
    monkeypatch.setattr(embeddings, "_RETRIES", 0)
    texts = ["one", "two", "three", "four"]
    made = embed._kept._embed if embed._kept is not None else None
    assert made is not None
    calls: list[Sequence[str]] = []

    def failing(some: Sequence[str]) -> Sequence[Sequence[float]]:
        calls.append(some)
        if len(calls) == 2:
            server.failures = [400]
        return made(some)

    assert embed._kept is not None
    embed._kept._embed = failing
    with pytest.raises(IndexFailed):
        embed(texts)
    assert np.allclose(embed(texts), by_words(texts))
    assert sorted(server.texts) == sorted(texts)


def test_what_fails_for_a_while_is_tried_again(server: VectorServer, embed: OpenAIEmbeddings) -> None:
    server.failures = [500]
    assert len(embed(["one"])) == 1
    assert server.requests["/v1/embeddings"] == 2


def test_a_key_that_is_not_taken_is_told_and_not_shown(server: VectorServer) -> None:
    embed = OpenAIEmbeddings("any", base_url=server.openai_url, api_key="sk-another-secret-key")
    with embed, pytest.raises(ModelError, match="check the key") as caught:
        embed(["one"])
    assert "another-secret" not in str(caught.value)
    assert "secret" not in embed.name


@pytest.mark.parametrize("said", [{"error": "no"}, {"data": None}, {"data": []}, ["no"], "no", None])
def test_a_reply_that_holds_no_vectors_is_told(
    server: VectorServer, monkeypatch: pytest.MonkeyPatch, said: object
) -> None:
    monkeypatch.setattr(server, "_answer", lambda *_: (200, said))
    with OpenAIEmbeddings("any", base_url=server.openai_url, api_key="sk-embedding-key") as embed:
        with pytest.raises(IndexFailed, match="vectors for 1 texts"):
            embed(["one"])
        assert embed.calls == 0


def test_a_missing_key_is_told() -> None:
    with OpenAIEmbeddings() as embed, pytest.raises(ModelError, match="OPENAI_API_KEY"):
        embed(["one"])


def test_a_text_of_any_length_or_none_is_embedded(server: VectorServer, embed: OpenAIEmbeddings) -> None:
    long = "stone and sand " * 400_000
    assert [len(vector) for vector in embed([long, "", " \n", "half a pair \ud83d"])] == [SIZE] * 4
    assert max(len(text) for text in server.texts) < 50_000
    assert all(text.strip() for text in server.texts)
    assert embed([]) == []


def test_a_function_of_ones_own_is_cached_by_its_name(tmp_path: Path) -> None:
    asked: list[str] = []

    def mine(texts: Sequence[str]) -> list[list[float]]:
        asked.extend(texts)
        return by_words(texts)

    with pytest.raises(ModelError, match="name"):
        Cached(mine, tmp_path / "store.db")
    for name in ("first", "first", "second"):
        assert np.allclose(Cached(mine, tmp_path / "store.db", name=name)(["a b", "c"]), by_words(["a b", "c"]))
    assert asked == ["a b", "c"] * 2


def test_a_local_model_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ModelError, match=r"swarm-memory\[embeddings\]"):
        LocalEmbeddings()(["one"])


def test_a_local_model_is_loaded_once_and_its_vectors_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIMULATED: a stand-in for the library, which is not here."""
    loaded: list[str] = []
    encoded: list[str] = []

    class SentenceTransformer:
        def __init__(self, name: str) -> None:
            loaded.append(name)

        def encode(self, texts: list[str], *, show_progress_bar: bool) -> list[list[float]]:
            encoded.extend(texts)
            return by_words(texts)

    module = ModelType("sentence_transformers", SentenceTransformer)
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    embed = LocalEmbeddings("small", store=tmp_path / "store.db")
    embed(["one", "two"])
    assert np.allclose(embed(["two", "three"]), by_words(["two", "three"]))
    assert (loaded, encoded) == (["small"], ["one", "two", "three"])


class ModelType(ModuleType):
    def __init__(self, name: str, kind: type) -> None:
        super().__init__(name)
        self.SentenceTransformer = kind
