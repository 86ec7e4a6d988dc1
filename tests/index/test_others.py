"""Indexes of others: what they refuse is told in a line, with no key in it; rankings are fused by their places."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore

from swarm.errors import IndexFailed, UsageError
from swarm.index import Entry, LangChainIndex, PineconeIndex, fused
from swarm.testing.vectors import VectorServer, by_words


@pytest.fixture
def server() -> Iterator[VectorServer]:
    with VectorServer(key="pc-right") as server:
        yield server


async def test_a_key_that_pinecone_does_not_take_is_told_and_not_shown(server: VectorServer) -> None:
    async with PineconeIndex(host=server.url, api_key="pc-wrong-secret", embed=by_words) as index:
        with pytest.raises(UsageError, match="check its name and the key") as caught:
            await index.search("space", "pier", 3)
    assert "wrong-secret" not in str(caught.value)
    async with PineconeIndex("any", base_url=server.url, embed=by_words) as index:
        with pytest.raises(UsageError, match="PINECONE_API_KEY"):
            await index.search("space", "pier", 3)
    with pytest.raises(UsageError, match="name"):
        PineconeIndex()


async def test_a_pinecone_that_fails_is_tried_again_and_then_told(
    server: VectorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(_seconds: float) -> None:
        pass

    monkeypatch.setattr("pinecone._internal.http_client._async_retry_sleep", at_once)
    async with PineconeIndex(host=server.url, api_key="pc-right", embed=by_words) as index:
        await index.add("space", [Entry("a", "pier")])
        server.failures = [503]
        assert [hit.id for hit in await index.search("space", "pier", 3)] == ["a"]
        server.failures = [503] * 50
        with pytest.raises(IndexFailed, match="cannot be reached or used"):
            await index.search("space", "pier", 3)


async def test_pinecone_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pinecone", None)
    async with PineconeIndex("any", embed=by_words) as index:
        with pytest.raises(UsageError, match=r"swarm-memory\[pinecone\]"):
            await index.search("space", "pier", 3)


async def test_an_entry_with_nothing_to_embed_replaces_what_it_was(server: VectorServer) -> None:
    async with PineconeIndex(host=server.url, api_key="pc-right", embed=by_words) as index:
        await index.add("space", [Entry("a", "pier")])
        await index.add("space", [Entry("a", "...")])
        assert await index.search("space", "pier", 3) == []


class Distances(InMemoryVectorStore):
    """A store whose scores are distances: less is better."""

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        found = await super().asimilarity_search_with_score(query, k, **kwargs)
        return [(document, 1.0 - score) for document, score in found]


async def test_hits_are_ranked_by_the_order_in_which_a_store_gives_them() -> None:
    async with LangChainIndex(Distances(DeterministicFakeEmbedding(size=32))) as index:
        await index.add("space", [Entry(str(n), f"text {n}") for n in range(20)])
        hits = await index.search("space", "text 7", 5)
        assert hits[0].id == "7"
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


async def test_whatever_a_store_raises_is_told_in_a_line() -> None:
    class Broken(InMemoryVectorStore):
        async def asimilarity_search_with_score(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("no\nconnection to http://me:pass-word@host/")

    async with LangChainIndex(Broken(DeterministicFakeEmbedding(size=8))) as index:
        with pytest.raises(IndexFailed, match="no connection") as caught:
            await index.search("space", "pier", 3)
    assert "pass-word" not in str(caught.value)


class AllOrNothing(InMemoryVectorStore):
    """A store that deletes nothing where one of the ids is not there, and adds none that is, as FAISS does."""

    async def adelete(self, ids: Sequence[str] | None = None, **kwargs: Any) -> None:
        if missing := set(ids or ()) - set(self.store):
            raise ValueError(f"not there: {missing}")
        await super().adelete(ids, **kwargs)

    async def aadd_texts(self, texts: Any, metadatas: Any = None, *, ids: Any = None, **kwargs: Any) -> list[str]:
        if set(ids) & set(self.store):
            raise ValueError("already there")
        return await super().aadd_texts(texts, metadatas, ids=ids, **kwargs)


async def test_a_store_that_deletes_all_or_nothing_is_told_of_each_alone() -> None:
    store = AllOrNothing(DeterministicFakeEmbedding(size=8))
    async with LangChainIndex(store) as index:
        await index.add("space", [Entry("a", "one"), Entry("b", "two")])
        await index.add("space", [Entry("b", "two again"), Entry("c", "three")])
        await index.remove("space", ["never there", "a"])
        assert sorted(hit.id for hit in await index.search("space", "pier", 9)) == ["b", "c"]


async def test_a_store_that_does_not_delete_is_not_asked_without_end() -> None:
    class Keeping(InMemoryVectorStore):
        async def adelete(self, ids: Sequence[str] | None = None, **_: Any) -> None:
            pass

    async with LangChainIndex(Keeping(DeterministicFakeEmbedding(size=8))) as index:
        await index.add("space", [Entry("a", "one")])
        with pytest.raises(IndexFailed, match="told to delete"):
            await index.clear("space")


async def test_what_others_keep_in_a_namespace_is_no_hit(server: VectorServer) -> None:
    async with PineconeIndex(host=server.url, api_key="pc-right", embed=by_words) as index:
        await index.add("space", [Entry("a", "pier"), Entry("b", "a pier")])
        key = next(iter(server.spaces["space"]))
        server.spaces["space"][key] = (server.spaces["space"][key][0], {"text": "a note"})
        assert len(await index.search("space", "pier", 3)) == 1


def test_what_two_rankings_agree_on_comes_first() -> None:
    assert [one for one, _ in fused([list("abc"), list("cxb")])] == ["c", "b", "a", "x"]
    assert fused([]) == fused([[], []]) == []
    assert [one for one, _ in fused([list("ab"), list("ba")], weights=[1, 3])] == ["b", "a"]
    assert [one for one, _ in fused([["a", "a", "b"]])] == ["a", "b"]


def test_a_ranking_alone_keeps_its_order_and_its_place_in_the_list_does_not_matter() -> None:
    dice = random.Random(5)
    for _ in range(50):
        rankings = [dice.sample(range(30), dice.randint(0, 30)) for _ in range(3)]
        assert [one for one, _ in fused(rankings[:1])] == rankings[0]
        scores = dict(fused(rankings))
        assert scores == pytest.approx(dict(fused(reversed(rankings))))
        assert list(scores.values()) == sorted(scores.values(), reverse=True)
