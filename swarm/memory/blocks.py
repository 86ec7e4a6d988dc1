"""Blocks: short texts that stand in every view, rewritten by whoever keeps the memory.

Each is bounded in tokens; a pinned one comes before anything else, and nothing that tidies up touches it. This
module knows rows, not what a block is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apsw

from swarm.memory.log import Log


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """`text` has at most `limit_tokens` o200k tokens. `version` grows each time that a block of the memory is
    written; `at` is when, in seconds since the epoch."""

    name: str
    text: str
    limit_tokens: int = 500
    pinned: bool = True
    description: str = ""
    version: int = 1
    at: float = 0.0


def read(log: Log) -> dict[str, Block]:
    """All blocks, by name, in the order of their names."""
    sql = (
        "SELECT name, text, limit_tokens, pinned, description, version, at FROM memory_blocks "
        "WHERE memory = ? ORDER BY name"
    )
    return {block.name: block for block in _blocks(log.database.read(sql, (log.num,)))}


def _blocks(rows: list[tuple[Any, ...]]) -> Iterator[Block]:
    for name, text, limit, pinned, description, version, at in rows:
        yield Block(
            name=name, text=text, limit_tokens=limit, pinned=bool(pinned), description=description,
            version=version, at=at,
        )  # fmt: skip


def write(connection: apsw.Connection, memory: int, block: Block) -> None:
    """Put a block into the tables; one without a version is dropped."""
    if not block.version:
        connection.execute("DELETE FROM memory_blocks WHERE memory = ? AND name = ?", (memory, block.name))
        return
    connection.execute(
        "INSERT OR REPLACE INTO memory_blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            memory, block.name, block.text, block.limit_tokens, int(block.pinned), block.description,
            block.version, block.at,
        ),
    )  # fmt: skip
