"""What all language models share: counting a request, its schema, reading a reply, learning from usage.

A language model renders the typed prompt as text and is held to the JSON schema of the reply. The count of a
request is the sum of its counted parts, the schema and an allowance for what providers add around them, so that it
never falls below what the provider counts. This module knows no provider.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from functools import cache
from typing import Any, ClassVar
from urllib.parse import urlsplit

from swarm.errors import PromptTooLong, RunError
from swarm.models.base import Completion, Price
from swarm.models.counts import Counts
from swarm.models.failures import Failure, about_choice, about_tools, longest_reply
from swarm.models.tools import Acts, arguments_text, tools_text
from swarm.prompts.acting import ActPrompt, Turn
from swarm.prompts.in_words import in_words, tools_in_words, turn_in_words
from swarm.prompts.render import Rendered, render
from swarm.prompts.replies import Reply
from swarm.prompts.typed import Prompt
from swarm.task import Usage
from swarm.tokens import TokenCounter, o200k

_PART_TOKENS = 8  # around each message or block, at most 4 with every provider that tells
_CALL_TOKENS = 24  # around each call and each result, and the name of the call in both
_TOOL_TOKENS = 24  # around each tool
_TOOLS_TOKENS = 512  # what providers add for the first tool: 313 to 346 are published for Claude
_SILENT_CUT = 256  # how far below half of the o200k count a billed prompt is before it was surely truncated
_FENCE = re.compile(r"```(?:json)?\s*(\{.*\})\s*```", re.DOTALL)
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)


class LanguageModel(ABC):
    """The base of every adapter of a language model. Not safe to share between event loops.

    `window`, `max_output`: tokens. The window shrinks when the provider says that it is smaller. `address` is the
    base URL: models of one name at two addresses have rates of their own.
    """

    remote: ClassVar[bool] = True
    selective: ClassVar[bool] = False
    revision: ClassVar[str] = ""
    request_tokens: ClassVar[int] = 256
    """Allowance for what a provider adds to a request: roles, a preamble for the schema."""

    def __init__(
        self,
        *,
        name: str,
        window: int,
        max_output: int,
        price: Price,
        counter: TokenCounter,
        address: str = "",
    ) -> None:
        self.name = name
        self.lane = f"{name} at {host}" if (host := urlsplit(address).netloc.rpartition("@")[2]) else name
        self.window = window
        self.max_output = max_output
        self.price = price
        self._counter = counter
        self._learnt_tokens = 0
        self._acts: Acts = "forced"
        self._counts = Counts(counter.count, self._turn_tokens)
        self._least = Counts(o200k, lambda turn: o200k(turn.text.removesuffix(turn.kept)))

    def count(self, prompt: Prompt[Any]) -> int:
        return self._count(render(prompt), prompt)

    def ratio(self) -> float:
        return self._counter.ratio()

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        rendered = render(prompt)
        try:
            completion = await self._send(rendered, prompt, max_output)
        except RunError as error:
            # the SDK's own error holds the whole exchange: the key, the prompt, and what the server said of them
            error.__cause__ = error.__context__ = None
            if isinstance(error, PromptTooLong):
                self._shrink(error.limit)
            raise
        self._check_whole(rendered, prompt, completion.usage)
        self._learn(rendered, prompt, completion.usage)
        return completion

    @abstractmethod
    async def _send(self, rendered: Rendered, prompt: Prompt[Any], max_output: int) -> Completion:
        """One request; raises only the errors of `swarm.errors`."""

    @abstractmethod
    async def close(self) -> None: ...

    def _usage(
        self, *, input_tokens: int, output_tokens: int, cached_tokens: int, surcharge_usd: float = 0.0
    ) -> Usage:
        """The usage of one call, priced. `surcharge_usd` is what writing to a prompt cache cost on top."""
        return Usage(
            calls=1,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_tokens=cached_tokens,
            cost_usd=self.price.cost(input_tokens, output_tokens, cached_tokens) + surcharge_usd,
        )

    def _count(self, rendered: Rendered, prompt: Prompt[Any]) -> int:
        if isinstance(prompt, ActPrompt):
            return self._count_step(rendered, prompt)
        texts = [rendered.system, *rendered.parts, schema_text(prompt.reply), *self._extra_texts(prompt)]
        around = self.request_tokens + _PART_TOKENS * len(texts) + self._learnt_tokens
        return sum(self._counter.count(text) for text in texts) + around

    def _count_step(self, rendered: Rendered, prompt: ActPrompt) -> int:
        """What was counted at the step before is not counted again: there may be hundreds of turns."""
        counts = self._counts
        texts = [rendered.system, *rendered.parts, rendered.last]
        if self._acts == "words":
            texts += [schema_text(prompt.reply), *self._extra_texts(prompt)]
            tools = counts.named(prompt.toolset, lambda: tools_in_words(rendered.tools))
        else:
            tools = counts.named(prompt.toolset, lambda: tools_text(rendered.tools)) + _TOOLS_TOKENS
        around = self.request_tokens + _PART_TOKENS * len(texts) + _TOOL_TOKENS * len(rendered.tools)
        turns = counts.turns(prompt)
        return sum(map(counts.text, texts)) + tools + turns + around + self._learnt_tokens

    def _turn_tokens(self, turn: Turn) -> int:
        if self._acts == "words":
            return self._counter.count(turn_in_words(turn)) + _PART_TOKENS
        texts = [turn.text]
        for call in turn.calls:
            texts += [call.id, call.id]
            if (sent := arguments_text(call)) != call.arguments:
                texts.append(sent)
        around = _CALL_TOKENS * (len(turn.calls) + len(turn.results)) + _PART_TOKENS
        return sum(map(self._counter.count, texts)) + around

    def _asked(self, rendered: Rendered, acts: Acts) -> Rendered:
        """The request as it is sent: with its tools, or with all of it in words."""
        return in_words(rendered) if acts == "words" else rendered

    def _acts_otherwise(self, failure: Failure, rendered: Rendered, acts: Acts) -> bool:
        """Whether the provider objects to how the tools were given, and they can be given otherwise."""
        after: Acts
        if not rendered.tools or acts == "words":
            return False
        if rendered.force and acts == "forced" and about_choice(failure):
            after = "tools"
        elif about_tools(failure):
            after = "words"
        else:
            return False
        if self._acts == acts:  # a call that was under way may have moved on already
            self._act_by(after)
        return True

    def _act_by(self, acts: Acts) -> None:
        """Remembered for all later calls."""
        self._acts = acts
        self._counts.forget()

    def _extra_texts(self, prompt: Prompt[Any]) -> tuple[str, ...]:  # noqa: ARG002  # for those that override it
        """What this adapter adds to the rendered text."""
        return ()

    def _learn(self, rendered: Rendered, prompt: Prompt[Any], usage: Usage) -> None:
        """Raise the count when the provider billed more. Counted anew, because another call may have raised it
        while this one was on its way."""
        counted = self._count(rendered, prompt)
        if usage.input_tokens <= counted:
            return
        self._counter.observe(counted, usage.input_tokens)
        self._counts.forget()
        self._learnt_tokens += max(0, usage.input_tokens - self._count(rendered, prompt))

    def _check_whole(self, rendered: Rendered, prompt: Prompt[Any], usage: Usage) -> None:
        """Some servers cut a prompt that is too long and answer all the same: nothing may rest on such a reply."""
        if isinstance(prompt, ActPrompt):
            least = sum(map(self._least.text, (rendered.system, *rendered.parts))) + self._least.turns(prompt)
        else:
            least = o200k(rendered.system) + sum(o200k(part) for part in rendered.parts)
        if 0 < usage.input_tokens < least // 2 - _SILENT_CUT:
            self._shrink(usage.input_tokens)
            error = PromptTooLong(
                f"{self.name} read {usage.input_tokens:,} tokens of about {least:,} and dropped the rest: "
                "give the server a larger context",
                tokens=least,
                limit=usage.input_tokens,
            )
            error.in_doubt = True  # it answered, and may bill it
            raise error

    def _allows_less(self, failure: Failure, max_output: int) -> bool:
        """Whether the provider only objects to the length of the reply; then `max_output` is what it allows."""
        limit = longest_reply(failure)
        if limit is None or not 0 < limit < max_output:
            return False
        self.max_output = limit
        return True

    def _shrink(self, limit: int) -> None:
        if 0 < limit < self.window:
            self.window = limit


@cache
def schema_of(reply: type[Reply]) -> dict[str, Any]:
    """The JSON schema of a reply in the strict form that every provider takes: all fields required, no others, no
    references, no bounds (those are checked here when the reply is validated)."""
    schema = reply.model_json_schema()
    return _strict(schema, schema.get("$defs", {}))


@cache
def schema_text(reply: type[Reply]) -> str:
    return json.dumps(schema_of(reply), ensure_ascii=False, separators=(",", ":"))


def _strict(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        return _strict(definitions[node["$ref"].rsplit("/", 1)[1]], definitions)
    kept: dict[str, Any] = {}
    for key in ("type", "description", "enum", "const"):
        if key in node:
            kept[key] = node[key]
    if "properties" in node:
        kept["properties"] = {name: _strict(child, definitions) for name, child in node["properties"].items()}
        kept["required"] = list(node["properties"])
        kept["additionalProperties"] = False
    if "items" in node:
        kept["items"] = _strict(node["items"], definitions)
    if "anyOf" in node:
        kept["anyOf"] = [_strict(child, definitions) for child in node["anyOf"]]
    return kept


def sent_text(rendered: Rendered) -> str:
    """All of a request's own text, which is kept out of messages."""
    return "\n".join((rendered.system, *rendered.parts, *(turn.text for turn in rendered.turns)))


def json_in(text: str) -> str:
    """The JSON object in a reply that may be fenced, follow thoughts or stand among words; else the text."""
    plain = _THOUGHT.sub("", text).strip()
    if plain.startswith("{"):
        return plain
    if (fence := _FENCE.search(plain)) is not None:
        return fence[1]
    start, end = plain.find("{"), plain.rfind("}")
    return plain[start : end + 1] if 0 <= start < end else plain
