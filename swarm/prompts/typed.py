"""The prompts as data: plan, read, consolidate, compare, judge, answer; and of work: outline, work, assess.

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
    AssessReply,
    CompareReply,
    ConsolidateReply,
    JudgeReply,
    OutlineReply,
    PlanReply,
    ReadReply,
    Reply,
    WorkReply,
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
    said: tuple[str, ...] = ()
    """What a person added while the run was on, for the one who writes the final text."""

    def identity(self) -> list[object]:
        return [*super().identity(), self.words, self.final, *_said(self.said)]


@dataclass(frozen=True, kw_only=True)
class JudgePrompt(ViewPrompt[JudgeReply]):
    """Do the findings answer the question? If not, what should be asked next? `asked` was asked already."""

    kind = "judge"
    reply = JudgeReply
    asked: tuple[str, ...] = ()
    rounds_left: int = 0
    said: tuple[str, ...] = ()
    """What a person added while the run was on."""

    def identity(self) -> list[object]:
        return [*super().identity(), list(self.asked), self.rounds_left, *_said(self.said)]


@dataclass(frozen=True, kw_only=True)
class AnswerPrompt(ViewPrompt[AnswerReply]):
    """Answer the question from these findings alone. `asked` are the follow-up questions of the run."""

    kind = "answer"
    reply = AnswerReply
    asked: tuple[str, ...] = ()
    disputes: tuple[tuple[str, str], ...] = ()
    """The labels of findings that contradict one another."""
    said: tuple[str, ...] = ()
    """What a person added while the run was on."""

    def identity(self) -> list[object]:
        return [*super().identity(), list(self.asked), *map(list, self.disputes), *_said(self.said)]


def _said(said: tuple[str, ...]) -> list[object]:
    return [{"said": list(said)}] if said else []


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a slice came to, as another is shown it. `whole` is false where there was room for a summary alone."""

    name: str
    text: str
    whole: bool = True


@dataclass(frozen=True, kw_only=True)
class WorkPrompt(ViewPrompt[WorkReply]):
    """Work one slice. `question` is the goal of the whole, `objective` that of the slice.

    `basis` names the slice and all that was known when it began, so that a run that goes on asks the same call
    though the graph has grown: it, the leg and what was found wrong are the identity. `leg` counts the sub-agents
    that worked at it before, whose last one left `notes`. `schema` is the JSON schema of the result, as text.
    """

    kind = "work"
    reply = WorkReply
    objective: str
    basis: tuple[str, ...]
    instructions: str = ""
    schema: str = ""
    done_when: str = ""
    boundaries: str = ""
    outcomes: tuple[Outcome, ...] = ()
    """Of the slices that it needs."""
    passages: tuple[Passage, ...] = ()
    paths: Mapping[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    """What a person added while the run was on."""
    settled: tuple[str, ...] = ()
    """What other sub-agents decided: data, like all that they say."""
    leg: int = 0
    legs: int = 1
    """How many sub-agents may work at it, one after the other."""
    notes: str = ""
    more: int = 0
    """Tokens of its material that come after what is shown here."""
    wrong: str = ""
    """What a program found wrong with the result before."""
    report_tokens: int = 1_500

    def identity(self) -> list[object]:
        repair = [self.repair.text, self.repair.error] if self.repair else None
        return [self.kind, *self.basis, self.leg, self.wrong, repair]


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """One slice of a plan as its planner sees it."""

    name: str
    state: str
    text: str


@dataclass(frozen=True, kw_only=True)
class OutlinePrompt(ViewPrompt[OutlineReply]):
    """Plan a goal, or change its plan. `standings` are slices of the plan so far, `unlisted` as many more are not
    shown; `room` is how many may be added. `reasons` say why it is asked again. `basis` names this planning."""

    kind = "outline"
    reply = OutlineReply
    basis: tuple[str, ...]
    goal: str = ""
    """Of the whole, where this is a part of it."""
    done_when: str = ""
    standings: tuple[Standing, ...] = ()
    unlisted: int = 0
    reasons: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    count: int = 0
    room: int = 0
    may_nest: bool = False
    instructions: str = ""
    """What the user adds on how to plan."""

    def identity(self) -> list[object]:
        repair = [self.repair.text, self.repair.error] if self.repair else None
        return [self.kind, *self.basis, repair]


@dataclass(frozen=True, kw_only=True)
class AssessPrompt(ViewPrompt[AssessReply]):
    """Is the goal reached? `checks` is what programs said, which holds whatever anyone thinks."""

    kind = "assess"
    reply = AssessReply
    basis: tuple[str, ...]
    done_when: str = ""
    standings: tuple[Standing, ...] = ()
    unlisted: int = 0
    outcomes: tuple[Outcome, ...] = ()
    checks: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    rounds_left: int = 0
    instructions: str = ""
    """What the user adds on how to judge."""

    def identity(self) -> list[object]:
        repair = [self.repair.text, self.repair.error] if self.repair else None
        return [self.kind, *self.basis, repair]
