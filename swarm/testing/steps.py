"""A simulated model that works small steps, and errs: what a run of a million steps is tried out with.

It reads the text of the request as a language model gets it, and nothing else: what a step needs and is not shown,
it does not know. With a set probability it goes wrong, in what it says or in the form of it. It computes in this
process, so that nothing is measured but Swarm; every figure that is made with it says simulated.
"""

from __future__ import annotations

import html
import json
import re
from collections import OrderedDict
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from swarm.errors import PromptTooLong
from swarm.models.base import FREE, Completion, Price
from swarm.models.language import schema_text
from swarm.prompts.render import Rendered, render
from swarm.prompts.typed import Prompt
from swarm.task import Usage
from swarm.testing.skills import SKILLS, Result, Skill, compact
from swarm.tokens import o200k

_PART_TOKENS = 4  # what providers that tell add around each message or block
_SHORT = 400  # characters; what is longer and stays the same from step to step is counted once
_KEPT = 256  # prompts whose text and count are kept between counting and sending
_REMEMBERED = 65_536  # prompts of which is known how often they were asked
_PIECE = re.compile(r"<piece>\n(.*?)\n</piece>", re.DOTALL)
_RESULT = re.compile(r"<result of=\"([^\"]*)\"[^>]*>\n(.*?)\n</result>", re.DOTALL)
_REST = ',"summary":"","findings":[],"decisions":[],"notes":%s,"look_up":[],"proposed":[],"artifacts":[]}'
_DONE = _REST % '""'
_BLOCKED = '{"status":"blocked","result":""' + _REST % '"This is no step that I know."'
_OTHERS = {
    "assess": '{"verdict":"done","reason":"Every step that was asked for is done.","missing":[]}',
    "outline": '{"orders":[],"drop":[],"reason":"The program plans."}',
}
_ONE = 1 << 64


class Steps:
    """Works pieces that one of `skills` is for (see `swarm.testing.skills`), and errs with probability `error`.

    Of its errors, a share of `malformed` is wrong in form (cut off, endless, not of the schema); the others look
    right. Each reply is drawn anew, also when the same is asked again, so that errors are independent; with
    `agree` all replies to one prompt that are wrong say the same wrong thing, the worst that can happen to a vote.
    `seed` chooses the luck: the same prompts, asked as often, are answered the same. A process that goes on with a
    run takes another seed, because it does not know what was asked before.

    `window` and `max_output` are tokens; it counts as o200k does, and a little above.
    """

    remote = False
    selective = False

    def __init__(
        self,
        *,
        error: float = 0.01,
        malformed: float = 1 / 3,
        agree: bool = False,
        seed: int = 0,
        window: int = 4_096,
        max_output: int = 512,
        price: Price = FREE,
        name: str = "simulated-steps",
        skills: tuple[Skill, ...] = SKILLS,
    ) -> None:
        self.name = self.lane = name
        self.revision = f"error {error} malformed {malformed}{' agree' if agree else ''}"
        self.window = window
        self.max_output = max_output
        self.price = price
        self.replies = self.wrong = self.malformed_replies = 0
        """How many it gave; how many of them were wrong in what they say, and how many in form."""
        self._error, self._malformed, self._agree = error, malformed, agree
        self._seed = seed.to_bytes(8, "big", signed=True)
        self._skills = skills
        self._known: OrderedDict[int, tuple[Prompt[Any], Rendered, int]] = OrderedDict()
        self._asked: OrderedDict[bytes, int] = OrderedDict()
        self._endless = " and then" * max_output  # two tokens each

    def count(self, prompt: Prompt[Any]) -> int:
        return self._look(prompt)[2]

    def ratio(self) -> float:
        return 1.0

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        _, rendered, tokens = self._look(prompt)
        if tokens + max_output > self.window:
            raise PromptTooLong(
                "the prompt is longer than the simulated window", tokens=tokens, limit=self.window - max_output
            )
        text = _OTHERS.get(prompt.kind) or self._work(rendered)
        output = o200k(text)
        if output > max_output:  # cut off, as a provider does
            text, output = text[: max_output * 3], max_output
        usage = Usage(
            calls=1,
            input_tokens=tokens,
            output_tokens=output,
            cost_usd=self.price.cost(tokens, output),
        )
        return Completion(text=text, usage=usage)

    async def close(self) -> None:
        """Nothing to release."""

    def _look(self, prompt: Prompt[Any]) -> tuple[Prompt[Any], Rendered, int]:
        """The text of a prompt and its tokens, kept from counting until it is sent, and for the votes after."""
        known = self._known.get(id(prompt))
        if known is None:
            rendered = render(prompt)
            texts = (rendered.system, *rendered.parts, schema_text(prompt.reply))
            tokens = sum(_tokens(text) for text in texts) + _PART_TOKENS * len(texts)
            known = self._known[id(prompt)] = (prompt, rendered, tokens)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return known

    def _work(self, rendered: Rendered) -> str:
        self.replies += 1
        found = next(filter(None, map(_PIECE.search, reversed(rendered.parts))), None)
        if found is None:
            return _BLOCKED
        piece, rules = found[1], rendered.parts[0]
        shown = {html.unescape(name): text for part in rendered.parts[1:] for name, text in _RESULT.findall(part)}
        for skill in self._skills:
            if (right := skill.solve(piece, rules, shown)) is not None:
                return self._say(right, skill, piece, shown)
        return _BLOCKED

    def _say(self, right: Result, skill: Skill, piece: str, shown: dict[str, str]) -> str:
        what = blake2b("\0".join((piece, *shown.values())).encode(), digest_size=16).digest()
        again = what + self._times(what)
        draw = int.from_bytes(blake2b(again, key=self._seed, digest_size=16).digest(), "big")
        chance, draw = draw % _ONE, draw // _ONE
        if chance >= self._error * _ONE:
            return _whole(compact(right))
        if chance < self._error * self._malformed * _ONE:
            self.malformed_replies += 1
            return self._out_of_form(right, draw % 3)
        self.wrong += 1
        fixed = int.from_bytes(what[:8], "big")
        return _whole(compact(skill.err(right, piece, shown, fixed if self._agree else draw)))

    def _out_of_form(self, right: Result, way: int) -> str:
        if way == 0:
            text = _whole(compact(right))
            return text[: len(text) // 3]
        if way == 1:
            return f'{{"status":"done","result":"First{self._endless}'
        return _whole(compact({"I think that it is": [*right]}))

    def _times(self, what: bytes) -> bytes:
        """How often it was asked, so that asking again is another draw."""
        times = self._asked.pop(what, 0)
        self._asked[what] = times + 1
        if len(self._asked) > _REMEMBERED:
            self._asked.popitem(last=False)
        return times.to_bytes(4, "big")


def _whole(result: str) -> str:
    """A reply with every field of its schema, as a provider that is strict has it."""
    return f'{{"status":"done","result":{json.dumps(result)}{_DONE}'


def _tokens(text: str) -> int:
    return o200k(text) if len(text) < _SHORT else _tokens_once(text)


@lru_cache(maxsize=1_024)
def _tokens_once(text: str) -> int:
    return o200k(text)


__all__ = ["Steps"]
