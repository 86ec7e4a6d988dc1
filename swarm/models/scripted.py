"""A model that says what it is told to: for tests of recipes and of programs built on Swarm.

    model = Scripted({"read": {"findings": []}, "answer": {"answerable": False, "statements": []}})

It counts, refuses what does not fit its window, and records what it was asked; it knows no network.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from swarm.errors import PromptTooLong
from swarm.models.base import FREE, Completion, Price
from swarm.models.counts import Counts
from swarm.models.language import schema_text
from swarm.models.tools import tools_text
from swarm.prompts.acting import ActPrompt
from swarm.prompts.render import render
from swarm.prompts.replies import Reply
from swarm.prompts.typed import Prompt
from swarm.task import Usage
from swarm.tokens import o200k

Answer = Reply | dict[str, Any] | str | Exception
Script = (
    Callable[[Prompt[Any]], Answer] | Sequence[Answer] | Mapping[str, Answer | Callable[[Prompt[Any]], Answer]]
)


class Scripted:
    """Answers from `replies`: a function of the prompt, a list to be used up in order, or one answer (or a
    function) for each kind of prompt. A reply, a dict or a text is what the model says; an exception is raised.
    Where the kinds do not name `compare`, it finds no contradictions. To `act`, a step of a sub-agent that has
    tools, a dict may say what is called as `{"calls": [{"name": "report", "arguments": {...}}]}`.

    `calls` are the prompts it was asked, in order. `window` and `max_output` are in o200k tokens.
    """

    remote = False
    selective = False
    revision = ""

    def __init__(
        self,
        replies: Script,
        *,
        window: int = 32_768,
        max_output: int = 1_024,
        price: Price = FREE,
        name: str = "scripted",
    ) -> None:
        self.name = self.lane = name
        self.window = window
        self.max_output = max_output
        self.price = price
        self.calls: list[Prompt[Any]] = []
        self._replies = replies
        self._used = 0
        self._counts = Counts(o200k, lambda turn: o200k(turn.text))

    def count(self, prompt: Prompt[Any]) -> int:
        rendered = render(prompt)
        if isinstance(prompt, ActPrompt):
            texts = map(self._counts.text, (rendered.system, *rendered.parts, rendered.last))
            tools = self._counts.named(prompt.toolset, lambda: tools_text(rendered.tools))
            return sum(texts) + tools + self._counts.turns(prompt)
        return sum(o200k(text) for text in (rendered.system, *rendered.parts, schema_text(prompt.reply)))

    def ratio(self) -> float:
        return 1.0

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        self.calls.append(prompt)
        tokens = self.count(prompt)
        if tokens + max_output > self.window:
            raise PromptTooLong("the prompt is longer than the script's window", tokens=tokens, limit=self.window)
        text = _text(self._answer(prompt))
        output = o200k(text)
        cost = self.price.cost(tokens, output)
        return Completion(
            text=text, usage=Usage(calls=1, input_tokens=tokens, output_tokens=output, cost_usd=cost)
        )

    async def close(self) -> None:
        """Nothing to release."""

    def _answer(self, prompt: Prompt[Any]) -> Answer:
        script = self._replies
        if isinstance(script, Mapping):
            if prompt.kind == "compare" and prompt.kind not in script:
                return {"pairs": []}  # what a script makes up may look like a contradiction
            if prompt.kind not in script:
                raise LookupError(
                    f"the script has nothing to say to a {prompt.kind} prompt; it knows: {', '.join(script)}"
                )
            answer = script[prompt.kind]
            return answer(prompt) if callable(answer) else answer
        if isinstance(script, Sequence):
            if self._used == len(script):
                raise LookupError(f"the script has {len(script)} replies and this is call {self._used + 1}")
            self._used += 1
            return script[self._used - 1]
        return script(prompt)


def _text(answer: Answer) -> str:
    match answer:
        case Exception():
            raise answer
        case Reply():
            return answer.model_dump_json()
        case str():
            return answer
        case _:
            return json.dumps(_acted(answer), ensure_ascii=False)


def _acted(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer whose calls may have their arguments as they are: in a reply they are text."""
    if not isinstance(answer.get("calls"), list):
        return answer
    calls = [
        call | {"arguments": json.dumps(call.get("arguments", {}), ensure_ascii=False)}
        if isinstance(call, dict) and not isinstance(call.get("arguments"), str)
        else call
        for call in answer["calls"]
    ]
    return answer | {"calls": calls}
