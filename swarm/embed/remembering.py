"""A memory as tools for a client whose conversation nobody else remembers: those of `Memory`, and one to remember.

This module words; what is remembered is the business of `swarm.memory`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from swarm.equipment import Tool, ToolFailed
from swarm.errors import SwarmError
from swarm.tools.function import tool

if TYPE_CHECKING:
    from swarm.memory.memory import Memory


class Spoken(BaseModel):
    """One message, as it comes in."""

    role: str = Field(description="user, assistant or system")
    content: str = Field(description="what was said, word for word")
    name: str | None = Field(default=None, description="who said it")
    at: str | None = Field(default=None, description="when, such as 2026-05-31T14:00")


def memory_tools(memory: Memory) -> tuple[Tool, ...]:
    """To be served beside the tools of tasks."""

    async def remember_messages(messages: Annotated[list[Spoken], Field(min_length=1, max_length=1_000)]) -> str:
        """Remember messages of this conversation, word for word. Those that are known already are known again, so
        that you may hand over the latest ones, or all of them.

        Args:
            messages: what was said, in its order
        """
        said: list[dict[str, Any]] = [one.model_dump(exclude_none=True) for one in messages]
        try:
            done = await memory.remember(said)
        except SwarmError as error:
            raise ToolFailed(str(error)) from None
        return f"{done.new} are new, {done.known} were known"

    return (tool(remember_messages), *memory.tools())
