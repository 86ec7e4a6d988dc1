"""What a provider works out about a request before it answers: its size, and what there is to say.

The same request comes many times, from clients that are killed and start again: what was worked out once is kept,
for the last few thousand. This module knows no HTTP, no faults and no limits.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from typing import Any

from swarm.testing.ability import PERFECT, Ability
from swarm.testing.mimic import answer
from swarm.testing.wire import Asked, Format

_KEPT = 4_096
_KEPT_TEXTS = 16_384
_PER_TEXT = 4  # tokens around each message or block
_PER_REQUEST = 3

Tokenizer = Callable[[str], int]
Think = Callable[[str, dict[str, Any]], dict[str, Any]]
"""From the text of a request and the JSON schema of its reply to that reply. A LookupError comes to the client as
a request that was not understood."""


@dataclass(frozen=True, slots=True)
class Thought:
    """A request that was read. `asked` is without its texts, `text` is the reply; all counts are in tokens."""

    asked: Asked
    tokens: int
    text: str
    text_tokens: int
    prefix: int
    """The hash of what stands before the cache mark."""
    prefix_tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Hosted:
    """One model of a provider: its window in tokens, and how many it bills for each token of the tokenizer."""

    window: int
    ratio: float = 1.0

    def billed(self, thought: Thought) -> Thought:
        """The same request in this model's tokens."""
        names = ("tokens", "text_tokens", "prefix_tokens")
        return replace(thought, **{name: ceil(getattr(thought, name) * self.ratio) for name in names})


class Mind:
    """Reads requests and thinks of replies, with one tokenizer. `ability` is how well it reads, by dice of that
    `seed`; `think`, where it is given, answers in its place."""

    def __init__(
        self, tokenizer: Tokenizer, ability: Ability = PERFECT, seed: int = 0, think: Think | None = None
    ) -> None:
        self._count = lru_cache(_KEPT_TEXTS)(tokenizer)
        self._ability, self._seed, self._think = ability, seed, think
        self._known: dict[str, Thought] = {}

    @property
    def repeats(self) -> bool:
        """Whether the same request always gets the same reply."""
        return self._think is None and self._ability.perfect

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
            whole = "\n".join(asked.texts)
            if self._think is not None:
                said = self._think(whole, asked.schema)
            else:
                said = answer(whole, asked.schema, self._ability, seed)
            text = json.dumps(said)
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"not understood: {error}") from error
        prefix = asked.texts[: asked.cached_texts]
        return Thought(
            asked=replace(asked, texts=()),
            tokens=self.size(asked),
            text=text,
            text_tokens=self._count(text),
            prefix=hash(prefix),
            prefix_tokens=sum(self._count(part) + _PER_TEXT for part in prefix),
        )

    def size(self, asked: Asked) -> int:
        """Tokens of a request, as the provider bills them."""
        texts = [*asked.texts, json.dumps(asked.schema)] if asked.mechanism else asked.texts
        return sum(self._count(text) + _PER_TEXT for text in texts) + _PER_REQUEST
