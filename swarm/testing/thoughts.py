"""What a provider works out about a request before it answers: its size, and what there is to say.

The same request comes many times, from clients that are killed and start again: what was worked out once is kept,
for the last few thousand. This module knows no HTTP, no faults and no limits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from typing import Any

from swarm.prompts.acting import REPORT
from swarm.testing.ability import PERFECT, Ability
from swarm.testing.mimic import answer, spoken
from swarm.testing.seen import Hands, Seen, acted, seen_in_words, written
from swarm.testing.wire import Asked, Called, Format, Turn

_KEPT = 4_096
_KEPT_TEXTS = 16_384
_PER_TEXT = 4  # tokens around each message or block
_PER_REQUEST = 3
_PER_TOOL = 12
_FOR_TOOLS = 320  # what the first tool costs, as Anthropic publishes it
_SPOKEN = frozenset({"says", "calls", "kept"})  # what a reply holds where tools are told in words

Tokenizer = Callable[[str], int]
Think = Callable[[str, dict[str, Any]], dict[str, Any]]
"""From the text of a request and the JSON schema of its reply to that reply. A LookupError comes to the client as
a request that was not understood. Where there is no schema, the reply is what is said, as `text`."""


@dataclass(frozen=True, slots=True)
class Thought:
    """A request that was read. `asked` is without its texts and the results of its turns, `text` is the reply and
    `calls` the tools that it uses; all counts are in tokens."""

    asked: Asked
    tokens: int
    text: str
    text_tokens: int
    prefixes: tuple[tuple[int, int], ...]
    """For each cache mark the hash of what stands before it, and its tokens."""
    calls: tuple[Called, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Hosted:
    """One model of a provider: its window in tokens, and how many it bills for each token of the tokenizer."""

    window: int
    ratio: float = 1.0

    def billed(self, thought: Thought) -> Thought:
        """The same request in this model's tokens."""
        return replace(
            thought,
            tokens=ceil(thought.tokens * self.ratio),
            text_tokens=ceil(thought.text_tokens * self.ratio),
            prefixes=tuple((name, ceil(tokens * self.ratio)) for name, tokens in thought.prefixes),
        )


class Mind:
    """Reads requests and thinks of replies, with one tokenizer. `ability` is how well it reads, by dice of that
    `seed`; `think`, where it is given, answers in its place, and `hands` where there are tools to use. Without
    them it reports at once."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        ability: Ability = PERFECT,
        seed: int = 0,
        think: Think | None = None,
        hands: Hands | None = None,
    ) -> None:
        self._count = lru_cache(_KEPT_TEXTS)(tokenizer)
        self._ability, self._seed, self._think, self._hands = ability, seed, think, hands
        self._known: dict[str, Thought] = {}

    @property
    def repeats(self) -> bool:
        """Whether the same request always gets the same reply."""
        return self._think is None and self._hands is None and self._ability.perfect

    def think(self, form: Format, key: str, body: bytes, attempt: int = 0) -> Thought:
        """What there is to say to the request `body`, whose content is named by `key` and came `attempt` times
        before.

        Raises:
            ValueError: it is no request in this format, or none that Swarm sends.
        """
        if not self.repeats:
            return self._thought(form, body, f"{self._seed}:{key}:{attempt}")
        if (known := self._known.get(key)) is None:
            known = self._thought(form, body, "")
            if len(self._known) >= _KEPT:
                del self._known[next(iter(self._known))]
            self._known[key] = known
        return known

    def _thought(self, form: Format, body: bytes, seed: str) -> Thought:
        try:
            asked = form.read(json.loads(body))
            text, calls = self._acts(asked, seed) if asked.tools else (self._says(asked, seed), ())
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"not understood: {error}") from error
        said = [text, *(part for call in calls for part in (call.name, call.arguments))]
        return Thought(
            asked=replace(asked, texts=(), told=(), turns=tuple(map(_shell, asked.turns))),
            tokens=self.size(asked),
            text=text,
            text_tokens=sum(map(self._count, said)) + _PER_TEXT * len(calls),
            prefixes=tuple(self._prefixes(asked)),
            calls=calls,
        )

    def _says(self, asked: Asked, seed: str) -> str:
        """The reply, as JSON; in plain words where no form was asked for and nobody answers in its place."""
        if asked.schema.get("properties", {}).keys() == _SPOKEN:
            seen, parameters = seen_in_words(asked.told)
            does = self._hands(seen) if self._hands else self._reports(seen.text, parameters[REPORT], seed)
            return acted(does, len(seen.turns)).model_dump_json()
        if not asked.schema:
            if self._think is None:
                return spoken(asked.texts)
            return str(self._think("\n".join(asked.texts), {}).get("text", ""))
        return json.dumps(self._answers("\n".join(asked.texts), asked.schema, seed))

    def _acts(self, asked: Asked, seed: str) -> tuple[str, tuple[Called, ...]]:
        """What it says and does. Who has no hands does nothing with tools that do not hand in."""
        seen = _seen(asked)
        report = next((tool["parameters"] for tool in asked.tools if tool["name"] == REPORT), None)
        if self._hands is None and report is None:
            return self._says(asked, seed), ()
        does = self._hands(seen) if self._hands else self._reports(seen.text, report or {}, seed)
        calls = tuple(
            Called(id=f"call_{len(asked.turns)}_{place}", name=call["name"], arguments=written(call))
            for place, call in enumerate(does.get("calls", ()))
        )
        return does.get("says", ""), calls

    def _reports(self, text: str, schema: dict[str, Any], seed: str) -> dict[str, Any]:
        return {"calls": [{"name": REPORT, "arguments": self._answers(text, schema, seed)}]}

    def _answers(self, text: str, schema: dict[str, Any], seed: str) -> dict[str, Any]:
        if self._think is not None:
            return self._think(text, schema)
        return answer(text, schema, self._ability, seed)

    def size(self, asked: Asked) -> int:
        """Tokens of a request, as the provider bills them."""
        texts = [*asked.texts, json.dumps(asked.schema)] if asked.mechanism else asked.texts
        return sum(self._count(text) + _PER_TEXT for text in texts) + self._tools(asked) + _PER_REQUEST

    def _tools(self, asked: Asked) -> int:
        told = (
            (tool["name"], tool.get("description", ""), json.dumps(tool.get("parameters", {}), ensure_ascii=False))
            for tool in asked.tools
        )
        tokens = sum(_PER_TOOL + sum(map(self._count, texts)) for texts in told)
        return tokens + _FOR_TOOLS if asked.tools else 0

    def _prefixes(self, asked: Asked) -> Iterator[tuple[int, int]]:
        begun = json.dumps(asked.tools) if asked.tools else ""
        tokens, at = self._tools(asked), 0
        for mark in asked.marks:
            tokens += sum(self._count(text) + _PER_TEXT for text in asked.texts[at:mark])
            at = mark
            yield hash((begun, asked.texts[:mark])), tokens


def _shell(turn: Turn) -> Turn:
    """A turn without what was done in it."""
    return replace(turn, calls=(), results=())


def _seen(asked: Asked) -> Seen:
    return Seen(
        text="\n\n".join(asked.told),
        tools=tuple(tool["name"] for tool in asked.tools),
        turns=tuple(
            (tuple({"name": name, "arguments": given} for name, given in turn.calls), turn.results)
            for turn in asked.turns
        ),
        force=asked.force,
    )
