"""Tokens of a request, never fewer than the model behind counts: what decides whether it fits, and what it may
cost.

Where the bytes of a request fit, its tokens do, and nothing is counted. A text is counted once for as long as it
is kept in mind: a conversation that grows is counted by what is new. Long texts are counted piece by piece, so
that others are served meanwhile, and no further than matters. This module knows no wire and no limits.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Iterator
from hashlib import blake2b

from swarm.serve.request import Request
from swarm.tokens import TokenCounter

_PIECE = 32_768  # characters that are counted at once: a few milliseconds
_SMALL = 512  # characters that are counted anew rather than looked up
_KEPT = 20_000
_PART_TOKENS = 8  # around each message or part, at most 4 with every provider that tells
_CALL_TOKENS = 24  # around each call of a tool and each result
_REQUEST_TOKENS = 256  # what a provider adds to a request: roles, a preamble for a schema


class Counting:
    """Counts with one counter, from any thread."""

    def __init__(self, counter: TokenCounter) -> None:
        self.counter = counter
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[bytes, float], int] = OrderedDict()

    def count(self, text: str) -> int:
        """Tokens of a text, at once."""
        return sum(map(self._piece, _pieces(text)))

    def at_most(self, request: Request, size: int) -> int:
        """What the tokens cannot pass, by the bytes of the body alone."""
        return size + request.fixed_tokens + request.tools_tokens + self._around(request)

    async def tokens(self, request: Request, most: int | None = None) -> int:
        """Tokens of all that a request holds, its reply aside. Where they pass `most`, they are counted no
        further, and what is returned is more than that."""
        tokens = request.tools_tokens + request.fixed_tokens + self._around(request)
        for number, piece in enumerate(self._all(request)):
            tokens += self._piece(piece)
            if most is not None and tokens > most:
                return tokens
            if len(piece) >= _PIECE or number % 64 == 63:
                await asyncio.sleep(0)
        return tokens

    def observe(self, counted: int, billed: int) -> None:
        """Learn from what was billed for a request."""
        self.counter.observe(counted, billed)

    def _around(self, request: Request) -> int:
        kinds = [part.kind for turn in request.turns for part in turn.parts]
        acting = sum(kind in ("call", "result") for kind in kinds)
        return _REQUEST_TOKENS + _PART_TOKENS * (len(kinds) + 1) + _CALL_TOKENS * acting

    @staticmethod
    def _all(request: Request) -> Iterator[str]:
        """All texts, the last ones first: they are what is new."""
        for turn in reversed(request.turns):
            for part in turn.parts:
                if part.text:
                    yield from _pieces(part.text)
                if part.call:
                    yield part.call
        yield from _pieces(request.system)

    def _piece(self, text: str) -> int:
        if len(text) < _SMALL:
            return self.counter.count(_whole(text))
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        key = digest, self.counter.ratio()
        with self._lock:
            if (known := self._known.get(key)) is not None:
                self._known.move_to_end(key)
                return known
        counted = self.counter.count(_whole(text))
        with self._lock:
            self._known[key] = counted
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return counted


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), _PIECE):
        yield text[start : start + _PIECE]


def _whole(text: str) -> str:
    """Without halves of surrogate pairs, which no tokenizer takes; a provider reads three bytes in their place."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return text
