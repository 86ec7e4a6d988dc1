"""Work to be killed: a chain whose steps are voted on, a fan beside it, and pieces that lead to more pieces; and
who does it, on the server's side, from the text of a request alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm.orders import Order
from swarm.program import Program, Results, Role, Vote
from swarm.task import Limits, Report, Task
from tests.kill.victim import Job

_PIECE = re.compile(r"<piece>\n(.*?)\n</piece>", re.DOTALL)
_RESULT = re.compile(r"<result of=\"[^\"]*\"[^>]*>\n(.*?)\n</result>", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Work(Job):
    """A program of so many steps and pieces. Of each piece more is made, and the last step needs some of it."""

    steps: int
    pieces: int

    @property
    def task(self) -> Task:
        return Task(questions=(self.question,), paths=(), mode="work", limits=Limits())

    @property
    def plan(self) -> Program:
        def orders() -> Iterable[Order]:
            for n in range(self.pieces):
                yield Order(name=f"piece {n}", objective=f"Make piece {n}.")
            for n in range(self.steps):
                yield Order(
                    name=f"step {n}",
                    objective=f"Add one to it, for the time {n}.",
                    needs=(f"step {n - 1}",) if n else (),
                    role="step",
                    priority=1,
                )

        def follow(order: Order, _: Report) -> Iterable[Order]:
            if order.name.startswith("piece") and not order.name.endswith("again"):
                yield Order(
                    name=f"{order.name} again", objective=f"Make more of {order.name}.", needs=(order.name,)
                )

        def answer(results: Results) -> str:
            made = [results[f"piece {n} again"] for n in range(self.pieces)]
            return f"{results[f'step {self.steps - 1}']} and {'; '.join(made)}"

        step = Role(name="step", schema={"type": "integer"}, view_tokens=0, vote=Vote(lead=2))
        return Program(orders=orders, follow=follow, roles=(step, Role(view_tokens=400)), answer=answer)


def work_of(folder: Path, store: str, steps: int, pieces: int) -> Work:
    return Work(
        folder=folder,
        store=store,
        corpus=folder,
        base_url="",
        question="Make it all.",
        window=16_000,
        concurrency=8,
        steps=steps,
        pieces=pieces,
    )


def mind(text: str, _schema: dict[str, Any]) -> dict[str, Any]:
    """What is said to a request."""
    found = _PIECE.search(text)
    if found is None:
        raise LookupError("this is no piece of work")
    piece = found[1].splitlines()[0]
    needed = _RESULT.findall(text)
    if piece.startswith("Add one"):
        result = str(int(needed[0] if needed else "0") + 1)
        summary = ""
    else:
        result = f"{piece} It is made{f' of: {needed[0]}' if needed else ''}"
        summary = f"{piece} That is done."
    usual = {"findings": [], "decisions": [], "look_up": [], "proposed": [], "artifacts": [], "notes": ""}
    return {"status": "done", "result": result, "summary": summary, **usual}
