"""The window of a sub-agent with tools: whatever tools give and providers count, it is not passed."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from swarm.equipment import Tool
from swarm.errors import PromptTooLong
from swarm.limits.budget import Budget
from swarm.limits.gate import reserved_output
from swarm.models.base import Completion
from swarm.models.scripted import Scripted
from swarm.prompts.acting import REPORT, ActPrompt
from swarm.prompts.typed import Prompt, WorkPrompt
from swarm.task import Limits
from swarm.worker.act import BASE_SHARE, Actor
from swarm.worker.job import Kit
from swarm.worker.ledger import Unkept

WORD = " word"  # one token


class Counting:
    """A gate that refuses what does not fit, as the real one does, and keeps what passed."""

    def __init__(self) -> None:
        self.passed: list[int] = []

    async def ask(
        self, model: Any, prompt: Any, attempt: int = 0, *, budget: Any = None, mend: bool = True
    ) -> Any:
        tokens, limit = model.count(prompt), model.window - reserved_output(model)
        if tokens > limit:
            raise PromptTooLong("the gate", tokens=tokens, limit=limit)
        self.passed.append(tokens)
        completion = await model.call(prompt, max_output=reserved_output(model))
        return prompt.reply.model_validate_json(completion.text)


class Provider(Scripted):
    """A model whose provider counts `more` times what it is thought to, and has a window of `real` tokens. Where
    it `tells`, its replies say how many it counted, and its refusals how many it takes."""

    def __init__(self, act: Any, *, window: int, real: int, more: float, tells: bool) -> None:
        super().__init__({"act": act}, window=window, max_output=1_024)
        self.real, self.more, self.tells, self.learnt, self.refused = real, more, tells, 1.0, 0

    def count(self, prompt: Prompt[Any]) -> int:
        return int(super().count(prompt) * self.learnt)

    def ratio(self) -> float:
        return self.learnt

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        billed = int(super().count(prompt) * self.more)
        if billed + max_output > self.real:
            self.refused += 1
            self.window = min(self.window, self.real) if self.tells else self.window
            raise PromptTooLong("the provider", tokens=billed, limit=self.real)
        self.calls.append(prompt)
        if self.tells:
            self.learnt = max(self.learnt, self.more)
        return Completion(text=json.dumps(self._answer(prompt)), usage=_usage(billed))


def _usage(tokens: int) -> Any:
    from swarm.task import Usage

    return Usage(calls=1, input_tokens=tokens)


def turn(*calls: tuple[str, dict[str, Any]], says: str = "") -> dict[str, Any]:
    made = [{"id": f"c{n}", "name": name, "arguments": json.dumps(given)} for n, (name, given) in enumerate(calls)]
    return {"says": says, "calls": made}


def handed(status: str, notes: str) -> tuple[str, dict[str, Any]]:
    return REPORT, {"status": status, "result": "" if status == "continue" else "done", "notes": notes}


async def acted(model: Provider, base: WorkPrompt, steps: int) -> tuple[Any, Counting]:
    async def look(arguments: Any) -> str:
        return WORD * arguments["size"]

    gate = Counting()
    tool = Tool(name="look", description="Looks", parameters={"type": "object"}, call=look, changes=False)
    actor = Actor(
        kit=Kit(tools=(tool,), steps=steps), gate=gate, model=model, ledger=Unkept(), budget=Budget(Limits())
    )
    return await actor.act(base, "0.0"), gate


@settings(max_examples=60, deadline=None)
@given(
    window=st.integers(6_000, 64_000),
    share=st.floats(0.0, 1.0),
    sizes=st.lists(st.lists(st.integers(0, 30_000), min_size=1, max_size=12), min_size=1, max_size=12),
    said=st.integers(0, 900),
    more=st.sampled_from([1.0, 1.0, 1.1, 1.6, 2.5]),
    less=st.sampled_from([1.0, 1.0, 0.7]),
    tells=st.booleans(),
)
async def test_no_window_is_ever_passed_and_what_was_done_is_handed_over(
    window: int, share: float, sizes: list[list[int]], said: int, more: float, less: float, tells: bool
) -> None:
    def act(prompt: ActPrompt) -> dict[str, Any]:
        done = len(prompt.turns)
        if prompt.force:
            return turn(handed("continue", f"{done} steps"))
        if model.step >= len(sizes):
            return turn(handed("done", ""))
        model.step += 1
        calls = [("look", {"size": size}) for size in sizes[model.step - 1]]
        return turn(*calls, says=WORD * (said * window // 16_000))

    real = int(less * window)
    model = Provider(act, window=window, real=real, more=more, tells=tells)
    model.step = 0  # type: ignore[attr-defined]
    empty = WorkPrompt(question="The goal", shown=(), objective="a piece", basis=("b",))
    bare = Scripted({}).count(empty) + 2_000
    room = int(BASE_SHARE * (real - reserved_output(model)) / more)
    assume(bare < room)  # else there is nothing that could be done
    base = WorkPrompt(question="The goal", shown=(), objective=WORD * int(share * (room - bare)), basis=("b",))
    done, gate = await acted(model, base, 40)
    assert max(gate.passed) + reserved_output(model) <= window
    assert done.reply.status == "done" or done.reply.notes, "what was done is told to who comes after"
    assert model.refused <= 7
    anew = Scripted({})
    assert [Scripted.count(model, one) for one in model.calls] == [anew.count(one) for one in model.calls]
