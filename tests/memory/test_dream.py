"""Idle time: old stretches get episodes that lead to their messages, doubles become one, and nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from swarm.memory import episodes
from swarm.memory.dream import RECENT
from swarm.memory.memory import open_memory
from swarm.models.base import Price
from swarm.models.scripted import Scripted
from swarm.prompts.typed import ConsolidatePrompt
from swarm.task import Limits


def talk(days: int) -> list[dict[str, Any]]:
    return [
        {
            "role": "user",
            "name": ("Anna", "Bob")[number % 2],
            "at": f"2024-02-{day:02}T10:{number:02}",
            "content": f"On day {day} I saw heron number {day * 100 + number} near the mill of Kessoway.",
        }
        for day in range(1, days + 1)
        for number in range(10)
    ]


async def test_old_sittings_get_episodes_and_the_messages_stay(store: Path) -> None:
    async with open_memory("a", store=store) as memory:
        kept = await memory.remember(talk(12))
        await memory.write_block("user", "Anna watches herons.")
        first = await memory.dream(most=3)
        assert (first.episodes, first.complete) == (3, False)
        rest = await memory.dream(most=50)
        assert (rest.complete, rest.stopped) == (True, None)
        told = episodes.every(memory.log)
        assert len(told) == first.episodes + rest.episodes
        assert told[-1].last <= len(memory) - RECENT
        covered = [place for one in told for place in range(one.first, one.last + 1)]
        assert covered == list(range(1, told[-1].last + 1))
        for one in told:
            for _, ids in one.pieces:
                assert ids
                assert {kept.ids.index(id_) + 1 for id_ in ids} <= set(range(one.first, one.last + 1))
        assert (await memory.dream()).episodes == 0
        assert [message.id for message in memory.messages()] == list(kept.ids)
        assert memory.blocks["user"].text == "Anna watches herons."
        view = await memory.view("What happened near the mill of Kessoway?", tokens=2_000)
        assert {item.kind for item in view.items} == {"block", "episode", "message"}


async def test_facts_that_say_the_same_become_one(store: Path) -> None:
    async with open_memory("a", store=store) as memory:
        kept = await memory.remember([("user", "hello")])
        by_hand = await memory.add_fact("In 1812 the mill of Kessoway burnt.")
        other = await memory.add_fact("The mill was rebuilt by Ann Smith.", source=kept.ids[0])
        assert (await memory.dream()).merged == 0
        assert {fact.id for fact in memory.facts()} == {by_hand.id, other.id}


async def test_a_limit_ends_a_dream_and_the_next_goes_on(store: Path) -> None:
    def write(prompt: Any) -> dict[str, Any]:
        assert isinstance(prompt, ConsolidatePrompt)
        return {"statements": [{"text": one.finding.claim, "findings": [one.label]} for one in prompt.shown[:3]]}

    price = Price(input_usd=10, output_usd=10, cached_usd=10)
    model = Scripted({"consolidate": write}, window=16_000, price=price)
    async with open_memory("a", store=store, model=model, limits=Limits(calls=2)) as memory:
        await memory.remember(talk(12))
        first = await memory.dream()
        assert (first.episodes, first.complete, first.stopped) == (2, False, "calls")
        assert first.usage.calls == 2
        assert first.usage.cost_usd > 0
        assert (await memory.dream()).episodes == 2
        assert len(model.calls) == 4


async def test_an_episode_goes_with_a_message_that_it_covers(store: Path) -> None:
    async with open_memory("a", store=store) as memory:
        first = {"role": "user", "content": "The quixotica flew over the mill.", "at": "2024-02-01"}
        kept = await memory.remember([first, *talk(12)])
        await memory.dream()
        (covering, *_) = episodes.covering(memory.log, 1)
        await memory.forget(covering.id)
        assert episodes.covering(memory.log, 1) == []
        (covering,) = episodes.covering(memory.log, 20)
        await memory.forget(kept.ids[19])
        assert covering.id not in {one.id for one in episodes.every(memory.log)}


async def test_what_readers_found_twice_is_one_fact(store: Path) -> None:
    def read(prompt: Any) -> dict[str, Any]:
        claims = ("In 1812 the mill burnt.", "The mill burnt in 1812.", "The mill was rebuilt.")
        text = "".join(passage.text for passage in prompt.passages)
        said = [claim for claim in claims if claim in text]
        return {"findings": [{"claim": claim, "quote": claim, "relevance": 0.9} for claim in said]}

    model = Scripted({"read": read, "consolidate": {"statements": []}}, window=8_000)
    async with open_memory("a", store=store, model=model) as memory:
        await memory.remember([("user", "In 1812 the mill burnt."), ("user", "The mill was rebuilt.")])
        await memory.flush()
        await memory.remember([("user", "I say it again: The mill burnt in 1812.")])
        await memory.flush()
        assert len(memory.facts()) == 3
        dreamt = await memory.dream()
        assert dreamt.merged == 1
        assert sorted(fact.text for fact in memory.facts()) == ["In 1812 the mill burnt.", "The mill was rebuilt."]
        assert (await memory.dream()).merged == 0
