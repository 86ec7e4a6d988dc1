"""An index of somebody else's beside the memory's own: kept up, fused, forgotten in, and never in the way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from swarm.errors import IndexFailed
from swarm.index.base import Entry, Hit
from swarm.memory.memory import open_memory


class Elsewhere:
    """An index that knows that a feline is a cat, and may be away."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, Entry]] = {}
        self.away = False

    def _there(self) -> None:
        if self.away:
            raise IndexFailed("nobody answers")

    async def add(self, space: str, items: Sequence[Entry]) -> None:
        self._there()
        self.entries.setdefault(space, {}).update({item.id: item for item in items})

    async def remove(self, space: str, ids: Sequence[str]) -> None:
        self._there()
        for id_ in ids:
            self.entries.get(space, {}).pop(id_, None)

    async def search(self, space: str, query: str, limit: int) -> list[Hit]:
        self._there()
        word = query.replace("feline", "cat")
        return [Hit(one.id, 1.0) for one in self.entries.get(space, {}).values() if word in one.text][:limit]

    async def clear(self, space: str) -> None:
        self.entries.pop(space, None)

    async def close(self) -> None:
        pass


async def test_what_an_index_finds_is_in_the_view_and_the_search(store: Path) -> None:
    index = Elsewhere()
    async with open_memory("a", store=store, index=index) as memory:
        talk = [("user", f"message {number} of herons") for number in range(300)]
        kept = await memory.remember([*talk, ("user", "my cat sleeps"), *talk[:5]])
        assert len(index.entries[memory.run_id]) == 306
        view = await memory.view("feline", tokens=300, recent=0)
        assert "my cat sleeps" in view.text
        assert [one.text for one in await memory.search("feline", limit=1)] == ["my cat sleeps"]
        assert await memory.search("feline", limit=1, who="nobody") == []
        await memory.forget(kept.ids[300])
        assert len(index.entries[memory.run_id]) == 305
        assert "my cat sleeps" not in (await memory.view("feline", tokens=300)).text


async def test_an_index_that_is_away_holds_nothing_up_and_is_caught_up_with(store: Path) -> None:
    index = Elsewhere()
    async with open_memory("a", store=store, index=index) as memory:
        index.away = True
        assert (await memory.remember([("user", "my cat sleeps")])).new == 1
        assert "my cat sleeps" in (await memory.view("cat", tokens=300)).text
        index.away = False
        await memory.remember([("user", "good night")])
        assert len(index.entries[memory.run_id]) == 2
