"""The prompts as data: plan, read, consolidate, compare, judge, answer.

A language model gets them rendered as text (`render`), the extractive model computes on them directly. Each has an
`identity`: what makes two prompts the same call, without the text itself, which the spans already name. This
module knows the words of a task and the schemas of the replies; not models, nor how a prompt is worded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

from swarm.prompts.replies import (
    AnswerReply,
    CompareReply,
    ConsolidateReply,
    JudgeReply,
    PlanReply,
    ReadReply,
    Reply,
)
from swarm.source import Passage
from swarm.task import Finding, Output, TermStatistics

R = TypeVar("R", bound=Reply, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Repair:
    """A reply that did not validate, and the validation error: the model is asked once to mend it."""

    text: str
    error: str


@dataclass(frozen=True, kw_only=True)
class Prompt(Generic[R]):
    """One question to a model; `reply` is the schema of its answer."""

    kind: ClassVar[str]
    reply: ClassVar[type[Reply]]
    question: str
    repair: Repair | None = None

    def identity(self) -> list[object]:
        """JSON-able; equal for two prompts exactly when they are the same call."""
        repair = [self.repair.text, self.repair.error] if self.repair else None
        return [self.kind, self.question, repair]


@dataclass(frozen=True, kw_only=True)
class PlanPrompt(Prompt[PlanReply]):
    """How to go about a question; `sources` are the first few paths, of `count` in all, `chars` characters."""

    kind = "plan"
    reply = PlanReply
    output: Output
    sources: tuple[str, ...]
    count: int
    chars: int

    def identity(self) -> list[object]:
        return [*super().identity(), self.output, list(self.sources), self.count, self.chars]


@dataclass(frozen=True, kw_only=True)
class ReadPrompt(Prompt[ReadReply]):
    """Read these passages for the question.

    `passages` come in the order of their sources and carry text. For a model that is `selective` they are
    only those that the search ranked, with their scores; `tokens` is the size of the whole slice all the same.
    `paths` names the source of each span. `reading` is the planner's advice. `question` may be empty for a
    digest: then what matters most is asked for.
    """

    kind = "read"
    reply = ReadReply
    output: Output
    passages: tuple[Passage, ...]
    paths: Mapping[str, str]
    tokens: int
    max_findings: int
    reading: str = ""
    statistics: TermStatistics = field(default_factory=TermStatistics)

    def identity(self) -> list[object]:
        spans = [[*passage.span] for passage in self.passages]
        return [*super().identity(), self.output, spans, self.max_findings, self.reading]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A finding as a model is shown it: under a short label, with its quotes, where they are from, and what
    places them (title, headings)."""

    label: str
    finding: Finding
    quotes: tuple[str, ...]
    where: str
    context: str = ""


@dataclass(frozen=True, kw_only=True)
class ViewPrompt(Prompt[R]):
    """A prompt over findings rather than passages. `omitted` findings did not fit the view."""

    shown: tuple[Shown, ...]
    omitted: int = 0
    statistics: TermStatistics = field(default_factory=TermStatistics)

    def identity(self) -> list[object]:
        return [*super().identity(), [[s.label, s.finding.id] for s in self.shown], self.omitted]


@dataclass(frozen=True, kw_only=True)
class ConsolidatePrompt(ViewPrompt[ConsolidateReply]):
    """Say these findings in at most `words` words, so that the question can still be answered from it.

    `final` is true where the result is the text that the user reads (a digest), in reading order.
    """

    kind = "consolidate"
    reply = ConsolidateReply
    words: int
    final: bool = False

    def identity(self) -> list[object]:
        return [*super().identity(), self.words, self.final]


@dataclass(frozen=True, kw_only=True)
class JudgePrompt(ViewPrompt[JudgeReply]):
    """Do the findings answer the question? If not, what should be asked next? `asked` was asked already."""

    kind = "judge"
    reply = JudgeReply
    asked: tuple[str, ...] = ()
    rounds_left: int = 0

    def identity(self) -> list[object]:
        return [*super().identity(), list(self.asked), self.rounds_left]


@dataclass(frozen=True, kw_only=True)
class AnswerPrompt(ViewPrompt[AnswerReply]):
    """Answer the question from these findings alone. `asked` are the follow-up questions of the run."""

    kind = "answer"
    reply = AnswerReply
    asked: tuple[str, ...] = ()
    disputes: tuple[tuple[str, str], ...] = ()
    """The labels of findings that contradict one another."""

    def identity(self) -> list[object]:
        return [*super().identity(), list(self.asked), *map(list, self.disputes)]


@dataclass(frozen=True, kw_only=True)
class ComparePrompt(ViewPrompt[CompareReply]):
    """Can both findings of each pair hold? The pairs are the first and the second, the third and the fourth, and
    so on, of what is shown."""

    kind = "compare"
    reply = CompareReply
    beside: tuple[Shown, ...] = ()
    """What the sources said when they were asked about it."""

    def identity(self) -> list[object]:
        return [*super().identity(), *([[s.label, s.finding.id] for s in self.beside])]
