"""A sub-agent with tools, in one window: what it sees, what it may do, and how it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from swarm.equipment import Tool, ToolFailed
from swarm.errors import InvalidReply, PromptTooLong
from swarm.limits.budget import Budget
from swarm.models.scripted import Scripted
from swarm.prompts.acting import REPORT, ActPrompt
from swarm.prompts.typed import WorkPrompt
from swarm.task import Limits
from swarm.worker.act import Actor
from swarm.worker.job import Kit
from swarm.worker.ledger import Unkept


class Straight:
    """A gate that lets everything through."""

    async def ask(
        self, model: Any, prompt: Any, attempt: int = 0, *, budget: Any = None, mend: bool = True
    ) -> Any:
        completion = await model.call(prompt, max_output=model.max_output)
        return prompt.reply.model_validate_json(completion.text)


def tool(name: str, does: Callable[..., str], *, changes: bool = False) -> Tool:
    async def call(arguments: Any) -> str:
        return does(**arguments)

    return Tool(name=name, description=name, parameters={"type": "object"}, call=call, changes=changes)


def calls(*named: tuple[str, dict[str, Any] | str], says: str = "") -> dict[str, Any]:
    return {
        "says": says,
        "calls": [
            {"id": f"c{n}", "name": name, "arguments": given if isinstance(given, str) else json.dumps(given)}
            for n, (name, given) in enumerate(named)
        ],
    }


def report(**more: Any) -> tuple[str, dict[str, Any]]:
    return REPORT, {"status": "done", "result": "it is done"} | more


BASE = WorkPrompt(question="The goal", shown=(), objective="a piece", basis=("b",))


class Acting:
    """An actor over a script: a list of turns, or a function of the prompt."""

    def __init__(self, script: Any, *tools: Tool, window: int = 32_768, steps: int = 50) -> None:
        turns = iter(script) if isinstance(script, list) else None
        answer = (lambda prompt: next(turns)) if turns is not None else script
        self.model = Scripted({"act": answer}, window=window)
        kit = Kit(tools=tools, steps=steps)
        self.actor = Actor(kit=kit, gate=Straight(), model=self.model, ledger=Unkept(), budget=Budget(Limits()))

    async def act(self, base: WorkPrompt = BASE) -> Any:
        return await self.actor.act(base, "0.0")

    @property
    def last(self) -> ActPrompt:
        prompt = self.model.calls[-1]
        assert isinstance(prompt, ActPrompt)
        return prompt

    def told(self) -> list[str]:
        """What it was told by the tools, as it was shown last."""
        return [one.text for turn in self.last.turns for one in turn.results]


async def test_tools_are_used_until_the_piece_is_handed_in() -> None:
    acting = Acting(
        [calls(("add", {"a": 2, "b": 3})), calls(report(result="5"))], tool("add", lambda a, b: f"{a + b}")
    )
    acted = await acting.act()
    assert (acted.reply.result, acted.steps) == ("5", 2)
    assert acting.told() == ["5"]
    assert list(acted.given.values()) == ["5"]


async def test_calls_that_change_nothing_run_side_by_side_and_others_in_their_order() -> None:
    seen: list[str] = []
    both = asyncio.Barrier(2)

    def made(name: str, changes: bool) -> Tool:
        async def call(arguments: Any) -> str:
            if not changes:
                await both.wait()  # would never return, were they run one after the other
            seen.append(arguments["n"])
            return arguments["n"]

        return Tool(name=name, description="", parameters={"type": "object"}, call=call, changes=changes)

    script = [
        calls(("look", {"n": "1"}), ("look", {"n": "2"})),
        calls(("do", {"n": "3"}), ("do", {"n": "4"})),
        calls(report()),
    ]
    await asyncio.wait_for(Acting(script, made("look", False), made("do", True)).act(), 20)
    assert sorted(seen[:2]) == ["1", "2"]
    assert seen[2:] == ["3", "4"]


async def test_what_goes_wrong_is_told_and_ends_nothing() -> None:
    def refuses() -> str:
        raise ToolFailed("the door is shut: use the window")

    def breaks() -> str:
        raise ZeroDivisionError("division by zero")

    script = [
        calls(("refuses", {}), ("breaks", {}), ("nowhere", {}), ("refuses", "{broken"), ("refuses", "[1]")),
        calls((REPORT, {"status": "finished"})),
        calls(report()),
    ]
    acting = Acting(script, tool("refuses", refuses), tool("breaks", breaks))
    await acting.act()
    said = acting.told()
    assert said[0] == "the door is shut: use the window"
    assert said[1] == "ZeroDivisionError: division by zero"
    assert said[2].startswith("There is no tool 'nowhere'. There are: refuses, breaks, report")
    assert said[3].startswith("The arguments are no JSON (")
    assert said[4] == "The arguments are no JSON object."
    assert said[5].startswith("It was not handed in, it is not valid: status:")
    assert all(one.failed for turn in acting.last.turns for one in turn.results)


async def test_a_report_beside_a_call_that_failed_is_not_taken() -> None:
    def fails() -> str:
        raise ToolFailed("no")

    acting = Acting([calls(("fails", {}), report()), calls(report(result="later"))], tool("fails", fails))
    assert (await acting.act()).reply.result == "later"
    assert acting.told()[1].startswith("It was not handed in: another call")


async def test_one_who_uses_no_tool_is_told_to_and_then_has_to_hand_in() -> None:
    forced: list[bool] = []

    def script(prompt: ActPrompt) -> dict[str, Any]:
        forced.append(prompt.force)
        return calls(report()) if prompt.force else calls(says="Let me think.")

    acting = Acting(script)
    await acting.act()
    assert forced == [False, False, False, True]
    assert acting.told()[0].startswith("(You called no tool.")


async def test_one_who_never_hands_in_fails() -> None:
    acting = Acting(lambda prompt: calls(says="I will not."), steps=4)
    with pytest.raises(InvalidReply, match="does not hand in"):
        await acting.act()
    assert len(acting.model.calls) < 10


async def test_steps_are_bounded() -> None:
    count = iter(range(100))
    acting = Acting(
        lambda prompt: calls(report(status="continue", notes="more")) if prompt.force else calls(("n", {})),
        tool("n", lambda: f"{next(count)}"),
        steps=7,
    )
    acted = await acting.act()
    assert (acted.steps, acted.reply.status) == (7, "continue")


async def test_going_in_circles_is_told_and_then_ended() -> None:
    acting = Acting(
        lambda prompt: (
            calls(report(status="continue", notes="?")) if prompt.force else calls(("look", {"at": "x"}))
        ),
        tool("look", lambda at: "nothing here"),
    )
    acted = await acting.act()
    assert acted.steps == 7
    assert "This was done 3 times" in acting.told()[2]


async def test_long_results_are_shown_in_part_with_a_way_to_the_rest() -> None:
    text = "\n".join(f"line {n} of the output" for n in range(20_000))
    acting = Acting([calls(("long", {})), calls(report())], tool("long", lambda: text))
    acted = await acting.act()
    shown = acting.told()[0]
    assert shown.startswith("line 0 of the output\n")
    assert shown.endswith("line 19999 of the output")
    assert 'open them with read_result, ref "0.0:0:0"' in shown
    assert len(shown) < len(text) // 5
    assert list(acted.given.values()) == [text], "a quote may stand anywhere in it"


async def test_a_window_that_fills_is_cleared_and_never_passed() -> None:
    count = iter(range(10_000))

    def script(prompt: ActPrompt) -> dict[str, Any]:
        return calls(report()) if next(count) == 60 else calls(("look", {"n": len(prompt.turns)}))

    acting = Acting(script, tool("look", lambda n: f"{n} " + "word " * 300), window=8_000, steps=100)
    acted = await acting.act()
    assert acted.steps == 61
    turns = acting.last.turns
    assert turns[0].results[0].text.startswith('(cleared from your window; it began "0 word word')
    assert 'read_result, ref "0.0:0:0"' in turns[0].results[0].text
    assert turns[-1].results[0].text == "59 " + "word " * 300, "the last ones are never cleared"
    assert max(acting.model.count(one) for one in acting.model.calls) + acting.model.max_output <= 8_000


async def test_a_window_that_cannot_be_cleared_any_more_ends_in_a_hand_over() -> None:
    def script(prompt: ActPrompt) -> dict[str, Any]:
        if prompt.force:
            return calls(report(status="continue", notes="half of it"))
        return calls(("look", {"n": len(prompt.turns)}), says=f"{len(prompt.turns)} thoughts " * 40)

    acting = Acting(script, tool("look", lambda n: "ok"), window=8_000, steps=500)
    acted = await acting.act()
    assert acted.reply.notes == "half of it"
    assert acted.steps < 100
    assert max(acting.model.count(one) for one in acting.model.calls) + acting.model.max_output <= 8_000


async def test_what_leaves_no_room_to_act_in_is_not_begun() -> None:
    acting = Acting([calls(report())], window=6_000)
    base = WorkPrompt(question="The goal", shown=(), objective="word " * 3_500, basis=("b",))
    with pytest.raises(PromptTooLong, match="too little of its window"):
        await acting.act(base)
    assert not acting.model.calls


async def test_the_same_steps_are_the_same_calls_whatever_was_cleared() -> None:
    def identities(window: int) -> list[object]:
        count = iter(range(100))

        def script(prompt: ActPrompt) -> dict[str, Any]:
            return calls(report()) if next(count) == 20 else calls(("look", {"n": len(prompt.turns)}))

        acting = Acting(script, tool("look", lambda n: f"{n} " + "word " * 300), window=window)
        asyncio.run(acting.act())
        return [prompt.identity() for prompt in acting.model.calls]

    wide, narrow = await asyncio.to_thread(identities, 64_000), await asyncio.to_thread(identities, 8_000)
    assert wide == narrow
    assert len({json.dumps(one) for one in wide}) == len(wide)


async def test_counting_on_from_the_step_before_comes_to_the_same_as_counting_anew() -> None:
    count = iter(range(10_000))

    def script(prompt: ActPrompt) -> dict[str, Any]:
        return calls(report()) if next(count) == 60 else calls(("look", {"n": len(prompt.turns)}))

    acting = Acting(script, tool("look", lambda n: f"{n} " + "word " * 300), window=8_000, steps=100)
    await acting.act()
    anew = Scripted({})
    assert [acting.model.count(one) for one in acting.model.calls] == [
        anew.count(one) for one in acting.model.calls
    ]
    assert len({prompt.form for prompt in acting.model.calls if isinstance(prompt, ActPrompt)}) > 2


async def test_a_subtask_has_a_window_of_its_own_and_leaves_its_conclusion() -> None:
    prompts: list[ActPrompt] = []

    def script(prompt: ActPrompt) -> dict[str, Any]:
        prompts.append(prompt)
        if prompt.base.objective == "count the words":
            return calls(("look", {})) if not prompt.turns else calls(report(result="three words"))
        return calls(("subtask", {"objective": "count the words"})) if not prompt.turns else calls(report())

    acting = Acting(
        script, tool("look", lambda: "one two three"), tool("subtask", lambda objective: "", changes=True)
    )
    acted = await acting.act()
    assert [one.base.objective for one in prompts] == ["a piece", "count the words", "count the words", "a piece"]
    shown = acting.told()[0]
    assert shown.startswith("three words\n\n(Its work, 2 steps, is kept: read_result")
    assert "one two three" not in shown, "its work is dropped from the window"
    assert "one two three" in acted.given.values(), "and can be quoted all the same"


async def test_subtasks_do_not_go_down_for_ever() -> None:
    def script(prompt: ActPrompt) -> dict[str, Any]:
        if prompt.turns or "subtask" not in [one.name for one in prompt.tools]:
            return calls(report(result="bottom"))
        return calls(("subtask", {"objective": f"{prompt.base.objective}+"}))

    acting = Acting(script, tool("subtask", lambda objective: "", changes=True))
    assert (await acting.act()).reply.result == "bottom"
    assert len(acting.model.calls) == 7  # down three, and back
