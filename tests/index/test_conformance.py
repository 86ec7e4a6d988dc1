"""Every index is held to the suite that ships with Swarm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.vectorstores import InMemoryVectorStore

from swarm.index import LangChainIndex, PineconeIndex, PostgresIndex, SqliteIndex
from swarm.testing.conformance import IndexConformance, MakeIndex
from swarm.testing.postgres import LocalPostgres
from swarm.testing.vectors import VectorServer, by_words


class TestSqliteIndex(IndexConformance):
    @pytest.fixture
    def index(self, tmp_path: Path) -> MakeIndex:
        return lambda: SqliteIndex(tmp_path / "store.db")


class TestSqliteIndexWithVectors(IndexConformance):
    @pytest.fixture
    def index(self, tmp_path: Path) -> MakeIndex:
        return lambda: SqliteIndex(tmp_path / "store.db", embed=by_words)


class TestPostgresIndex(IndexConformance):
    @pytest.fixture
    def index(self, postgres: LocalPostgres) -> MakeIndex:
        url = postgres.database()
        return lambda: PostgresIndex(url)


class TestPostgresIndexWithVectors(IndexConformance):
    @pytest.fixture
    def index(self, postgres: LocalPostgres) -> MakeIndex:
        url = postgres.database()
        return lambda: PostgresIndex(url, embed=by_words, schema="vectors_of_mine")


@pytest.fixture
def server() -> Iterator[VectorServer]:
    with VectorServer(key="pc-test") as server:
        yield server


class TestPineconeIndex(IndexConformance):
    @pytest.fixture
    def index(self, server: VectorServer) -> MakeIndex:
        return lambda: PineconeIndex("any", api_key="pc-test", base_url=server.url, embed=by_words)


class TestPineconeIndexThatEmbedsItself(IndexConformance):
    @pytest.fixture
    def index(self, server: VectorServer) -> MakeIndex:
        return lambda: PineconeIndex(host=server.url, api_key="pc-test")


class ByWords(Embeddings):
    """As a model: no text comes to a vector of zeros."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [vector if any(vector) else [1e-9, *vector[1:]] for vector in by_words(texts)]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


class LangChainConformance(IndexConformance):
    durable: ClassVar[bool] = False
    embeddings: ClassVar[Embeddings] = ByWords()

    @pytest.fixture
    def store(self) -> Callable[[], InMemoryVectorStore]:
        return lambda: InMemoryVectorStore(self.embeddings)


class TestLangChainIndexOfOneStore(LangChainConformance):
    @pytest.fixture
    def index(self, store: Callable[[], InMemoryVectorStore]) -> MakeIndex:
        one = store()
        return lambda: LangChainIndex(one)


class TestLangChainIndexWithAFilter(LangChainConformance):
    @pytest.fixture
    def index(self, store: Callable[[], InMemoryVectorStore]) -> MakeIndex:
        one = store()

        def only(space: str) -> Callable[..., bool]:
            return lambda document: document.metadata["swarm_space"] == space

        return lambda: LangChainIndex(one, filter_of=only)


class TestLangChainIndexOfAStoreForEachSpace(LangChainConformance):
    embeddings = DeterministicFakeEmbedding(size=64)

    @pytest.fixture
    def index(self, store: Callable[[], InMemoryVectorStore]) -> MakeIndex:
        stores: dict[str, InMemoryVectorStore] = {}
        return lambda: LangChainIndex(lambda space: stores.setdefault(space, store()))
