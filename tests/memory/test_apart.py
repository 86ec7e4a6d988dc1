"""A memory on a PostgreSQL server: its tables are in a file beside, made anew where that is another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm.memory.memory import open_memory
from swarm.testing.postgres import LocalPostgres


async def test_another_machine_has_the_same_memory(
    postgres: LocalPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.database()
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "one")
    async with open_memory("a", store=url) as memory:
        kept = await memory.remember(
            [("user", "I live in Rome."), ("user", "Quixotica " * 80_000), ("user", "ok")]
        )
        await memory.write_block("style", "short")
        view = (await memory.view("Where does the user live?", tokens=300)).text
    monkeypatch.chdir(tmp_path / "other")
    async with open_memory("a", store=url) as memory:
        assert (await memory.view("Where does the user live?", tokens=300)).text == view
        assert memory.blocks["style"].text == "short"
        await memory.forget(kept.ids[1])
        assert len(list(memory.messages())) == 2
    monkeypatch.chdir(tmp_path / "one")
    async with open_memory("a", store=url) as memory:
        assert len(list(memory.messages())) == 2
        assert await memory.search("Quixotica") == [] or all(
            "Quixotica" not in one.text for one in await memory.search("Quixotica")
        )
