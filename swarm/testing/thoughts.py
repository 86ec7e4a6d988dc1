"""What a provider works out about a request before it answers: its size, and what there is to say.

The same request comes many times, from clients that are killed and start again: what was worked out once is kept,
for the last few thousand. This module knows no HTTP, no faults and no limits.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from swarm.testing.mimic import answer
from swarm.testing.wire import Asked, Format

_KEPT = 4_096
_KEPT_TEXTS = 16_384
_PER_TEXT = 4  # tokens around each message or block
_PER_REQUEST = 3

Tokenizer = Callable[[str], int]


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


class Mind:
    """Reads requests and thinks of replies, with one tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._count = lru_cache(_KEPT_TEXTS)(tokenizer)
        self._known: dict[str, Thought] = {}

    def think(self, form: Format, key: str, body: bytes) -> Thought:
        """What there is to say to the request `body`, whose content is named by `key`.

        Raises:
            ValueError: it is no request in this format, or none that Swarm sends.
        """
        if (known := self._known.get(key)) is not None:
            return known
        try:
            asked = form.read(json.loads(body))
            text = json.dumps(answer("\n".join(asked.texts), asked.schema))
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"not understood: {error}") from error
        prefix = asked.texts[: asked.cached_texts]
        thought = Thought(
            asked=replace(asked, texts=()),
            tokens=self.size(asked),
            text=text,
            text_tokens=self._count(text),
            prefix=hash(prefix),
            prefix_tokens=sum(self._count(part) + _PER_TEXT for part in prefix),
        )
        if len(self._known) >= _KEPT:
            del self._known[next(iter(self._known))]
        self._known[key] = thought
        return thought

    def size(self, asked: Asked) -> int:
        """Tokens of a request, as the provider bills them."""
        texts = [*asked.texts, json.dumps(asked.schema)] if asked.mechanism else asked.texts
        return sum(self._count(text) + _PER_TEXT for text in texts) + _PER_REQUEST
