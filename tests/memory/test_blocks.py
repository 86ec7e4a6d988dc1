"""Blocks: bounded, pinned, rewritten, first in every view, and as they were after the store is opened again."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.memory.memory import open_memory


async def test_a_block_stands_in_every_view_and_is_rewritten(store: Path) -> None:
    async with open_memory("a", store=store) as memory:
        await memory.write_block("style", "Answer in short sentences.", description="how to answer")
        await memory.write_block("draft", "Not shown.", pinned=False)
        written = await memory.write_block("style", "Answer in verse.")
        assert (written.description, written.pinned, written.limit_tokens) == ("how to answer", True, 500)
        view = await memory.view("anything", tokens=300)
        assert "style: Answer in verse." in view.text
        assert "Not shown" not in view.text
        assert [(item.kind, item.id, item.text) for item in view.items] == [("block", "style", "Answer in verse.")]
    async with open_memory("a", store=store) as memory:
        assert {name: block.text for name, block in memory.blocks.items()} == {
            "draft": "Not shown.", "style": "Answer in verse.",
        }  # fmt: skip
        await memory.drop_block("style")
        assert list(memory.blocks) == ["draft"]
        assert (await memory.write_block("style", "new")).description == ""


async def test_a_block_is_bounded(store: Path) -> None:
    async with open_memory("a", store=store) as memory:
        await memory.write_block("style", "short", limit_tokens=5)
        with pytest.raises(UsageError, match="the block style takes 5 tokens and the text has"):
            await memory.write_block("style", "far too many words for a block of five tokens")
        with pytest.raises(UsageError, match="1 or more"):
            await memory.write_block("style", "", limit_tokens=0)
        with pytest.raises(UsageError, match="1 to 100 printable"):
            await memory.write_block(" ", "x")
        with pytest.raises(UsageError, match="no block 'nothing'"):
            await memory.drop_block("nothing")
        assert memory.blocks["style"].text == "short"


async def test_pinned_blocks_come_before_everything_else(store: Path) -> None:
    async with open_memory("a", store=store) as memory:
        await memory.remember([("user", f"herons {number} and more of herons") for number in range(100)])
        await memory.write_block("user", "Anna studies herons.")
        view = await memory.view("herons", tokens=120)
        assert view.items[0].text == "Anna studies herons."
        assert view.tokens <= 120
