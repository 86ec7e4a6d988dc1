"""The Swarm that the command line hands to a recipe: it shows each run, asks before money is spent, and holds the
run to the user's limits.

A recipe calls `run` as it would anywhere else; here the events of that run go to the display. Imported late: it
brings the whole library with it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from swarm import events
from swarm.cli.asking import on_terminal, yes
from swarm.cli.estimate import told
from swarm.cli.options import Settings
from swarm.cli.progress import Display, Silent
from swarm.errors import SwarmError
from swarm.invocation import KEY, Invocation
from swarm.limits.budget import changed
from swarm.program import Program
from swarm.run import Swarm
from swarm.task import Answer, Estimate, Limits, Task


class Watched(Swarm):
    """`answer` is what the last run came to, `run_id` the last run that began; None before. `called` says whether
    any was asked for."""

    answer: Answer | None = None
    run_id: str | None = None
    called = False
    display: Display = Silent()
    settings: Settings = Settings()
    invocation: Invocation | None = None
    """The call of a recipe that this is handed to."""
    _made = 0

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, approve=self._asked, **settings)

    def watch(self, display: Display, settings: Settings) -> Watched:
        """Show the runs on `display`; limits that the user named come before the recipe's own."""
        self.display, self.settings = display, settings
        return self

    async def run(self, task: Task, *, run_id: str | None = None, plan: Program | None = None) -> Answer:
        made = self._next()
        self.called = True
        async with self.stream(self._held(task, made), run_id=run_id or made, plan=plan) as stream:
            async for event in stream:
                self.display.tell(event)
                if isinstance(event, events.RunStarted):
                    self.run_id = event.run_id
                if isinstance(event, events.Finished):
                    self.answer = event.answer
        assert self.answer is not None, "a stream ends with Finished, or raises"
        return self.answer

    def _next(self) -> str | None:
        """The run that the recipe made in this place when it was called before. What is recorded of this one says
        that it belongs to the recipe."""
        self._made += 1
        named = self.settings.run_id
        if named is not None:
            named = named if self._made == 1 else f"{named}-{self._made}"
        if self.invocation is None:
            return named
        self._settings[KEY] = self.invocation.body(self._made)
        return self.invocation.known.get(self._made, named)

    def _held(self, task: Task, made: str | None = None) -> Task:
        """The task with the user's limits; those that nobody names are as they were in a run `made` before."""
        limits = task.limits
        if made is not None and self.invocation is not None and made in self.invocation.known.values():
            limits = changed(self.task_of(made).limits, limits)
        return replace(task, limits=limits_with(limits, self.settings))

    def _asked(self, estimate: Estimate) -> bool:
        """Tell what a run will come to, and ask whether to begin it. Called on a thread."""
        asks = on_terminal() and not self.settings.yes
        with self.display.paused():
            if asks or not self.settings.quiet:
                self.display.note("\n  ".join(told(estimate)))
            return not asks or yes("go on?", given_up=lambda: self._reins.stopping)


class Estimated(SwarmError):
    """Ends a recipe that is only estimated, at its first run."""

    def __init__(self, estimate: Estimate) -> None:
        super().__init__(estimate)
        self.estimate = estimate


class Estimating(Watched):
    """Runs nothing: says what the first run of a recipe would come to."""

    async def run(self, task: Task, *, run_id: str | None = None, plan: Program | None = None) -> Answer:  # noqa: ARG002
        raise Estimated(await self.estimate(self._held(task)))


def limits_with(limits: Limits, settings: Settings) -> Limits:
    """These limits, with those that the user named in their place."""
    given = {
        "cost_usd": settings.max_cost_usd,
        "tokens": settings.max_tokens,
        "calls": settings.max_calls,
        "wall_seconds": settings.max_seconds,
        "slices": settings.max_slices,
        "depth": settings.max_depth,
        "requests_per_minute": settings.requests_per_minute,
        "input_tokens_per_minute": settings.input_tokens_per_minute,
        "output_tokens_per_minute": settings.output_tokens_per_minute,
    }
    named: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if "cost_usd" in named:
        named["cost_is_default"] = False
    return replace(limits, **named)
