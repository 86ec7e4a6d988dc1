"""A long chain that must be right: the Towers of Hanoi, one slice a move, by a SIMULATED worker that errs.

One reply in twenty is wrong, a third of those in form. Each move is asked for until one result leads, so that all
of them are right; each begins in a fresh window from the result of the move before it, however many there were.

    python examples/towers.py
"""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from swarm import Order, Program, Role, Swarm, Task, Vote
from swarm.testing.steps import Steps

DISCS = 6
MOVES = 2**DISCS - 1
RULES = f"""\
Towers of Hanoi with discs 1 (the smallest) to {DISCS} on pegs 0, 1 and 2. One disc is moved at a time, the topmost
of its peg, and never onto a smaller one. All discs begin on peg 0 and are to come to peg 2.
If the move before was not of disc 1, or there was none, move disc 1 one peg on, from 0 to 1 to 2 to 0.
If it was of disc 1, make the only legal move that does not touch disc 1.
Lists of pegs have the bottom disc first. The result holds the move as [disc, from, to] and the pegs after it."""


def moves() -> Iterator[Order]:
    pegs = json.dumps([list(range(DISCS, 0, -1)), [], []], separators=(",", ":"))
    for number in range(1, MOVES + 1):
        before = (f"m{number - 1}",) if number > 1 else ()
        start = "" if before else f". No disc was moved yet, and the pegs are {pegs}"
        yield Order(name=f"m{number}", objective=f"Make move {number}{start}", needs=before, role="mover")


async def main() -> None:
    mover = Role(
        name="mover",
        instructions=RULES,
        schema={"type": "object", "required": ["move", "pegs"]},
        vote=Vote.for_steps(MOVES, error=0.05),
        view_tokens=0,
    )
    plan = Program(orders=moves, roles=(mover,), answer=lambda results: results[f"m{MOVES}"])
    task = Task(questions=("Move the tower to the third peg.",), paths=(), mode="work")
    with tempfile.TemporaryDirectory() as folder:
        swarm = Swarm(Steps(error=0.05), store=Path(folder) / "swarm.db")
        answer = await swarm.run(task, plan=plan)
    print(f"{answer.slices} moves, {answer.usage.calls} calls by a SIMULATED worker: {answer.text}")


if __name__ == "__main__":
    asyncio.run(main())
