"""Which counter fits which model: exact where the encoding is public, else a bound from above.

A model behind a compatible server may have any tokenizer. What sets tokenizers apart from o200k was measured on
those of Llama 2 to 4, Mistral, Qwen and others (`docs/models/compatible-servers.md` has the figures): most words
come out alike, but small vocabularies split rare words, many split every digit, and some spend a token on each
blank, each mark of a rule, or nearly each byte of a script that they seldom saw.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from swarm.tokens import Bound, Exact, TokenCounter, o200k

_O200K = ("gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "gpt-6", "gpt-oss", "chatgpt-4o", "o1", "o3", "o4")
_CL100K = ("gpt-4", "gpt-3.5")
_LARGE_VOCABULARY = re.compile(
    r"llama-?[34]|qwen-?[23]|gemma|deepseek|nemo|pixtral|ministral|(?:mi|de|magi)stral-(?:small|medium|large)"
    r"|phi-?4|glm|kimi|granite-?[34]|command-?[ar]|claude",
    re.IGNORECASE,
)

_DIGIT = re.compile(r"[0-9]")
_BLANKS = re.compile(r"\s{2,}")
_RULE = re.compile(r"([^\w\s])\1{3,}")
_SELDOM = re.compile("[\u0370-\u03ff\u0590-\u06ff\u0900-\u09ff\u0e00-\u0e7f\u1e00-\u1fff]+")
"""Greek, Hebrew, Arabic, Devanagari, Bengali, Thai, Vietnamese: at most 3.0 tokens for one of o200k."""
_RARE = re.compile(
    "[^\x00-\u024f\u0370-\u052f\u0590-\u06ff\u0900-\u09ff\u0e00-\u0e7f\u1e00-\u206f\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]+"
)
"""All but these, Latin, Cyrillic, Chinese, Japanese and Korean: up to two tokens for three bytes."""


@dataclass(slots=True)
class Compatible:
    """A bound for a tokenizer that is not known. `factor` is for the words, in tokens for each o200k token."""

    factor: float

    def count(self, text: str) -> int:
        tokens = self.factor * o200k(text)
        tokens += 0.6 * len(_DIGIT.findall(text))  # one token each, of which o200k has counted a third
        tokens += sum(len(run[0]) for run in _BLANKS.finditer(text))
        tokens += sum(len(run[0]) for run in _RULE.finditer(text)) / 8
        if not text.isascii():
            tokens += 1.8 * o200k("".join(_SELDOM.findall(text)))
            tokens += 0.8 * len("".join(_RARE.findall(text)).encode())
        return min(len(text.encode()), int(tokens)) + 1  # some put a blank before the text

    def ratio(self) -> float:
        return self.factor * 1.1

    def observe(self, counted: int, billed: int) -> None:
        """Raise the factor when a server billed more than was counted, with a hundredth to spare."""
        if 0 < counted < billed:
            self.factor *= 1.01 * billed / counted


def counter_of(model: str, *, hosted: bool) -> TokenCounter:
    """The counter of a model by its name. `hosted` is true where OpenAI itself runs it: elsewhere a name proves
    little, but for the open models of OpenAI."""
    name = model.rsplit("/", 1)[-1].removeprefix("ft:").lower()
    if name.startswith("gpt-oss") or (hosted and name.startswith(_O200K)):
        return Exact("o200k")
    if hosted:
        return Exact("cl100k") if name.startswith(_CL100K) else Bound(1.35)
    return Compatible(1.7 if _LARGE_VOCABULARY.search(name) else 2.3)
