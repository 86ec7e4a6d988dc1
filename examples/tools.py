"""A sub-agent with tools of its own: two functions, and a model that says what it is told to."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any, Literal

import swarm
from swarm import Order, Program, Role, Swarm, Task
from swarm.equipment import ToolFailed
from swarm.models.scripted import Scripted
from swarm.prompts.acting import REPORT, ActPrompt
from swarm.prompts.typed import Prompt

STOCK = {"tea": 12, "salt": 0}


def stock(of: str) -> int:
    """How many boxes of something are left.

    Args:
        of: what is asked for, in one word
    """
    if of not in STOCK:
        raise ToolFailed(f"there is no {of}: ask for one of {', '.join(STOCK)}")
    return STOCK[of]


async def order(what: str, boxes: int, speed: Literal["slow", "fast"] = "slow") -> str:
    """Order boxes of something."""
    return f"{boxes} boxes of {what} are on their way, {speed}"


def act(prompt: Prompt[Any]) -> dict[str, Any]:
    """What a language model would decide: look at both, order what is missing, hand in."""
    assert isinstance(prompt, ActPrompt)

    def calls(*wanted: tuple[str, dict[str, Any]]) -> dict[str, Any]:
        return {
            "calls": [
                {"id": f"{n}", "name": name, "arguments": json.dumps(arguments)}
                for n, (name, arguments) in enumerate(wanted)
            ]
        }

    results = [result.text for turn in prompt.turns for result in turn.results]
    if not results:
        return calls(("stock", {"of": "tea"}), ("stock", {"of": "salt"}))
    if len(results) == 2:
        missing = [what for what, left in zip(("tea", "salt"), results, strict=True) if left == "0"]
        return calls(*(("order", {"what": what, "boxes": 5}) for what in missing))
    return calls((REPORT, {"status": "done", "result": results[-1], "summary": "Salt was ordered."}))


async def main() -> None:
    keeper = Role(tools=(swarm.tool(stock, changes=False), swarm.tool(order)))
    plan = Program(
        orders=lambda: [Order(name="stock", objective="See to it that nothing runs out.")],
        roles=(keeper,),
        answer=lambda results: results["stock"],
    )
    task = Task(questions=("Does anything run out?",), paths=(), mode="work")
    model = Scripted({"act": act})
    with tempfile.TemporaryDirectory() as folder:
        answer = await Swarm(model, store=Path(folder) / "swarm.db").run(task, plan=plan)
    assert answer.text == "5 boxes of salt are on their way, slow"
    print(f"{answer.text} ({len(model.calls)} steps)")


if __name__ == "__main__":
    asyncio.run(main())
