"""An index of somebody else's beside the memory's own: kept up, fused, forgotten in, and never in the way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from swarm.errors import IndexFailed, UsageError
from swarm.index.base import Entry, Hit
from swarm.memory import indexed
from swarm.memory.memory import open_memory


class Elsewhere:
    """An index that knows that a feline is a cat, and may be away."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, Entry]] = {}
        self.away = self.hangs = False
        self.asked = 0

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
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
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


async def test_an_index_that_hangs_is_not_waited_for_and_left_alone(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexed, "_SEARCH_SECONDS", 0.05)
    index = Elsewhere()
    async with open_memory("a", store=store, index=index) as memory:
        await memory.remember([("user", "my cat sleeps")])
        index.hangs = True
        for _ in range(3):
            assert "my cat sleeps" in (await memory.view("cat", tokens=300)).text
            await memory.remember([("user", "good night")])
        assert index.asked == 1
        monkeypatch.setattr(indexed, "time", Later())
        index.hangs = False
        await memory.remember([("user", "good morning")])
        assert len(index.entries[memory.run_id]) == len(memory)


class Later:
    """A clock that is an hour ahead."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time() + 3_600


async def test_an_index_that_raises_what_it_may_not_costs_its_hits(store: Path) -> None:
    class Broken(Elsewhere):
        def _there(self) -> None:
            if self.away:
                raise KeyError("swarm")

    index = Broken()
    index.away = True
    async with open_memory("a", store=store, index=index) as memory:
        assert (await memory.remember([("user", "my cat sleeps")])).new == 1
        assert "my cat sleeps" in (await memory.view("cat", tokens=300)).text


async def test_what_an_index_should_not_hold_is_passed_over(store: Path) -> None:
    index = Elsewhere()
    async with open_memory("other", store=store) as other:
        await other.remember([("user", "my cat has a secret")])
    async with open_memory("a", store=store, index=index) as memory:
        await memory.remember([("user", "the weather is fine")])
        mine = index.entries[memory.run_id]
        for strange in ("²", "-1", "0", "x", "2", str(1 << 30), str((1 << 30) + 1), "9" * 30, "9" * 5_000):
            mine[strange] = Entry(strange, "cat")
        ids = [
            *(str(base + 1) for power in range(20, 60) for base in (1 << power, (2**64 - (1 << power)) % 2**64))
        ]
        mine.update({one: Entry(one, "cat") for one in ids})
        assert "secret" not in (await memory.view("feline", tokens=2_000)).text
        assert all("secret" not in one.text for one in await memory.search("feline"))


async def test_another_index_or_one_that_was_emptied_is_given_all(store: Path) -> None:
    first, second = Elsewhere(), Elsewhere()
    for index in (first, second):
        async with open_memory("a", store=store, index=index) as memory:
            await memory.remember([("user", f"message of herons {len(memory)}"), ("user", "and of cats")])
            assert len(index.entries[memory.run_id]) == len(memory)
    second.entries.clear()
    async with open_memory("a", store=store, index=second) as memory:
        await memory.remember([("user", "a new one")])
        assert len(second.entries[memory.run_id]) == len(memory)


async def test_what_is_no_index_is_told_and_no_password_with_it(store: Path) -> None:
    with pytest.raises(UsageError, match=r"swarm\.index") as caught:
        async with open_memory("a", store=store, index="postgresql://me:pass-word@host/db"):  # type: ignore[arg-type]
            pass
    assert "pass-word" not in str(caught.value)
