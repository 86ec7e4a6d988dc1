"""The model that needs no key, no download and no network: it computes on the typed prompts directly.

What it says is always a sentence of what it was given. It reads and judges by words, names and their
statistics; it does not understand, infer or count. See docs/models/extractive.md.
"""

from __future__ import annotations

import asyncio
from functools import cache
from hashlib import blake2b
from importlib import resources
from typing import Any, TypeVar

from swarm.errors import Rejected
from swarm.models.base import FREE, Completion, Price
from swarm.models.extractive.answer import answer
from swarm.models.extractive.compare import compare
from swarm.models.extractive.digest import consolidate
from swarm.models.extractive.judge import judge
from swarm.models.extractive.plan import plan
from swarm.models.extractive.read import read
from swarm.prompts.replies import Reply
from swarm.prompts.typed import (
    AnswerPrompt,
    ComparePrompt,
    ConsolidatePrompt,
    JudgePrompt,
    PlanPrompt,
    Prompt,
    ReadPrompt,
    ViewPrompt,
)
from swarm.task import Usage
from swarm.tokens import o200k

_OVERHEAD = 64  # tokens: what a prompt holds beside its material and its question


@cache
def _revision() -> str:
    """A hash of this engine's own source: a version that ranks in another way answers anew."""
    words = (resources.files("swarm") / name for name in ("claims.py", "names.py", "terms.py"))
    files = [*resources.files("swarm.models.extractive").iterdir(), *words]
    source = b"".join(
        file.read_bytes() for file in sorted(files, key=lambda f: f.name) if file.name.endswith(".py")
    )
    return blake2b(source, digest_size=6).hexdigest()


R = TypeVar("R", bound=Reply, covariant=True)


class Extractive:
    """Ranks, quotes and selects sentences. `window` and `max_output` are in o200k tokens."""

    remote = False
    lane = "extractive"

    def __init__(self, *, window: int = 32_768, max_output: int = 4_096) -> None:
        self._window, self._max_output = window, max_output

    @property
    def name(self) -> str:
        return "extractive"

    @property
    def window(self) -> int:
        return self._window

    @property
    def max_output(self) -> int:
        return self._max_output

    @property
    def revision(self) -> str:
        return _revision()

    @property
    def selective(self) -> bool:
        return True

    @property
    def price(self) -> Price:
        return FREE

    def ratio(self) -> float:
        return 1.0

    def count(self, prompt: Prompt[Any]) -> int:
        """Tokens of the material and the question; a slice's material was counted when it was cut."""
        tokens = _OVERHEAD + o200k(prompt.question)
        if isinstance(prompt, ReadPrompt):
            return tokens + prompt.tokens
        if isinstance(prompt, ViewPrompt):
            return tokens + sum(o200k(f"{one.label} {one.context} {one.finding.claim}") for one in prompt.shown)
        return tokens

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        text, tokens = await asyncio.to_thread(self._reply, prompt, max_output)
        usage = Usage(calls=1, input_tokens=self.count(prompt), output_tokens=tokens)
        return Completion(text=text, usage=usage)

    async def close(self) -> None:
        """Nothing to release."""

    def _reply(self, prompt: Prompt[Any], max_output: int) -> tuple[str, int]:
        text = compute(prompt).model_dump_json()
        return text, min(max_output, o200k(text))


def compute(prompt: Prompt[R]) -> Reply:
    """The reply to a prompt: a pure function of it."""
    if isinstance(prompt, ReadPrompt):
        return read(prompt)
    if isinstance(prompt, JudgePrompt):
        return judge(prompt)
    if isinstance(prompt, AnswerPrompt):
        return answer(prompt)
    if isinstance(prompt, ConsolidatePrompt):
        return consolidate(prompt)
    if isinstance(prompt, ComparePrompt):
        return compare(prompt)
    if isinstance(prompt, PlanPrompt):
        return plan(prompt)
    raise Rejected(f"the extractive model does not do {prompt.kind!r}: choose a language model with --model")
