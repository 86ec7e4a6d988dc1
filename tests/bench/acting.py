"""What a step of a sub-agent with tools costs beside its model and its tools, and how that grows with the steps.

    python tests/bench/acting.py [--steps 10 100 1000] [--chars 200] [--repeats 3]

One sub-agent works one slice: each step is one call of a tool that returns `--chars` characters, until it hands
in. The model is SIMULATED: a script that answers at once, whose own time is left out; so no figure says anything
about a model. Its window is large enough that nothing is cleared, which is the most expensive case: every turn is
in every request. Measured, in CPU microseconds a step (the median of the repeats), without what a run costs before
its first step:

- `swarm run`: all of it: prompts, counting, gate, limits, journal (each call, each tool result) on disk. One
  sub-agent alone commits twice a step; with many at once commits are shared.
- `swarm loop`: the worker's loop alone, without gate and journal.
- `create_agent`: LangChain's agent over langgraph, with the same tool and script, in memory; the baseline.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool as langchain_tool

from swarm.equipment import Tool
from swarm.limits.budget import Budget
from swarm.models.base import Completion
from swarm.models.scripted import Scripted
from swarm.orders import Order
from swarm.program import Program, Role
from swarm.prompts.typed import Prompt, WorkPrompt
from swarm.run import Swarm
from swarm.task import Limits, Task
from swarm.worker.act import Actor
from swarm.worker.job import Kit
from swarm.worker.ledger import Unkept

DONE = json.dumps({"status": "done", "result": "done", "summary": ""})


class Instant(Scripted):
    """SIMULATED: uses the tool `steps - 1` times, then hands in. `own` is its own CPU seconds."""

    def __init__(self, steps: int) -> None:
        self.own = 0.0
        self.asked = 0
        self.steps = steps
        super().__init__({"act": self._act}, window=4_000_000, max_output=4_000)

    def _act(self, _prompt: Any) -> dict[str, Any]:
        self.asked += 1
        last = self.asked == self.steps
        name, arguments = ("report", DONE) if last else ("look", json.dumps({"number": self.asked}))
        return {"says": "", "calls": [{"id": f"c{self.asked}", "name": name, "arguments": arguments}], "kept": ""}

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        began = time.process_time()
        try:
            return await super().call(prompt, max_output=max_output)
        finally:
            self.own += time.process_time() - began
            self.calls.clear()


def look(chars: int) -> Tool:
    async def call(arguments: Mapping[str, Any]) -> str:
        return f"{arguments['number']} ".ljust(chars, "x")

    parameters = {"type": "object", "properties": {"number": {"type": "integer"}}}
    return Tool(name="look", description="Looks", parameters=parameters, call=call, changes=False)


async def whole(steps: int, chars: int) -> float:
    model = Instant(steps)
    plan = Program(
        orders=lambda: [Order(name="one", objective="look")],
        roles=(Role(tools=(look(chars),), steps=steps + 1),),
        answer=lambda results: results["one"],
    )
    with tempfile.TemporaryDirectory() as folder:
        swarm = Swarm(model, store=Path(folder) / "swarm.db")
        task = Task(questions=("Look",), paths=(), mode="work")
        began = time.process_time()
        answer = await swarm.run(task, plan=plan)
        spent = time.process_time() - began
    assert answer.text == "done"
    assert answer.usage.calls == steps
    return spent - model.own


class Straight:
    """No gate: the model itself."""

    async def ask(self, model: Any, prompt: Any, attempt: int = 0, **_: Any) -> Any:
        completion = await model.call(prompt, max_output=model.max_output)
        return prompt.reply.model_validate_json(completion.text)


async def loop(steps: int, chars: int) -> float:
    model = Instant(steps)
    kit = Kit(tools=(look(chars),), steps=steps + 1)
    actor = Actor(kit=kit, gate=Straight(), model=model, ledger=Unkept(), budget=Budget(Limits()))
    began = time.process_time()
    acted = await actor.act(WorkPrompt(question="Look", shown=(), objective="look", basis=("b",)), "0")
    spent = time.process_time() - began
    assert acted.steps == steps
    return spent - model.own


class Chat(BaseChatModel):
    """SIMULATED, as `Instant` is."""

    steps: int
    asked: int = 0
    own: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "instant"

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        began = time.process_time()
        self.asked += 1
        calls = [{"name": "look", "args": {"number": self.asked}, "id": f"c{self.asked}"}]
        message = AIMessage(content="done", tool_calls=[] if self.asked == self.steps else calls)
        self.own += time.process_time() - began
        return ChatResult(generations=[ChatGeneration(message=message)])


async def baseline(steps: int, chars: int) -> float:
    @langchain_tool("look")
    async def looks(number: int) -> str:
        """Looks."""
        return f"{number} ".ljust(chars, "x")

    model = Chat(steps=steps)
    agent = create_agent(model, [looks])
    began = time.process_time()
    done = await agent.ainvoke({"messages": [("user", "Look")]}, {"recursion_limit": 4 * steps + 10})
    spent = time.process_time() - began
    assert done["messages"][-1].content == "done"
    return spent - model.own


Row = Callable[[int, int], Coroutine[Any, Any, float]]
ROWS: dict[str, Row] = {
    "swarm run": whole,
    "swarm loop": loop,
    "create_agent": baseline,
}


def measured(row: Row, steps: int, options: argparse.Namespace) -> float:
    repeats = max(options.repeats, min(15, 100 // steps))  # short runs are noisy
    return statistics.median(asyncio.run(row(steps, options.chars)) for _ in range(repeats))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--chars", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    for row in ROWS.values():
        asyncio.run(row(5, options.chars))  # what is loaded once
    print("CPU microseconds a step; the model is SIMULATED and its own time left out")
    print("|".join(["", "steps".ljust(6), *(name.rjust(12) for name in ROWS), "run / create_agent", ""]))
    once = {name: measured(row, 1, options) for name, row in ROWS.items()}
    for steps in options.steps:
        cells = {
            name: 1e6 * (measured(row, steps + 1, options) - once[name]) / steps for name, row in ROWS.items()
        }
        ratio = cells["swarm run"] / cells["create_agent"]
        print(
            "|".join(["", f"{steps:<6}", *(f"{value:12,.0f}" for value in cells.values()), f"{ratio:18.2f}", ""])
        )


if __name__ == "__main__":
    main()
