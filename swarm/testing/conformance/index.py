"""What every index is held to, ours and yours: a class of tests for pytest with `pytest-asyncio`.

    class TestMyIndex(IndexConformance):
        @pytest.fixture
        def index(self, tmp_path):
            return lambda: MyIndex(tmp_path / "index")

`index` makes one and the same index again and again; the suite closes what it makes. Set `durable = False` where
nothing outlives the object, and `late_seconds` where what was added is found later only. The suite asks for texts
by their own words, so that it holds for indexes by words and by meaning alike. It knows the protocol and no index.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import ClassVar

from swarm.index.base import Entry, Hit, Index
from swarm.testing.conformance.given import TEXTS

MakeIndex = Callable[[], Index]

LINES = (
    "the harbour master closed the northern pier",
    "seven barrels of olive oil were sold at auction",
    "a lighthouse keeper counts migrating storks",
    "the tax on salt was lifted in spring",
    "violins are tuned before the second movement",
    "glaciers carve valleys over thousands of winters",
    "her grandmother taught chess to the whole village",
    "the compiler unrolled every inner loop",
)
"""Texts that share no telling word."""

HOSTILE = (
    '"', "'", "\\", "NEAR(a b)", "a AND", "* OR *", "text : pier", "pier*", "^pier", "-pier", "{x}", "%s %(a)s",
    "'; DROP TABLE entries;--", "pier & !", "a | b", "(", "<->", ":*", "\0pier", "pier\n\npier", "\ud83d pier",
)  # fmt: skip
"""Queries, ids and texts that are expressions somewhere, or that databases refuse."""


LONG = "".join(chr(0x4E00 + number * 7_919 % 20_000) for number in range(4_000))
"""A long name that hardly compresses."""


def entries(*texts: str) -> list[Entry]:
    return [Entry(f"id {number}", text) for number, text in enumerate(texts)]


def ids(hits: list[Hit]) -> list[str]:
    return [hit.id for hit in hits]


@asynccontextmanager
async def used(index: MakeIndex) -> AsyncIterator[Index]:
    made = index()
    try:
        yield made
    finally:
        await made.close()


class IndexConformance:
    """All of it: derive from this."""

    durable: ClassVar[bool] = True
    late_seconds: ClassVar[float] = 0.0

    async def _later(self) -> None:
        if self.late_seconds:
            await asyncio.sleep(self.late_seconds)

    async def test_what_was_added_is_found_by_its_words_and_comes_first(self, index: MakeIndex) -> None:
        async with used(index) as made:
            await made.add("space", entries(*LINES))
            await self._later()
            for number, line in enumerate(LINES):
                assert ids(await made.search("space", line, 3))[0] == f"id {number}"

    async def test_hits_are_no_more_than_asked_for_distinct_and_best_first(self, index: MakeIndex) -> None:
        async with used(index) as made:
            await made.add("space", entries(*[f"{line} and more of the same" for line in LINES]))
            await self._later()
            for limit in (1, 3, 50):
                hits = await made.search("space", "more of the same pier", limit)
                assert 0 < len(hits) <= limit
                assert len(set(ids(hits))) == len(hits)
                assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
            assert await made.search("space", "pier", 0) == []

    async def test_a_space_that_is_not_there_holds_nothing(self, index: MakeIndex) -> None:
        async with used(index) as made:
            assert await made.search("nowhere", "pier", 5) == []
            await made.remove("nowhere", ["id"])
            await made.clear("nowhere")
            await made.add("empty", [])
            assert await made.search("empty", "pier", 5) == []

    async def test_an_id_that_is_written_again_is_replaced(self, index: MakeIndex) -> None:
        async with used(index) as made:
            await made.add("space", [Entry("a", LINES[0]), Entry("b", LINES[1])])
            await made.add("space", [Entry("a", LINES[2])])
            await made.add("space", [Entry("c", LINES[3]), Entry("c", LINES[4])])
            await self._later()
            assert ids(await made.search("space", LINES[2], 1)) == ["a"]
            assert ids(await made.search("space", LINES[4], 1)) == ["c"]
            found = ids(await made.search("space", " ".join(LINES), 10))
            assert sorted(found) == sorted(set(found))
            assert set(found) <= {"a", "b", "c"}

    async def test_what_was_removed_is_not_found(self, index: MakeIndex) -> None:
        async with used(index) as made:
            await made.add("space", entries(*LINES))
            await made.remove("space", ["id 0", "id 0", "never there"])
            await made.remove("space", [])
            await self._later()
            assert "id 0" not in ids(await made.search("space", LINES[0], 50))
            assert ids(await made.search("space", LINES[1], 1)) == ["id 1"]
            await made.add("space", [Entry("id 0", LINES[0])])
            await self._later()
            assert ids(await made.search("space", LINES[0], 1)) == ["id 0"]

    async def test_spaces_know_nothing_of_one_another(self, index: MakeIndex) -> None:
        async with used(index) as made:
            await made.add("one", [Entry("a", LINES[0]), Entry("b", LINES[1])])
            await made.add("other", [Entry("a", LINES[2]), Entry("z", LINES[0])])
            await self._later()
            assert set(ids(await made.search("one", " ".join(LINES), 10))) <= {"a", "b"}
            assert ids(await made.search("one", LINES[0], 1)) == ["a"]
            assert ids(await made.search("other", LINES[0], 1)) == ["z"]
            await made.remove("one", ["a"])
            await self._later()
            assert ids(await made.search("other", LINES[2], 1)) == ["a"]
            await made.clear("one")
            await self._later()
            assert await made.search("one", LINES[1], 5) == []
            assert ids(await made.search("other", LINES[0], 1)) == ["z"]
            await made.add("one", [Entry("c", LINES[5])])
            await self._later()
            assert ids(await made.search("one", LINES[5], 5)) == ["c"]

    async def test_what_is_in_one_space_changes_no_ranking_of_another(self, index: MakeIndex) -> None:
        texts = [f"{LINES[n]} {LINES[(n + 3) % 8]}" for n in range(8)]
        queries = ["salt and oil", "pier village", *texts]
        async with used(index) as made:
            await made.add("space", entries(*texts))
            await self._later()
            before = [await made.search("space", query, 5) for query in queries]
            await made.add("another", entries(*["salt pier oil", "pier pier pier salt"] * 40))
            await self._later()
            after = [await made.search("space", query, 5) for query in queries]
            assert [[hit.score for hit in hits] for hits in after] == [
                [hit.score for hit in hits] for hits in before
            ]
            assert [hits[0].id for hits in after[2:]] == [f"id {n}" for n in range(8)]

    async def test_no_text_of_a_query_is_taken_for_an_expression(self, index: MakeIndex) -> None:
        async with used(index) as made:
            await made.add("space", entries(*LINES))
            await self._later()
            for query in (*HOSTILE, *TEXTS.values(), "", "  \n", "x" * 10_000, "the of and"):
                assert len(await made.search("space", query, 3)) <= 3
            assert ids(await made.search("space", LINES[0], 1)) == ["id 0"]

    async def test_ids_spaces_and_texts_of_any_kind_are_taken(self, index: MakeIndex) -> None:
        async with used(index) as made:
            odd = list(dict.fromkeys([*TEXTS.values(), *HOSTILE, LONG]))
            for space in ("plain", "sp\"ace \\ 'x", "空間", LONG):
                await made.add(space, [Entry(id_, f"{LINES[n % 8]} number{n}") for n, id_ in enumerate(odd)])
                await made.add(space, [Entry("odd", text, text) for text in odd])
                await made.add(space, [Entry("context", LINES[6], LINES[7])])
                await self._later()
                known = {*odd, "odd", "context"}
                for n in (1, 7, len(odd) - 1):
                    hits = ids(await made.search(space, f"{LINES[n % 8]} number{n}", 1))
                    assert hits == [odd[n]]
                assert set(ids(await made.search(space, "pier winters", 100))) <= known
                await made.remove(space, odd)
                await self._later()
                assert set(ids(await made.search(space, LINES[0], 100))) <= {"odd", "context"}

    async def test_a_thousand_are_added_at_once(self, index: MakeIndex) -> None:
        async with used(index) as made:
            await made.add("space", [Entry(str(n), f"entry{n} {LINES[n % 8]}") for n in range(1_000)])
            await self._later()
            assert "777" in ids(await made.search("space", f"entry777 {LINES[777 % 8]}", 3))

    async def test_several_use_it_at_once(self, index: MakeIndex) -> None:
        async with used(index) as made:

            async def work(number: int) -> list[str]:
                await made.add(f"space {number % 3}", [Entry(str(number), LINES[number])])
                await self._later()
                return ids(await made.search(f"space {number % 3}", LINES[number], 1))

            found = await asyncio.gather(*[work(number) for number in range(8)])
            assert found == [[str(number)] for number in range(8)]

    async def test_what_was_closed_is_opened_again_and_holds_what_it_held(self, index: MakeIndex) -> None:
        made = index()
        await made.close()
        await made.add("space", entries(*LINES))
        await self._later()
        await made.close()
        await made.close()
        if not self.durable:
            return
        assert ids(await made.search("space", LINES[3], 1)) == ["id 3"]
        await made.close()
        async with used(index) as again:
            assert ids(await again.search("space", LINES[3], 1)) == ["id 3"]
