"""What lies ahead of a run: the slices that are still to be read, measured, and what reading them likely comes to.

The corpus is cut as the plan will cut it (the cut is kept, so planning after it costs nothing), and the prompts of
a few slices are counted with the reader's own counter. How much a reader writes and finds is assumed, here and
nowhere else. This module asks no model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from swarm.coordinator.desk import Desk
from swarm.coordinator.plan import brief_of, cut, sizes
from swarm.coordinator.records import Plan
from swarm.limits.gate import reserved_output
from swarm.models.base import Model
from swarm.prompts.replies import PlanReply
from swarm.prompts.typed import AnswerPrompt, ReadPrompt
from swarm.source import Span
from swarm.task import Output, Usage

_SAMPLE, _SAMPLE_CHARS = 8, 2_000_000  # slices that are counted, and the text in them: a fifth of a second
_ADVICE = PlanReply(
    queries=[], reading="What bears on the question, with names, numbers and dates as they stand. " * 2
)
_REPLY: dict[Output, int] = {
    "answer": 600,
    "digest": 1_700,
    "table": 250,
    "graph": 1_700,
}  # tokens that a reader likely writes
_EMPTY_REPLY = 60  # ... of no text, and what it writes more for each token of it
_REPLY_SHARE: dict[Output, float] = {"answer": 0.3, "digest": 0.8, "table": 0.3, "graph": 0.8}
_FINDINGS: dict[Output, int] = {"answer": 4, "digest": 20, "table": 1, "graph": 20}
SHOWN_TOKENS = 110
"""Tokens of a finding in the prompt of one who answers."""
AGAIN = 0.05
"""The share of the slices that are read twice: the reply was none, or there was more to say."""
_USUAL_RATIO = 1.3  # of tokens billed to o200k tokens, at the most: Claude's on prose and code


@dataclass(frozen=True)
class Ahead:
    """Slices that are still to be read, by a desk that has a plan, its own or made up for this. `tokens` are
    o200k of material in all of them; `sample` are some: question, spans and tokens. `fresh`: no plan was made yet.
    """

    desk: Desk
    count: int
    tokens: int
    sample: Sequence[tuple[str, tuple[Span, ...], int]]
    fresh: bool

    @cached_property
    def frame(self) -> int:
        """Tokens of a reader's prompt around its material."""
        return self.desk.reader.count(_read_prompt(self.desk, self.desk.question, (), 0))

    @cached_property
    def input_tokens(self) -> int:
        """Of the prompts of all slices, as far as the sample tells: counted, so at the most."""
        counted = sum(self.desk.reader.count(_read_prompt(self.desk, *one)) for one in self.sample)
        around = self.frame * len(self.sample)
        material = sum(tokens for *_, tokens in self.sample)
        ratio = max(0, counted - around) / material if material else 0.0
        return int(self.frame * self.count + ratio * self.tokens)

    @cached_property
    def reply_tokens(self) -> int:
        """Of one reader's reply, likely."""
        output = self.desk.task.output
        likely = min(_REPLY[output], _EMPTY_REPLY + _REPLY_SHARE[output] * self.mean)
        return int(min(likely, reserved_output(self.desk.reader)))

    @property
    def mean(self) -> float:
        """Tokens of material in a slice."""
        return self.tokens / max(1, self.count)

    @cached_property
    def reading(self) -> Usage:
        """What the readers likely come to."""
        again = 1 + AGAIN
        calls = round(self.count * again)
        tokens = billed(self.desk.reader, self.input_tokens * again)
        return usage_of(self.desk.reader, calls, tokens, self.reply_tokens * calls)

    @cached_property
    def findings(self) -> int:
        """That are known in the end, likely."""
        output = self.desk.task.output
        each = _FINDINGS[output] * min(1.0, self.reply_tokens / _REPLY[output])
        return len(self.desk.graph) + round(self.count * each)

    @property
    def rounds_left(self) -> int:
        """Times that the findings may still be judged."""
        desk = self.desk
        return max(0, desk.rounds_allowed - max(1, desk.round)) if desk.task.output == "answer" else 0

    @cached_property
    def answer_frame(self) -> int:
        return self.desk.model.count(AnswerPrompt(question=self.desk.question, shown=()))

    @property
    def room(self) -> int:
        """Tokens that a prompt of the coordinator's model may have."""
        return self.desk.model.window - reserved_output(self.desk.model)

    def counted(self, findings: int) -> int:
        """Tokens of a prompt that shows so many findings."""
        return self.answer_frame + int(findings * SHOWN_TOKENS * self.desk.model.ratio())

    def shown(self, findings: int) -> int:
        """Tokens that are billed for it, or for one that shows as many as fit."""
        return billed(self.desk.model, min(self.counted(findings), self.room))


async def ahead_of(desk: Desk) -> Ahead:
    """What a run has ahead of it: all of its first round, or what is planned and not done.

    Raises:
        WindowTooSmall: as `plan`.
    """
    if desk.plans:
        slices = [desk.slices[id_] for id_ in desk.planned]
        cuts = [(slice_.question, slice_.spans, slice_.tokens) for slice_ in slices]
        return _counted(desk, cuts, 1, fresh=False)
    questions = desk.task.questions or ("",)
    advice = _ADVICE if desk.task.output in ("answer", "graph") else PlanReply(queries=[], reading="")
    most, budget = sizes(desk, questions, advice)
    made = Plan(round=1, slices=(), advice=advice, budget=budget, most=most)
    draft = replace(desk, plans=[made], briefs={})
    first = [(questions[0], spans, tokens) for spans, tokens, _ in await cut(desk, budget)]
    return await asyncio.to_thread(_counted, draft, first, len(questions), fresh=True)


def _counted(desk: Desk, cuts: list[tuple[str, tuple[Span, ...], int]], times: int, *, fresh: bool) -> Ahead:
    """The slices that a reader is asked about: all, but for one who reads only what the search found."""
    if desk.reader.selective:
        cuts = [one for one in cuts if brief_of(desk, one[0]).matched(one[1])]
    every = max(1, -(-len(cuts) // _SAMPLE))
    sample: list[tuple[str, tuple[Span, ...], int]] = []
    room = _SAMPLE_CHARS
    for one in cuts[every // 2 :: every]:
        chars = sum(span.end - span.start for span in one[1])
        if sample and chars > room:
            break
        sample.append(one)
        room -= chars
    tokens = sum(tokens for *_, tokens in cuts)
    return Ahead(desk, len(cuts) * times, tokens * times, sample, fresh)


def _read_prompt(desk: Desk, question: str, spans: tuple[Span, ...], tokens: int) -> ReadPrompt:
    brief = brief_of(desk, question)
    return ReadPrompt(
        question=question,
        output=brief.output,
        passages=tuple(brief.passages(spans, desk.library)),
        paths={span.source: brief.paths[span.source] for span in spans},
        tokens=tokens,
        max_findings=brief.max_findings,
        reading=brief.reading,
        statistics=brief.statistics,
    )


def billed(model: Model, counted: float) -> int:
    """Of tokens that are counted at the most: where a provider's tokenizer is not known, less than half of what is
    put on top of o200k."""
    return int(counted * min((1 + model.ratio()) / 2, _USUAL_RATIO) / model.ratio())


def usage_of(model: Model, calls: int, input_tokens: int, output_tokens: int) -> Usage:
    cost = model.price.cost(input_tokens, output_tokens)
    return Usage(calls=calls, input_tokens=input_tokens, output_tokens=output_tokens, cost_usd=cost)
