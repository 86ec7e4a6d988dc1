"""The tables and the graph of a memory are made again from the journal, the same as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from swarm.memory.memory import Memory, open_memory
from swarm.memory.tables import clear
from swarm.store.database import Database
from swarm.store.opening import open_store


async def _lived(memory: Memory) -> None:
    """A memory with something of every kind."""
    kept = await memory.remember(
        [
            {"role": "user", "name": "Anna", "content": "I live in Rome.", "at": "2024-01-01"},
            {
                "role": "user",
                "name": "Anna",
                "content": "I moved to Oslo. My cat is called Momo.",
                "at": "2024-02-01",
            },
            *[("user", f"heron {number} by the river") for number in range(60)],
            ("user", "long " * 200_000),
        ]
    )
    await memory.add_fact("Bob likes tea", subject="Bob", attribute="drink", value="tea", source=kept.ids[1])
    await memory.retire(memory.facts("Momo")[0].id, "it ran away")
    await memory.write_block("style", "short")
    await memory.write_block("style", "shorter")
    await memory.write_block("gone", "gone")
    await memory.drop_block("gone")
    await memory.forget(kept.ids[3])
    await memory.dream()


async def _seen(memory: Memory) -> dict[str, Any]:
    return {
        "messages": list(memory.messages()),
        "facts": [(one.id, one.text, one.span, one.now) for one in sorted(memory.facts(), key=lambda one: one.id)],
        "history": [(one.value, one.at) for one in memory.history("Anna", "location")],
        "blocks": {name: block.text for name, block in memory.blocks.items()},
        "graph": memory.graph.fingerprint(),
        "found": [one.text for one in await memory.search("heron 7 river", limit=3)],
        "view": (await memory.view("Where does Anna live?", tokens=700)).text,
        "counts": [memory.log.counted(name) for name in ("messages", "stretches", "tokens", "told", "records")],
    }


async def test_tables_that_are_lost_are_made_again(store: Path) -> None:
    async with open_memory("anna", store=store) as memory:
        await _lived(memory)
        before = await _seen(memory)
        run = memory.run_id
    database = Database.open(store)
    database.write_sync(lambda connection: clear(connection, run))
    database.close()
    async with open_memory("anna", store=store) as memory:
        assert await _seen(memory) == before
        assert (await memory.remember([("user", "heron 59 by the river"), ("user", "long " * 200_000)])).new == 0


async def test_a_graph_that_is_lost_with_its_tables_is_made_again(store: Path) -> None:
    async with open_memory("anna", store=store) as memory:
        await _lived(memory)
        before = await _seen(memory)
        run = memory.run_id
    database = Database.open(store)
    database.write_sync(lambda connection: clear(connection, run))
    database.write_sync(
        lambda connection: connection.execute("UPDATE graphs SET run = 'lost' WHERE run = ?", (run,))
    )
    database.close()
    async with open_memory("anna", store=store) as memory:
        assert await _seen(memory) == before


async def test_a_memory_is_not_made_again_where_nothing_is_missing(store: Path) -> None:
    from swarm.memory.home import Home
    from swarm.memory.rebuild import catch_up
    from swarm.store.shared import shared_store

    async with open_memory("anna", store=store) as memory:
        await _lived(memory)
    with shared_store(store) as opened:
        assert not catch_up(Home(opened, "anna"))


async def test_a_store_with_a_memory_can_be_looked_into_by_others(store: Path) -> None:
    async with open_memory("anna", store=store) as memory:
        await _lived(memory)
        with open_store(store, read_only=True) as opened:
            assert opened.journal.accounts()[0].run == memory.run_id
