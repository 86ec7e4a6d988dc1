"""The index in the store's file: bounded, shared with whatever else is there, and rid of what is removed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest

from swarm import history
from swarm.errors import IndexFailed, StoreError, UsageError
from swarm.index import Entry, SqliteIndex, sqlite, words
from swarm.run import Swarm
from swarm.store.opening import open_store
from swarm.store.shared import shared_store
from swarm.task import Task
from swarm.testing.vectors import by_words


def by_length(texts: Sequence[str]) -> list[list[float]]:
    return [[1.0, float(len(text))] for text in texts]


async def found(index: SqliteIndex, query: str, limit: int = 10, space: str = "space") -> list[str]:
    return [hit.id for hit in await index.search(space, query, limit)]


async def test_words_are_found_in_all_their_forms_and_in_any_script(tmp_path: Path) -> None:
    async with SqliteIndex(tmp_path / "store.db") as index:
        texts = {
            "en": "Foxes were running",
            "fr": "la forêt brûlée",
            "zh": "北京的天气很好",
            "de": "Straßenbahnen",
        }
        await index.add("space", [Entry(id_, text) for id_, text in texts.items()])
        assert await found(index, "a fox ran or runs") == ["en"]
        assert await found(index, "FORET brulee") == ["fr"]
        assert await found(index, "天气") == ["zh"]
        assert await found(index, "straßenbahnen") == ["de"]


async def test_the_context_counts_less_than_the_text(tmp_path: Path) -> None:
    async with SqliteIndex(tmp_path / "store.db") as index:
        await index.add(
            "space", [Entry("under", "some other thing", "pier"), Entry("in", "some other pier", "thing")]
        )
        assert await found(index, "pier") == ["in", "under"]


async def test_common_words_cost_a_bounded_look_and_rare_ones_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    holding = sqlite._Space.holding

    def counted(self: sqlite._Space, wanted: Sequence[str]) -> list[int]:
        looked.append(len(nums := holding(self, wanted)))
        return nums

    for module in (words, sqlite):
        monkeypatch.setattr(module, "POSTINGS", 20)
    monkeypatch.setattr(sqlite._Space, "holding", counted)
    async with SqliteIndex(tmp_path / "store.db") as index:
        entries = [Entry(str(n), "market") for n in range(300)] + [Entry(str(n), "stall") for n in range(300, 600)]
        entries += [Entry("both", "the stall on the market"), Entry("rare", "market with an astrolabe")]
        await index.add("space", entries)
        assert (await found(index, "market astrolabe", 3))[0] == "rare"
        assert (await found(index, "market stall", 3))[0] == "both"
        assert len(await found(index, "market", 10)) == 10
        assert max(looked) <= 20


async def test_what_was_removed_is_not_in_the_file_any_more(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    async with SqliteIndex(store, embed=by_words) as index:
        await index.add("space", [Entry(f"id {n}", f"plain text {n}") for n in range(50)])
        await index.add("space", [Entry("zanzibar", "the xylophonist pays", "quetzalcoatl")])
        await index.add("cleared", [Entry("walrus", "mnemosyne")])
        await index.remove("space", ["zanzibar"])
        await index.clear("cleared")
        assert await found(index, "xylophonist plain") == await found(index, "plain")
    with open_store(store) as opened:
        opened.database.write_sync(
            lambda connection: connection.execute(
                "INSERT INTO index_words (index_words, rank) VALUES ('integrity-check', 1)"
            )
        )
    content = store.read_bytes()
    for word in (b"zanzibar", b"xylophonist", b"quetzalcoatl", b"mnemosyn", b"walrus", b"cleared"):
        assert word not in content


async def test_meaning_finds_what_shares_no_word(tmp_path: Path) -> None:
    def by_concept(texts: Sequence[str]) -> list[list[float]]:
        concepts = ({"cat", "feline"}, {"naps", "rests"}, {"sells", "trades"})
        return [[float(bool(concept & set(text.split()))) for concept in concepts] for text in texts]

    async with SqliteIndex(tmp_path / "store.db", embed=by_concept) as index:
        await index.add(
            "space", [Entry("a", "the cat naps"), Entry("b", "he sells rugs"), Entry("c", "nothing of it")]
        )
        assert (await found(index, "where the feline rests"))[0] == "a"
        assert (await found(index, "who trades"))[0] == "b"
        assert await found(index, "zzz") == []


async def test_vectors_of_two_embeddings_do_not_get_into_one_space(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    async with SqliteIndex(store, embed=by_words) as index, SqliteIndex(store, embed=by_length) as other:
        await index.add("space", [Entry("a", "pier")])
        with pytest.raises(UsageError, match="clear the space"):
            await other.add("space", [Entry("b", "pier")])
        with pytest.raises(UsageError, match="clear the space"):
            await other.search("space", "pier", 3)
        assert await found(index, "pier") == ["a"]
        await other.clear("space")
        await other.add("space", [Entry("b", "pier")])


async def test_an_embedding_that_gives_too_few_vectors_is_told(tmp_path: Path) -> None:
    async with SqliteIndex(tmp_path / "store.db", embed=lambda texts: by_words(texts[:1])) as index:
        with pytest.raises(IndexFailed, match="1 vectors for 2 texts"):
            await index.add("space", [Entry("a", "pier"), Entry("b", "mole")])
        assert await found(index, "pier") == []


@pytest.mark.parametrize(
    "embed",
    [
        lambda texts: [[1.0] * (2 + at) for at, _ in enumerate(texts)],
        lambda texts: [1.0 for _ in texts],
        lambda texts: [[[1.0, 2.0]] for _ in texts],
        lambda texts: ["vector" for _ in texts],
        lambda texts: None,
        lambda texts: {}["vectors"],
    ],
)
async def test_an_embedding_that_fails_or_gives_no_vectors_is_told_in_a_line(tmp_path: Path, embed: Any) -> None:
    async with SqliteIndex(tmp_path / "store.db", embed=embed) as index:
        with pytest.raises(IndexFailed, match="the embedding"):
            await index.add("space", [Entry("a", "pier"), Entry("b", "mole")])


async def test_a_vector_of_no_number_does_not_come_first(tmp_path: Path) -> None:
    def embed(texts: Sequence[str]) -> list[list[float]]:
        return [[float("nan") if "broken" in text else 1.0, 1.0] for text in texts]

    async with SqliteIndex(tmp_path / "store.db", embed=embed) as index:
        await index.add("space", [Entry("a", "broken"), Entry("b", "a pier")])
        assert await found(index, "mole") == ["b"]


async def test_vectors_need_the_extra_and_words_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlite_vec", None)
    async with SqliteIndex(tmp_path / "store.db", embed=by_words) as index:
        with pytest.raises(UsageError, match=r"swarm-memory\[vectors\]"):
            await index.add("space", [Entry("a", "pier")])
    async with SqliteIndex(tmp_path / "store.db") as index:
        await index.add("space", [Entry("a", "pier")])
        assert await found(index, "pier") == ["a"]


async def test_a_file_that_is_broken_is_told_in_a_line(tmp_path: Path) -> None:
    async with SqliteIndex(tmp_path / "store.db") as index:
        await index.add("space", [Entry("a", "pier")])
        apsw.Connection(str(tmp_path / "store.db")).execute("DROP TABLE index_words")
        with pytest.raises(StoreError, match="name another store"):
            await index.search("space", "pier", 3)


async def test_a_text_of_millions_of_characters_is_one_entry(tmp_path: Path) -> None:
    async with SqliteIndex(tmp_path / "store.db") as index:
        long = "sand and stone " * 300_000
        await index.add("space", [Entry("long", f"{long} astrolabe"), Entry("short", "a short one of stone")])
        assert await found(index, "astrolabe") == ["long"]
        assert set(await found(index, "stone")) == {"long", "short"}


async def test_it_shares_the_store_of_a_run_and_what_is_forgotten_goes_out_of_it(tmp_path: Path) -> None:
    store, paper = tmp_path / "store.db", tmp_path / "paper.md"
    paper.write_text("The harbour master closed the northern pier.\n\nThe salt tax was lifted.", "utf-8")
    async with SqliteIndex(store, embed=by_words) as index:
        await index.add("mine", [Entry("kept", "the harbour of mine")])
        task = Task(questions=("Who closed the pier?",), paths=(str(paper),))
        answer = await Swarm(store=store, index=index).run(task)
        assert "harbour master" in answer.text
        with shared_store(store) as opened:
            rows = opened.store.database.read("SELECT name, entries FROM index_spaces")
            assert len(rows) == 2
    await history.forget(answer.run_id, store)
    with open_store(store, read_only=True) as store_:
        assert store_.database.read("SELECT sum(entries) FROM index_spaces") == [(1,)]
        assert store_.database.read("SELECT count(*) FROM indexed") == [(0,)]
    assert b"northern" not in store.read_bytes()
