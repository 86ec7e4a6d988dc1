"""Work with tools to be killed: pieces whose sub-agents run out of steps and hand over, with several calls at once
and subtasks, a tool that notes outside how often it was used, and code; planned by a program, or by a planner that
has tools too. And who does it, on the server's side, from a request alone.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import swarm
from swarm.equipment import Tool
from swarm.orders import Order
from swarm.program import Done, Piece, Program, Results, Role
from swarm.prompts.acting import REPORT
from swarm.task import Limits, Report, Task
from swarm.testing.seen import Seen
from tests.kill.victim import Job

MARKS = "marks.txt"
_PIECE = re.compile(r"<piece>\n(.*?)\n</piece>", re.DOTALL)
_STEPS = 4


@dataclass(frozen=True, kw_only=True)
class Acting(Job):
    """So many pieces; code works on with each of them where a program plans. A use of a tool for the last of them
    keeps its process busy for `blocks` seconds."""

    pieces: int
    planned: bool = False
    blocks: float = 0.0

    @property
    def task(self) -> Task:
        return Task(questions=(self.question,), paths=(), mode="work", limits=Limits())

    @property
    def plan(self) -> Program:
        mark, look = tools(self.folder, {f"first {self.pieces - 1}": self.blocks})
        sub_agent = Role(tools=(look, mark, "subtask"), steps=_STEPS, legs=3, view_tokens=300)

        def orders() -> Iterable[Order]:
            for n in range(self.pieces):
                yield Order(name=f"piece {n}", objective=f"Make piece {n}.")

        def follow(order: Order, _: Report) -> Iterable[Order]:
            if order.role != "code":
                yield Order(name=f"{order.name} in code", objective="Note it.", role="code", needs=(order.name,))

        async def code(piece: Piece) -> Done:
            note(self.folder, piece.order.name)
            (made,) = piece.results.values()
            return Done(result=f"{made} And noted.")

        def answer(results: Results) -> str:
            name = "piece {}" if self.planned else "piece {} in code"
            return "; ".join(results[name.format(n)] for n in range(self.pieces))

        if self.planned:
            planner = Role(name="planner", tools=(look, mark), steps=5)
            judge = Role(name="judge", tools=(look,), steps=5)
            return Program(planner=planner, judge=judge, roles=(sub_agent,), answer=answer)
        return Program(
            orders=orders, follow=follow, roles=(sub_agent, Role(name="code", code=code)), answer=answer
        )


def tools(folder: Path, blocks: Mapping[str, float]) -> tuple[Tool, Tool]:
    """One that changes something, and one that looks."""
    return swarm.tool(partial(_mark, folder, blocks), name="mark"), swarm.tool(look, changes=False)


async def _mark(folder: Path, blocks: Mapping[str, float], word: str) -> str:
    """Note a word.

    Args:
        word: the word
    """
    note(folder, word)
    time.sleep(blocks.get(word, 0.0))  # noqa: ASYNC251 - as tools do that should not
    await asyncio.sleep(0.02)  # to be killed meanwhile
    return f"{word} is noted"


async def look(stone: int) -> str:
    """What a stone weighs."""
    return f"Stone {stone} weighs {stone} pounds, and not more."


def note(folder: Path, word: str) -> None:
    """A line with the process and the word, which no other process tears apart."""
    line = os.open(folder / MARKS, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(line, f"{os.getpid()} {word}\n".encode())
    os.close(line)


def acting_of(folder: Path, store: str, pieces: int, *, planned: bool = False) -> Acting:
    return Acting(
        folder=folder,
        store=store,
        corpus=folder,
        base_url="",
        question=f"Make {pieces} pieces.",
        window=16_000,
        concurrency=8,
        pieces=pieces,
        planned=planned,
    )


def hands(seen: Seen) -> dict[str, Any]:
    """What is done at a request."""
    found, done = _PIECE.search(seen.text), len(seen.turns)
    if found is None:
        return _plans(seen, done)
    piece = found[1].splitlines()[0]
    number = int(re.findall(r"\d+", piece)[0])
    if piece.startswith("Weigh"):
        steps = [[_look(number)], [_mark_of(f"weight {number}")], [_report(f"Stone {number} is weighed.")]]
    elif f"Half of piece {number} is made." in seen.text:
        steps = [[_look(number)], [_mark_of(f"second {number}")], [_made(number)]]
    else:
        steps = [
            [_look(number + n) for n in range(3)],
            [_mark_of(f"first {number}"), _look(number), _mark_of(f"also {number}")],
            [("subtask", {"objective": f"Weigh stone {number}."})],
            [_report("", status="continue", notes=f"Half of piece {number} is made.")],
        ]
    return _turn(steps[min(done, len(steps) - 1)])


def _plans(seen: Seen, done: int) -> dict[str, Any]:
    """Of a planner or a judge."""
    pieces = int(re.findall(r"Make (\d+) pieces", seen.text)[0])
    if "mark" not in seen.tools:
        verdict = {"verdict": "done", "reason": "All is made.", "missing": []}
        return _turn([(REPORT, verdict)] if done else [_look(0)])
    usual = {"done_when": "", "boundaries": "", "needs": [], "sources": [], "kind": "work", "priority": 0}
    asked = [{"name": f"piece {n}", "objective": f"Make piece {n}.", **usual} for n in range(pieces)]
    steps = [[_look(1), _look(2)], [_mark_of("plan")], [(REPORT, {"orders": asked, "drop": [], "reason": "so"})]]
    return _turn(steps[min(done, 2)])


Call = tuple[str, dict[str, Any]]


def _turn(calls: list[Call]) -> dict[str, Any]:
    return {"says": "", "calls": [{"name": name, "arguments": given} for name, given in calls]}


def _look(stone: int) -> Call:
    return "look", {"stone": stone}


def _mark_of(word: str) -> Call:
    return "mark", {"word": word}


def _made(number: int) -> Call:
    weighs = f"Stone {number} weighs {number} pounds"
    found = {"claim": f"{weighs}.", "quote": weighs, "relevance": 0.9}
    return _report(f"Piece {number} is made.", findings=[found], summary=f"Piece {number} is made of a stone.")


def _report(result: str, **more: Any) -> Call:
    usual = {"status": "done", "summary": "", "notes": "", "findings": [], "decisions": [], "look_up": []}
    return REPORT, usual | {"proposed": [], "artifacts": [], "result": result} | more
