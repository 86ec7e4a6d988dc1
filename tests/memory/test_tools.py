"""The memory in the hands of the agent itself: what its tools tell is not learnt again, and mistakes are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swarm.equipment import ToolFailed
from swarm.memory.memory import Memory, open_memory
from swarm.views.mark import stretches


async def _call(memory: Memory, called: str, /, **arguments: Any) -> str:
    (tool,) = [tool for tool in memory.tools() if tool.name == called]
    return await tool.call(arguments)


async def test_an_agent_looks_writes_and_forgets(store: Path) -> None:
    async with open_memory("a", store=store) as memory:
        kept = await memory.remember(
            [{"role": "user", "name": "Anna", "content": "I live in Rome.", "at": "2024-01-01"}]
        )
        told = await _call(memory, "recall", about="Where does Anna live?")
        assert "Anna lives in Rome" in told
        assert stretches(told) == [(0, len(told))]
        assert kept.ids[0][:12] in await _call(memory, "search_messages", query="live Rome")
        assert (
            await _call(memory, "search_messages", query="live", who="Bob") == "Nothing was said with these words."
        )
        told = await _call(
            memory, "add_fact", text="Anna lives in Oslo", subject="Anna", attribute="location", value="Oslo",
            time="2024-05-01",
        )  # fmt: skip
        assert told.startswith("remembered as k")
        told = await _call(memory, "facts", about="location of Anna, where she lives")
        assert "Oslo" in told
        assert "Rome" not in told
        (fact,) = memory.facts()
        history = await _call(memory, "fact_history", fact_id=fact.id[:12])
        assert history.index("Rome") < history.index("Oslo")
        assert "no longer" in history
        assert await _call(memory, "retire_fact", fact_id=fact.id, reason="left") == "retired: Anna lives in Oslo"
        assert "the note user may have 500 tokens" in await _call(memory, "write_note", name="user", text="Anna")
        assert await _call(memory, "forget", id=kept.ids[0]) == "forgotten"
        assert await _call(memory, "recall", about="Rome") != "Anna lives in Rome"
        assert memory.message(kept.ids[0]) is None


async def test_mistakes_are_told_to_the_agent(store: Path) -> None:
    async with open_memory("a", store=store) as memory:
        with pytest.raises(ToolFailed, match="holds no message, fact or episode"):
            await _call(memory, "forget", id="nothing")
        with pytest.raises(ToolFailed, match="the text has"):
            await _call(memory, "write_note", name="user", text="word " * 900)
        with pytest.raises(ToolFailed, match="cannot be read"):
            await _call(memory, "search_messages", query="x", since="soon")
        with pytest.raises(ToolFailed, match="there is no fact"):
            await _call(memory, "fact_history", fact_id="nothing")
        assert await _call(memory, "recall", about="anything") == "Nothing is remembered that bears on it."


def test_looking_changes_nothing_and_says_so(tmp_path: Path) -> None:
    names = {"recall", "search_messages", "facts", "fact_history"}

    async def tools() -> dict[str, bool]:
        async with open_memory("a", store=tmp_path / "s.db") as memory:
            return {tool.name: tool.changes for tool in memory.tools()}

    import asyncio

    found = asyncio.run(tools())
    assert {name for name, changes in found.items() if not changes} == names
    assert all(found)
