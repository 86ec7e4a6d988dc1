"""Ask the coordinator's model about findings: as many as fit its window, the most relevant first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from swarm.coordinator.desk import Desk
from swarm.errors import PromptTooLong
from swarm.limits.gate import reserved_output
from swarm.prompts.replies import Reply
from swarm.prompts.typed import Shown, ViewPrompt
from swarm.task import Finding
from swarm.views.pack import by_relevance, pack

R = TypeVar("R", bound=Reply)
Make = Callable[[tuple[Shown, ...], int], ViewPrompt[R]]

_SHRINK = 0.8
_TRIES = 8


def view_budget(desk: Desk, make: Make[R]) -> int:
    """Tokens of o200k that the findings of a prompt may take, in the window and in what may still be spent."""
    model = desk.model
    output = reserved_output(model)
    room = model.window - output
    affordable = desk.gate.budget.affordable_input(model.price, output)
    if affordable is not None:
        room = min(room, affordable)
    return max(0, int((room - model.count(make((), 0))) / model.ratio()))


def current(desk: Desk) -> list[Finding]:
    """What is known: after a consolidation its result, before it all findings; best first."""
    return by_relevance(desk.graph.findings if desk.frontier is None else desk.frontier)


async def view_prompt(desk: Desk, make: Make[R], findings: Sequence[Finding] | None = None) -> R:
    """Ask over a view of `findings` (all current ones by default), made smaller until it passes the gate.

    Raises:
        PromptTooLong: not even the empty view fits.
        LimitReached, CallFailed: as `Gate.ask`.
    """
    budget = view_budget(desk, make)
    for _ in range(_TRIES):
        chosen = pack(current(desk) if findings is None else findings, budget, desk.library, desk.paths)
        try:
            return await desk.gate.ask(desk.model, make(chosen.shown, chosen.omitted))
        except PromptTooLong:
            if not chosen.shown:
                raise
            budget = int(budget * _SHRINK)
    raise PromptTooLong("the findings do not fit the window, however few are shown")
