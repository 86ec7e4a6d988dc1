"""Subtasks: their conclusions stay, their work is dropped and stays retrievable, also when a run goes on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from swarm import Answer, Limits, Order, Program, Role, Swarm, Task, replay
from swarm.coordinator.work.tree import Subtask, subtasks_of
from swarm.equipment import Tool
from swarm.models.scripted import Scripted
from swarm.prompts.acting import REPORT, ActPrompt
from swarm.store.opening import open_store


class Died(BaseException):
    """In the place of a process that dies."""


def turn(*named: tuple[str, dict[str, Any]], says: str = "") -> dict[str, Any]:
    calls = [
        {"id": f"c{n}", "name": name, "arguments": json.dumps(given)} for n, (name, given) in enumerate(named)
    ]
    return {"says": says, "calls": calls}


def report(result: str = "done", **more: Any) -> tuple[str, dict[str, Any]]:
    return REPORT, {"status": "done", "result": result} | more


def part(objective: str) -> tuple[str, dict[str, Any]]:
    return "subtask", {"objective": objective}


class Shelf:
    """A tool that opens books and notes which."""

    def __init__(self, books: dict[str, str]) -> None:
        self.books, self.opened = books, list[str]()
        parameters = {"type": "object", "properties": {"book": {"type": "string"}}}
        self.tool = Tool(name="open", description="", parameters=parameters, call=self.call, changes=False)

    async def call(self, arguments: Any) -> str:
        self.opened.append(arguments["book"])
        return self.books[arguments["book"]]


BOOKS = {
    "one": "The first book says that whales sing.",
    "two": "The second book says that ships creak.",
    "three": "The third book says that ropes hum.",
}
FINDINGS = [
    {"claim": "Whales sing.", "quote": "The first book says that whales sing.", "relevance": 1},
    {"claim": "Ropes hum.", "quote": "The third book says that ropes hum.", "relevance": 1},
    {"claim": "Cats bark.", "quote": "The fourth book says that cats bark.", "relevance": 1},
]


def reader(prompt: ActPrompt) -> dict[str, Any]:
    """Hands every book on to a subtask, and quotes out of their dropped work."""
    piece = prompt.base.objective
    if piece.startswith("read the book "):
        book = piece.rpartition(" ")[2]
        return turn(("open", {"book": book})) if not prompt.turns else turn(report(f"book {book} was read"))
    if not prompt.turns:
        return turn(*(part(f"read the book {book}") for book in BOOKS))
    return turn(report("all were read", findings=FINDINGS))


class Run:
    def __init__(self, store: Path, act: Any, *tools: Tool | str, order: Order | None = None, **role: Any) -> None:
        self.store = store
        wanted = order or Order(name="all", objective="read all books")
        self.plan = Program(
            orders=lambda: [wanted],
            roles=(Role(tools=("subtask", *tools), view_tokens=0, **role),),
            answer=lambda results: results["all"],
        )
        self.model = Scripted({"act": act})

    async def __call__(self, limits: Limits | None = None) -> Answer:
        task = Task(questions=("Read",), paths=(), mode="work", limits=limits or Limits())
        return await Swarm(self.model, store=self.store).run(task, run_id="run", plan=self.plan)

    def tree(self) -> list[Subtask]:
        with open_store(self.store, read_only=True) as store:
            return list(subtasks_of(store.journal, "run"))


async def test_words_of_dropped_work_can_be_quoted_and_are_when_the_run_is_played_again(tmp_path: Path) -> None:
    shelf = Shelf(BOOKS)
    run = Run(tmp_path / "swarm.db", reader, shelf.tool)
    answer = await run()
    assert (answer.text, answer.findings, answer.rejected_quotes) == ("all were read", 2, 1)
    again = await replay("run", run.store)
    assert (again.text, again.graph) == (answer.text, answer.graph)
    assert sorted(shelf.opened) == ["one", "three", "two"]


@pytest.mark.parametrize("dies_at", range(1, 9))
async def test_a_run_that_dies_among_subtasks_goes_on_to_the_same_end(tmp_path: Path, dies_at: int) -> None:
    whole = await Run(tmp_path / "whole.db", reader, Shelf(BOOKS).tool)()
    shelf, answered = Shelf(BOOKS), 0

    def dies(prompt: ActPrompt) -> dict[str, Any]:
        nonlocal answered
        if answered + 1 == dies_at:
            raise Died
        answered += 1
        return reader(prompt)

    run = Run(tmp_path / "swarm.db", dies, shelf.tool)
    with pytest.raises((Died, BaseExceptionGroup)):
        await run()
    run.model = Scripted({"act": reader})
    answer = await run()
    assert (answer.text, answer.graph) == (whole.text, whole.graph)
    assert len(run.model.calls) <= 8, "what was answered is not asked again, but for what was under way"
    assert set(shelf.opened) == set(BOOKS)
    assert (await replay("run", run.store)).graph == answer.graph


async def test_a_limit_that_is_reached_in_a_subtask_ends_the_run_and_not_the_subtask(tmp_path: Path) -> None:
    run = Run(tmp_path / "swarm.db", reader, Shelf(BOOKS).tool)
    stopped = await run(Limits(calls=6))
    assert (stopped.status, stopped.limit) == ("partial", "calls")
    assert stopped.usage.calls <= 6
    assert not any(one.failed for one in run.tree())
    answer = await run(Limits(calls=50))
    assert (answer.text, answer.status, answer.usage.calls) == ("all were read", "answered", 8)


async def test_subtasks_that_change_nothing_run_side_by_side(tmp_path: Path) -> None:
    both = asyncio.Barrier(3)

    async def wait(_arguments: Any) -> str:
        await both.wait()  # would never return, were they worked one after the other
        return "here"

    def act(prompt: ActPrompt) -> dict[str, Any]:
        if prompt.base.objective.startswith("part"):
            return turn(report()) if prompt.turns else turn(("wait", {}))
        return turn(report()) if prompt.turns else turn(*(part(f"part {n}") for n in range(3)))

    tool = Tool(name="wait", description="", parameters={"type": "object"}, call=wait, changes=False)
    await asyncio.wait_for(Run(tmp_path / "swarm.db", act, tool)(), 60)


async def test_what_a_subtask_found_and_wrote_comes_back_and_its_work_is_listed(tmp_path: Path) -> None:
    seen: list[str] = []

    def act(prompt: ActPrompt) -> dict[str, Any]:
        if prompt.base.objective == "read one":
            found = {"claim": "Whales sing.", "quote": "whales sing", "relevance": 1}
            made = {"name": "notes.md", "media": "text/markdown", "text": "The long notes speak of krill."}
            opened = turn(("open", {"book": "one"}))
            return turn(report("read", findings=[found], artifacts=[made])) if prompt.turns else opened
        if not prompt.turns:
            return turn(part("read one"))
        told = prompt.turns[0].results[0].text
        if len(prompt.turns) == 1:
            refs = [piece.split('"')[0] for piece in told.split('ref "')[1:]]
            return turn(*(("read_result", {"ref": ref}) for ref in refs))
        seen.extend([told, *(one.text for one in prompt.turns[1].results)])
        quote = {"claim": "Krill.", "quote": "The long notes speak of krill.", "relevance": 1}
        return turn(report("all", findings=[quote]))

    answer = await Run(tmp_path / "swarm.db", act, Shelf(BOOKS).tool)()
    told, notes, work = seen
    assert told.startswith('read\n\nIt found, in words that you may quote:\n- Whales sing. ("whales sing")')
    assert notes == "The long notes speak of krill."
    assert work.startswith('open {"book": "one"} (0.0/0.0:0:0): The first book says')
    assert (answer.findings, answer.rejected_quotes) == (1, 0)


async def test_a_subtask_that_is_not_done_says_so_and_its_work_stays_too(tmp_path: Path) -> None:
    def act(prompt: ActPrompt) -> dict[str, Any]:
        if prompt.base.objective == "read one":
            blocked = turn(report("", status="blocked", notes="the page is torn"))
            return blocked if prompt.turns else turn(("open", {"book": "one"}))
        return turn(report(prompt.turns[0].results[0].text)) if prompt.turns else turn(part("read one"))

    answer = await Run(tmp_path / "swarm.db", act, Shelf(BOOKS).tool)()
    assert answer.text.startswith("It was not done (blocked): the page is torn\n\n(Its work, 2 steps, is kept")


async def test_a_part_is_not_held_to_what_the_whole_is_held_to(tmp_path: Path) -> None:
    bases: list[Any] = []

    def act(prompt: ActPrompt) -> dict[str, Any]:
        bases.append(prompt.base)
        if prompt.base.objective == "a part":
            return turn(report("any form"))
        return turn(report('{"n": 1}')) if prompt.turns else turn(part("a part"))

    order = Order(name="all", objective="the whole", done_when="it has an n")
    run = Run(tmp_path / "swarm.db", act, order=order, schema={"type": "object"})
    assert json.loads((await run()).text) == {"n": 1}
    whole, inner, *_ = bases
    assert (whole.done_when, inner.done_when) == ("it has an n", "")
    assert (inner.schema, inner.leg, inner.legs) == ("", 0, 1)
    assert "the whole" in inner.boundaries


async def test_the_tree_of_subtasks_is_told_in_the_order_in_which_they_were_handed_on(tmp_path: Path) -> None:
    def act(prompt: ActPrompt) -> dict[str, Any]:
        piece = prompt.base.objective
        inner = {"read all books": ["a", "b"], "b": ["b1"]}.get(piece, [])
        if prompt.turns or not inner:
            return turn(report(f"{piece} is done"))
        return turn(*map(part, inner))

    run = Run(tmp_path / "swarm.db", act)
    await run()
    tree = [(one.depth, one.objective, (one.conclusion or "").partition("\n")[0]) for one in run.tree()]
    assert tree == [(0, "a", "a is done"), (0, "b", "b is done"), (1, "b1", "b1 is done")]
