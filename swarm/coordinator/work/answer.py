"""What came of the work: the text that a program writes, or what its ends came to."""

from __future__ import annotations

import asyncio

from swarm.coordinator.desk import Desk
from swarm.coordinator.work.state import Branch, RunResults
from swarm.errors import UsageError
from swarm.tokens import o200k


def joined(results: RunResults, branch: Branch, tokens: int) -> str:
    """What the slices of a branch that nobody else needs came to, in so many o200k tokens: whole results where
    they fit, else in a sentence each; what is not shown is told, and found under its name."""
    parts = [(name, *results.both(name)) for name in branch.ends]
    if len(parts) == 1 and o200k(parts[0][1].text) <= tokens:
        return parts[0][1].text
    said: list[str] = []
    room, left = tokens, 0
    for name, outcome, summary in parts:
        each = room // max(1, len(parts) - len(said) - left)
        text = next((one for one in (outcome.text, summary) if one and o200k(one) <= each), None)
        if text is None:
            left += 1
            continue
        said.append(f"{name}: {text}")
        room -= o200k(said[-1]) + 1
    if left:
        said.append(f"({left} more results are kept under their names)")
    return "\n\n".join(said)


async def program_text(desk: Desk) -> str | None:
    """The answer as the program writes it; None where it leaves that to the model."""
    if desk.program is None or desk.program.answer is None or desk.stopped is not None or desk.failures:
        return None
    text = await asyncio.to_thread(desk.program.answer, RunResults(desk.journal, desk.run))
    if not isinstance(text, str):
        raise UsageError(f"Program.answer returned {type(text).__name__}: return the text of the answer")
    return text


def plain_text(desk: Desk) -> str:
    """What the work came to, where nothing can be cited."""
    assert desk.work is not None
    results = RunResults(desk.journal, desk.run)
    tokens = desk.work.roles[""].report_tokens
    return joined(results, desk.work.root, tokens)
