"""A model of which a journal tells what it was: it stands in where a run is replayed, and answers nothing."""

from __future__ import annotations

from typing import Any

from swarm.errors import Rejected
from swarm.models.base import FREE, Completion, Price
from swarm.prompts.typed import Prompt


class Told:
    """A model of which the journal tells what it was. It is never asked: its replies are there."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.name: str = facts["name"]
        self.revision: str = facts["revision"]
        self.selective: bool = facts["selective"]
        self.window: int = facts["window"]
        self.max_output: int = facts["max_output"]
        self.price: Price = FREE
        self.remote, self.lane = False, self.name

    def count(self, prompt: Prompt[Any]) -> int:  # noqa: ARG002 - what did not fit is recorded
        return 0

    def ratio(self) -> float:
        return 1.0

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:  # noqa: ARG002
        raise Rejected(f"a replay asks nobody, and the journal holds no reply to this {prompt.kind} prompt")

    async def close(self) -> None:
        """Nothing to release."""
