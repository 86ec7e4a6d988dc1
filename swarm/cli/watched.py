"""The Swarm that the command line hands to a recipe: it shows each run, and holds it to the user's limits.

A recipe calls `run` as it would anywhere else; here the events of that run go to the display. Imported late: it
brings the whole library with it.
"""

from __future__ import annotations

from dataclasses import replace

from swarm import events
from swarm.cli.options import Settings
from swarm.cli.progress import Display, Silent
from swarm.run import Swarm
from swarm.task import Answer, Task


class Watched(Swarm):
    """`answer` is what the last run came to, `run_id` the last run that began; None before."""

    answer: Answer | None = None
    run_id: str | None = None
    display: Display = Silent()
    max_cost_usd: float | None = None
    max_tokens: int | None = None

    def watch(self, display: Display, settings: Settings) -> Watched:
        """Show the runs on `display`; limits that the user named come before the recipe's own."""
        self.display = display
        self.max_cost_usd, self.max_tokens = settings.max_cost_usd, settings.max_tokens
        return self

    async def run(self, task: Task, *, run_id: str | None = None) -> Answer:
        limits = task.limits
        if self.max_cost_usd is not None:
            limits = replace(limits, cost_usd=self.max_cost_usd)
        if self.max_tokens is not None:
            limits = replace(limits, tokens=self.max_tokens)
        async with self.stream(replace(task, limits=limits), run_id=run_id) as stream:
            async for event in stream:
                self.display.tell(event)
                if isinstance(event, events.RunStarted):
                    self.run_id = event.run_id
                if isinstance(event, events.Finished):
                    self.answer = event.answer
        assert self.answer is not None, "a stream ends with Finished, or raises"
        return self.answer
