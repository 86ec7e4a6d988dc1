"""What is forgotten is gone: from views, facts, search, the graph, and from the bytes of the store's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.memory.memory import open_memory

SECRET = {
    "role": "user",
    "name": "Anna",
    "content": "My cat is Quixotica. I keep a zebrafish named Wurzelbert.",
    "at": "2024-01-01",
}
OTHERS = [("user", f"heron {number} by the river") for number in range(80)]
WORDS = (b"quixot", b"zebrafish", b"zebrafi", b"wurzelbert")


def _bytes(store: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(store.parent.glob(f"{store.name}*"))).lower()


async def test_a_forgotten_message_is_gone_with_all_that_rests_on_it(store: Path) -> None:
    async with open_memory("anna", store=store) as memory:
        kept = await memory.remember([SECRET, *OTHERS])
        await memory.add_fact(
            "Anna owns Wurzelbert", subject="Anna", attribute="fish", value="Wurzelbert", source=kept.ids[0]
        )
        await memory.retire(memory.facts("fish Wurzelbert")[0].id, "Wurzelbert died")
        assert (await memory.dream()).episodes
        assert memory.graph.claims
        assert all(word in _bytes(store) for word in WORDS)
        await memory.forget(kept.ids[0])
        assert memory.message(kept.ids[0]) is None
        assert memory.facts() == memory.facts("Quixotica") == []
        assert not any("Quixotica" in one.text for one in await memory.search("Quixotica zebrafish", limit=99))
        view = await memory.view("Quixotica the cat and the zebrafish Wurzelbert", tokens=3_000)
        assert "Quixotica" not in view.text
        assert memory.graph.claims == 0
        assert not [word for word in WORDS if word in _bytes(store)]
        again = await memory.remember([SECRET, *OTHERS])
        assert (again.new, again.ids[0]) == (0, "")
        with pytest.raises(UsageError, match="holds no message, fact or episode"):
            await memory.forget(kept.ids[0])
    async with open_memory("anna", store=store) as memory:
        assert (await memory.remember([SECRET, *OTHERS])).new == 0
        assert len(list(memory.messages())) == len(OTHERS)
    assert not [word for word in WORDS if word in _bytes(store)]


async def test_a_message_that_others_repeat_is_forgotten_alone(store: Path) -> None:
    async with open_memory("anna", store=store) as memory:
        kept = await memory.remember([("user", "ok"), ("user", "yes"), ("user", "ok")])
        await memory.forget(kept.ids[0])
        assert [(one.num, one.text) for one in memory.messages()] == [(2, "yes"), (3, "ok")]
        assert (await memory.remember([("user", "ok"), ("user", "yes"), ("user", "ok")])).new == 0


async def test_what_is_forgotten_in_one_memory_stays_in_another(store: Path) -> None:
    async with open_memory("one", store=store) as one, open_memory("two", store=store) as two:
        kept = await one.remember([SECRET])
        await two.remember([SECRET])
        await one.forget(kept.ids[0])
        assert list(one.messages()) == []
        assert [message.text for message in two.messages()] == [SECRET["content"]]
        assert [fact.value for fact in two.facts()] == ["Quixotica"]


async def test_a_forgotten_fact_does_not_come_back_and_the_one_before_it_holds(store: Path) -> None:
    async with open_memory("anna", store=store) as memory:
        await memory.remember([("user", "I live in Rome."), ("user", "I moved to Oslo.")])
        by_hand = await memory.add_fact("user lives in Ulm", subject="user", attribute="location", value="Ulm")
        await memory.forget(by_hand.id)
        (oslo,) = memory.facts()
        assert oslo.value == "Oslo"
        await memory.forget(oslo.id)
        assert [fact.value for fact in memory.facts()] == ["Rome"]
    from swarm.memory.rebuild import rebuild

    async with open_memory("anna", store=store) as memory:
        rebuild(memory._home)
        assert [fact.value for fact in memory.facts()] == ["Rome"]
        assert memory.graph.claims == 1


async def test_a_forgotten_message_of_any_length_leaves_nothing(store: Path) -> None:
    async with open_memory("anna", store=store) as memory:
        kept = await memory.remember([("user", "quixotica and more " * 60_000), ("user", "short")])
        await memory.forget(kept.ids[0])
        assert len(memory) == 2
        assert memory.tokens < 10
    assert b"quixotica" not in _bytes(store)


async def test_a_whole_memory_is_forgotten_and_its_name_is_free(store: Path) -> None:
    async with open_memory("anna", store=store) as memory, open_memory("bob", store=store) as other:
        await memory.remember([SECRET, *OTHERS])
        await memory.write_block("style", "Wurzelbert")
        await memory.dream()
        await other.remember(OTHERS)
        await memory.forget_all()
        assert len(memory) == 0
        assert memory.facts() == []
        assert memory.blocks == {}
        assert len(await other.search("heron 7")) > 1
        assert not [word for word in WORDS if word in _bytes(store)]
        assert (await memory.remember(OTHERS)).new == len(OTHERS)


async def test_nothing_is_forgotten_by_a_letter_or_two_of_its_id(store: Path) -> None:
    async with open_memory("anna", store=store) as memory:
        await memory.remember([SECRET])
        fact = memory.facts()[0]
        for beginning in (fact.id[:1], fact.id[:7]):
            with pytest.raises(UsageError, match="8 characters or more"):
                await memory.forget(beginning)
        assert memory.fact(fact.id) is not None
        await memory.forget(fact.id[:8])
        assert memory.fact(fact.id) is None
