"""Counting tokens offline, exactly or from above.

`exact` counts as OpenAI's encodings do. `bound` never falls below what a provider counts, where its tokenizer is
not public: a factor on o200k, more for white space, corrected upward by what comes back as usage, and never
more than the bytes of the text (byte-level tokenizers make at most one token a byte). This module knows text
and numbers, not models.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Protocol

from rs_bpe.bpe import openai as encodings

Encoding = Literal["o200k", "cl100k"]

_LONG_SPACE = re.compile(r"\s{2,}")
_BOUND_FACTOR = 1.6  # current Claude tokenizers measure 1.28 to 1.6 x o200k on prose, code, JSON and CJK
_SPACE_EXTRA = 0.8  # and up to 2.3 x on white space alone: 1.6 + 0.8 covers it


@cache
def _tokenizer(encoding: Encoding) -> Any:
    return encodings.o200k_base() if encoding == "o200k" else encodings.cl100k_base()


def o200k(text: str) -> int:
    """Tokens of `text` in o200k, the unit in which passages and slices are measured."""
    return int(_tokenizer("o200k").count(text))


class TokenCounter(Protocol):
    """Counts the tokens of a text for one model, exactly or from above."""

    def count(self, text: str) -> int:
        """Tokens of `text`: never fewer than the provider will count."""

    def ratio(self) -> float:
        """Tokens for each o200k token at the most: what a budget in o200k tokens is divided by."""

    def observe(self, counted: int, billed: int) -> None:
        """Learn from a reply's usage: `counted` is what was said here, `billed` what the provider counted."""


@dataclass(slots=True)
class Exact:
    """One of OpenAI's encodings. Joining texts can add a token: count what is sent, not its parts."""

    encoding: Encoding = "o200k"

    def count(self, text: str) -> int:
        return int(_tokenizer(self.encoding).count(text))

    def ratio(self) -> float:
        # cl100k and o200k stay within a third of one another on prose and code; a slice that is still too
        # long is caught by the gate and split
        return 1.0 if self.encoding == "o200k" else 1.35

    def observe(self, counted: int, billed: int) -> None:
        """Nothing to learn: the count is exact."""


@dataclass(slots=True)
class Bound:
    """A count from above for a tokenizer that is not public. `factor` only ever grows."""

    factor: float = _BOUND_FACTOR

    def count(self, text: str) -> int:
        spaces = "".join(_LONG_SPACE.findall(text))
        tokens = self.factor * o200k(text) + (_SPACE_EXTRA * o200k(spaces) if spaces else 0.0)
        return min(len(text.encode()), int(tokens) + 1)

    def ratio(self) -> float:
        return self.factor

    def observe(self, counted: int, billed: int) -> None:
        """Raise the factor when a provider billed more than was counted, with a hundredth to spare."""
        if counted > 0 and billed > counted:
            self.factor *= 1.01 * billed / counted
