"""Limits, stops and a person's word over sub-agents that act: nothing is passed, lost, or done twice."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import swarm
from swarm import Answer, Limits, Order, Program, Role, Swarm, Task, replay
from swarm.models.base import Price
from swarm.models.scripted import Scripted
from swarm.prompts.acting import REPORT, ActPrompt

PRICE = Price(input_usd=1.0, output_usd=10.0, cached_usd=1.0)


def turn(*calls: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    made = [{"id": f"c{n}", "name": name, "arguments": json.dumps(given)} for n, (name, given) in enumerate(calls)]
    return {"says": "", "calls": made}


def report(result: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return REPORT, {"status": "done", "result": result, "summary": f"{result} is there."} | more


def act(prompt: ActPrompt) -> dict[str, Any]:
    """Two legs, several calls at once, and subtasks; side by side where nothing is changed."""
    name, done = prompt.base.objective, len(prompt.turns)
    part = name.startswith("part")
    if part:
        steps = [[("note", {"word": f"{name}"})], [report(f"{name} is done")]]
    elif prompt.base.notes:
        steps = [[("note", {"word": f"{name}, late"})], [report(f"{name} is done")]]
    else:
        steps = [
            [("note", {"word": f"{name}, {n}"}) for n in range(3)],
            [("subtask", {"objective": f"part {n} of {name}"}) for n in range(2)],
            [report("", status="continue", notes=f"half of {name}", summary="")],
        ]
    return turn(*steps[min(done, len(steps) - 1)])


class Crew:
    """So many pieces, on a store."""

    def __init__(self, folder: Path, *, changes: bool, pieces: int = 3, does: Callable[..., Any] = act) -> None:
        self.store = folder / "swarm.db"
        self.used: list[str] = []
        self.does = does
        self.asked = 0
        """Steps that were asked for."""

        async def note(word: str) -> str:
            self.used.append(word)
            await asyncio.sleep(0)
            return f"{word} is noted"

        tool = swarm.tool(note, changes=changes)
        names = [f"piece {n}" for n in range(pieces)]
        self.plan = Program(
            orders=lambda: [Order(name=name, objective=name) for name in names],
            roles=(Role(tools=(tool, "subtask"), view_tokens=0),),
            answer=lambda results: "; ".join(results[name] for name in names),
        )

    async def __call__(self, limits: Limits) -> Answer:
        run, task = self.run(limits)
        return await run.run(task, run_id="run", plan=self.plan)

    def run(self, limits: Limits) -> tuple[Swarm, Task]:
        def does(prompt: ActPrompt) -> Any:
            self.asked += 1
            return self.does(prompt)

        nothing = {"answerable": False, "short": None, "statements": []}
        model = Scripted({"act": does, "answer": nothing}, price=PRICE, max_output=400)
        task = Task(questions=("Make it",), paths=(), mode="work", limits=limits)
        return Swarm(model, store=self.store, concurrency=3), task


AMPLE = Limits(cost_usd=100.0, tokens=10**9, calls=10**6)


@settings(max_examples=12, deadline=None)
@given(
    changes=st.booleans(),
    limit=st.one_of(
        st.builds(lambda n: Limits(calls=n, cost_usd=100.0), st.integers(3, 24)),
        st.builds(lambda n: Limits(tokens=n, cost_usd=100.0), st.integers(4_000, 80_000)),
        st.builds(lambda n: Limits(cost_usd=n), st.floats(0.01, 0.15)),
    ),
)
async def test_no_limit_is_passed_and_what_was_done_until_then_is_gone_on_with(
    changes: bool, limit: Limits
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        crew = Crew(Path(folder), changes=changes)
        first = await crew(limit)
        assert first.usage.calls <= (limit.calls or 10**6)
        assert first.usage.tokens <= (limit.tokens or 10**9)
        assert first.usage.cost_usd <= (limit.cost_usd or 100.0) + 1e-9
        assert (first.stopped is None) == (first.text.count("is done") == 3)
        assert first.failures == ()
        answer = await crew(AMPLE)
        assert answer.text == "piece 0 is done; piece 1 is done; piece 2 is done"
        assert set(Counter(crew.used).values()) == {1}, "a tool was used twice"
        assert crew.asked == 3 * (3 + 2 * 2 + 2), "a call was made twice"
        again = await replay("run", crew.store)
        assert (again.text, again.graph) == (answer.text, answer.graph)


@pytest.mark.parametrize(
    "share", [Limits(calls=4), Limits(tokens=6_000), Limits(cost_usd=0.02), Limits(wall_seconds=0.0)], ids=str
)
async def test_a_share_ends_its_slice_and_a_run_that_goes_on_with_more_finishes(
    tmp_path: Path, share: Limits
) -> None:
    crew = Crew(tmp_path, changes=True, pieces=1)
    first = await crew(replace(AMPLE, each_slice=share))
    assert [one.name for one in first.failures] == ["piece 0"]
    assert first.usage.calls <= (share.calls or 10**6)
    assert first.usage.tokens <= (share.tokens or 10**9)
    assert first.usage.cost_usd <= (share.cost_usd or 100.0)
    answer = await crew(replace(AMPLE, each_slice=replace(AMPLE, wall_seconds=1_000.0)))
    assert (answer.text, answer.failures) == ("piece 0 is done", ())
    assert (await replay("run", crew.store)).graph == answer.graph


@pytest.mark.parametrize("how", ["stop", "cancel"])
@pytest.mark.parametrize("at", [1, 3, 4, 6])
async def test_a_run_that_is_broken_off_within_a_tool_uses_no_other_again(
    tmp_path: Path, how: str, at: int
) -> None:
    crew = Crew(tmp_path, changes=True, pieces=2)
    running: list[Any] = []
    noted = crew.plan.roles[0].tools[0]
    assert not isinstance(noted, str)

    async def breaks(arguments: Any) -> str:
        text: str = await noted.call(arguments)
        if len(crew.used) >= at and running:
            task, run = running
            running.clear()
            run.stop() if how == "stop" else task.cancel()
            await asyncio.sleep(0)
        return text

    broken = replace(crew.plan.roles[0], tools=(replace(noted, call=breaks), "subtask"))
    run, task = crew.run(AMPLE)
    going = asyncio.create_task(run.run(task, run_id="run", plan=replace(crew.plan, roles=(broken,))))
    running += [going, run]
    try:
        first = await going
        assert first.stopped == "interrupted"
    except asyncio.CancelledError:
        assert how == "cancel"
    answer = await crew(AMPLE)
    assert answer.text == "piece 0 is done; piece 1 is done"
    twice = [word for word, times in Counter(crew.used).items() if times > 1]
    assert len(twice) <= (2 if how == "cancel" else 0), "only what was under way is done again"
    assert crew.asked == 2 * 9
    assert (await replay("run", crew.store)).graph == answer.graph
