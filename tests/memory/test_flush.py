"""Reading with a model: what is unread is read once, a branch pays for its own part alone, and limits lose
nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from swarm.events import Event
from swarm.memory.memory import Memory, open_memory
from swarm.models.base import Price
from swarm.models.scripted import Scripted
from swarm.prompts.typed import ReadPrompt
from swarm.store.shared import shared_store
from swarm.task import Limits

LONG = "The heron stood by the river and did not move for a long time while the water rose. " * 20


def _read(prompt: Any) -> dict[str, Any]:
    """What a good reader would report: who has which bird."""
    assert isinstance(prompt, ReadPrompt)
    text = "".join(passage.text for passage in prompt.passages)
    findings = []
    for found in re.finditer(r"(\w+)'s bird: (\w+)", text):
        findings.append(
            {
                "claim": f"{found[1]} has a {found[2]}",
                "quote": found[0],
                "relevance": 0.9,
                "subject": found[1],
                "attribute": "bird",
                "value": found[2],
            }
        )
    return {"findings": findings}


def reader(**more: Any) -> Scripted:
    return Scripted({"read": _read, "consolidate": {"statements": []}}, **({"max_output": 8_000} | more))


def talk(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "role": "user",
            "name": "Anna",
            "content": f"{LONG} P{number}'s bird: B{number}",
            "at": f"2024-01-{1 + number % 28:02}T10:{number % 60:02}",
        }
        for number in range(first, first + count)
    ]


def opened(store: Path, name: str, model: Scripted, **more: Any) -> Any:
    return open_memory(name, store=store, model=model, **more)


def _chars(model: Scripted) -> int:
    """Characters of material that a model was sent."""
    return sum(
        len(passage.text) for call in model.calls if isinstance(call, ReadPrompt) for passage in call.passages
    )


async def test_what_is_unread_is_read_once_and_its_findings_rest_on_the_messages(store: Path) -> None:
    model = reader(window=16_000)
    async with opened(store, "one", model) as memory:
        assert (await memory.remember(talk(60))).unread_tokens == memory.unread_tokens > 10_000
        assert memory.facts() == []
        events: list[Event] = []
        flushed = await memory.flush(on_event=events.append)
        assert flushed.complete
        assert (flushed.findings, flushed.unread_tokens, memory.unread_tokens) == (60, 0, 0)
        assert flushed.read_tokens == memory.tokens
        assert flushed.usage.calls == len(model.calls) > 2
        assert {type(event).__name__ for event in events} >= {"RunStarted", "SliceFinished"}
        (fact,) = memory.facts("P7 bird")[:1]
        assert (fact.value, fact.origin, fact.at) == ("B7", "reader", "2024-01-08T10:07")
        assert fact.span is not None
        assert memory.quote(fact.span) == "P7's bird: B7"
        before = len(model.calls)
        assert await memory.flush() == type(flushed)()
        await memory.remember([*talk(60), {"role": "user", "content": "P7's bird: Z7"}])
        again = await memory.flush()
        assert (len(model.calls) - before, again.findings) == (1, 1)
        assert _chars(model) < 1.2 * sum(len(one["content"]) for one in talk(60))
        assert [one.value for one in memory.history("P7", "bird")] == ["B7", "Z7"]


async def test_a_branch_of_a_conversation_pays_for_its_own_part_alone(store: Path) -> None:
    one, two = reader(window=16_000), reader(window=16_000)
    async with opened(store, "one", one) as memory:
        await memory.remember(talk(60))
        await memory.flush()
    async with opened(store, "two", two) as branch:
        await branch.remember([*talk(40), {"role": "user", "content": "Q's bird: owl"}])
        flushed = await branch.flush()
        assert flushed.complete
        assert flushed.known_tokens > 0.6 * branch.tokens
        assert flushed.known_tokens + flushed.read_tokens == branch.tokens
        assert _chars(two) < 0.4 * _chars(one)
        assert len(branch.facts(limit=200)) == 41
        fact = branch.facts("P3 bird")[0]
        assert fact.span is not None
        assert branch.quote(fact.span) == "P3's bird: B3"
        assert branch.message(fact.span.source) is not None


async def test_a_limit_ends_a_flush_and_the_next_goes_on(store: Path) -> None:
    model = reader(window=16_000)
    async with opened(store, "one", model, limits=Limits(calls=3)) as memory:
        await memory.remember(talk(60))
        first = await memory.flush()
        assert not first.complete
        assert first.stopped == "calls"
        assert 0 < first.findings < 60
        assert first.unread_tokens > 0
        assert first.usage.calls <= 3
        total = first.findings
        for _ in range(9):
            more = await memory.flush()
            total += more.findings
            if more.complete:
                break
        assert total == 60
        assert len(model.calls) == len({str(call.identity()) for call in model.calls})
        assert memory.unread_tokens == 0


async def test_what_a_flush_that_a_limit_ended_has_read_is_forgotten_too(store: Path) -> None:
    model = reader(window=16_000)
    async with opened(store, "one", model, limits=Limits(calls=1)) as memory:
        kept = await memory.remember([*talk(60), {"role": "user", "content": "Zanzibar's bird: Quetzalcoatl."}])
        assert not (await memory.flush()).complete
        for id_ in kept.ids:
            await memory.forget(id_)
    with shared_store(store) as shelf:
        for table, column in (("blocks", "text"), ("records", "body"), ("outcomes", "reply"), ("nodes", "text")):
            sql = f"SELECT count(*) FROM {table} WHERE {column} LIKE '%bird%' OR {column} LIKE '%heron%'"
            assert shelf.store.database.read(sql) == [(0,)], table


async def test_a_limit_of_one_flush_may_be_tighter(store: Path) -> None:
    model = reader(window=16_000, price=Price(input_usd=10, output_usd=10, cached_usd=10))
    async with opened(store, "one", model) as memory:
        await memory.remember(talk(60))
        flushed = await memory.flush(limits=Limits(cost_usd=0.3))
        assert not flushed.complete
        assert 0 < flushed.usage.cost_usd <= 0.3
        assert (await memory.flush(limits=Limits(cost_usd=9.0))).complete


async def test_one_message_longer_than_any_window_is_read(store: Path) -> None:
    model = reader(window=8_000)
    text = " ".join(f"{LONG} P{number}'s bird: B{number}." for number in range(80))
    async with opened(store, "one", model) as memory:
        await memory.remember([("user", "Read:"), ("user", text)])
        flushed = await memory.flush("Which birds are there?")
        assert (flushed.complete, flushed.findings) == (True, 80)
        fact = memory.facts("P70 bird")[0]
        assert fact.span is not None
        assert memory.quote(fact.span) == "P70's bird: B70"


async def test_what_was_read_survives_lost_tables_and_is_not_read_again(store: Path) -> None:
    from swarm.memory.rebuild import rebuild

    model = reader(window=16_000)
    async with opened(store, "one", model) as memory:
        await memory.remember(talk(30))
        await memory.flush()
        calls, prints = len(model.calls), memory.graph.fingerprint()
        rebuild(memory._home)
        assert (memory.unread_tokens, len(memory.facts())) == (0, 30)
        assert memory.graph.fingerprint() == prints
        await memory.flush()
        assert len(model.calls) == calls


async def test_what_was_read_is_forgotten_with_the_message(store: Path) -> None:
    model = reader(window=16_000)
    async with opened(store, "one", model) as memory:
        kept = await memory.remember([*talk(4), ("user", "Wurzelbert's bird: quixotica"), *talk(4, 4)])
        await memory.flush()
        assert len(memory.facts()) == 9
        await memory.forget(kept.ids[4])
        assert len(memory.facts()) == 8
        assert memory.unread_tokens == 0
        data = b"".join(path.read_bytes() for path in store.parent.glob("store.db*")).lower()
        assert b"quixotica" not in data
        assert b"wurzelbert" not in data
        assert b"p3's bird" in data


async def test_remembering_flushes_by_itself_where_that_was_asked_for(store: Path) -> None:
    model = reader(window=16_000)
    async with opened(store, "one", model, flush_tokens=2_000) as memory:
        assert (await memory.remember(talk(1))).unread_tokens > 0
        assert not model.calls
        assert (await memory.remember(talk(9))).unread_tokens == 0
        assert len(memory.facts()) == 9


async def test_without_a_language_model_there_is_nothing_to_read(store: Path) -> None:
    async with open_memory("one", store=store) as memory:
        await memory.remember(talk(2))
        assert memory.unread_tokens == 0
        assert (await memory.flush()).complete


@pytest.mark.parametrize("both", ["one", "two"])
async def test_two_that_read_the_same_at_once_read_it_once(store: Path, both: str) -> None:
    import asyncio

    model = reader(window=16_000)
    async with opened(store, "one", model) as first, opened(store, both, model) as second:
        first_memory: Memory = first
        await first_memory.remember(talk(12))
        await second.remember(talk(12))
        await asyncio.gather(first.flush(), second.flush())
        assert len(first.facts()) == len(second.facts()) == 12
        assert len(model.calls) == len({str(call.identity()) for call in model.calls})
