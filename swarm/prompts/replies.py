"""What a model answers, one schema for each prompt. Validated here and trusted nowhere.

Providers enforce these as JSON schemas, which is why every field is required there and additional ones are
refused; lengths are bounded so that no reply can flood the graph.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Reply(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class PlanReply(Reply):
    """How to go about the question."""

    queries: list[str] = Field(description="Up to five short search queries that would find the evidence")
    reading: str = Field(description="One or two sentences: what a reader of one part should look out for")


class ReadFinding(Reply):
    claim: str = Field(description="One self-contained sentence that the text supports")
    quote: str = Field(description="The words of the text that support the claim, copied exactly")
    relevance: float = Field(ge=0, le=1, description="How much it bears on the question, from 0 to 1")
    subject: str | None = Field(default=None, description="What the claim is about, where it states a value")
    attribute: str | None = Field(default=None, description="Which property of the subject")
    value: str | None = Field(default=None, description="The value of that property")
    unit: str | None = Field(default=None, description="Its unit")
    time: str | None = Field(default=None, description="When it holds, as the text says it")


class ReadReply(Reply):
    """What one sub-agent found in its slice."""

    findings: list[ReadFinding] = Field(description="Empty when the text says nothing on the question")
    summary: str = Field(default="", description="At most two sentences on what this part holds")
    open_questions: list[str] = Field(
        default_factory=list, description="What another part of the corpus would have to answer"
    )


class Cited(Reply):
    text: str = Field(description="One sentence")
    findings: list[str] = Field(description="Labels of the findings it rests on, such as F3")


class ConsolidateReply(Reply):
    """Many findings said shorter; numbers, names and identifiers verbatim."""

    statements: list[Cited]


class Judged(Reply):
    pair: int = Field(description="The number of the pair, from 1")
    verdict: Literal["same", "contradicts", "supersedes", "compatible"]
    later: Literal["first", "second"] | None = Field(
        default=None, description="For supersedes: which of the two holds now"
    )
    reason: str = Field(default="", description="One short sentence")


class CompareReply(Reply):
    """Whether both findings of each pair can hold."""

    pairs: list[Judged]


class JudgeReply(Reply):
    """Whether the findings answer the question."""

    verdict: Literal["answer", "follow_up", "give_up"]
    follow_ups: list[str] = Field(
        default_factory=list, description="Up to five self-contained questions that would fill the gaps"
    )
    reason: str = Field(default="", description="One sentence")


class AnswerReply(Reply):
    """The answer, each sentence resting on findings. Not answerable: no statements."""

    answerable: bool = Field(description="False when the findings do not answer the question")
    short: str | None = Field(default=None, description="The answer in a few words, where a few words do")
    statements: list[Cited] = Field(default_factory=list)


class Made(Reply):
    """Something longer than a report, kept by reference."""

    name: str = Field(description="What it is called, as a path or a title")
    media: str = Field(description="Its media type, such as text/markdown")
    text: str


class Proposal(Reply):
    name: str = Field(description="A short name, unlike every other")
    objective: str = Field(description="What is to be done, for someone who has not seen your piece")
    sources: list[str] = Field(default_factory=list, description="Paths of the material it needs; often none")


class WorkReply(Reply):
    """What one sub-agent did: its result, or how far it came."""

    status: Literal["done", "continue", "blocked", "too_large"] = Field(
        description="continue: a colleague with a fresh window goes on from your notes"
    )
    result: str = Field(default="", description="The result, whole and usable by itself; with a schema its JSON")
    summary: str = Field(default="", description="The result in one sentence, with its names and figures")
    findings: list[ReadFinding] = Field(
        default_factory=list, description="Claims that others need, each with words that bear it out"
    )
    decisions: list[str] = Field(
        default_factory=list, description="What was settled that those who come later are to go by; usually none"
    )
    notes: str = Field(default="", description="For continue: what your successor needs. Else: why it is blocked")
    look_up: list[str] = Field(
        default_factory=list, description="For continue: paths or searches whose text your successor is to see"
    )
    proposed: list[Proposal] = Field(
        default_factory=list, description="Other work that yours showed to be needed; usually none"
    )
    artifacts: list[Made] = Field(default_factory=list, description="What is too long for a result; usually none")


class ToolCall(Reply):
    """A tool that is to be used. `id` is the provider's, `arguments` a JSON object as text, not yet parsed."""

    id: str = Field(default="", description="Any short text that tells the calls of one turn apart")
    name: str = Field(description="The name of the tool")
    arguments: str = Field(description="Its arguments: one JSON object, as text")


class ActReply(Reply):
    """One turn of a sub-agent that has tools. `kept` is what a provider wants to see again with the next turn, as
    JSON: nobody else reads it."""

    says: str = Field(default="", description="What you think or say before the calls, in short; may be empty")
    calls: list[ToolCall] = Field(default_factory=list, description="The tools that you use now")
    kept: str = Field(default="", description="Leave it empty")


class Asked(Reply):
    """A slice as a planner asks for it."""

    name: str = Field(description="A short name, unlike every other in the plan")
    objective: str = Field(
        description="What is to be done, for someone who sees nothing but this and the results that it needs"
    )
    done_when: str = Field(description="How anyone can tell that it is done")
    boundaries: str = Field(description="What it is to leave alone, because others do it")
    needs: list[str] = Field(description="Names of the slices whose results it begins from")
    sources: list[str] = Field(description="Paths of the material that it is to read")
    kind: Literal["work", "plan"] = Field(
        description="plan: too large for one sub-agent; a planner of its own takes it"
    )
    priority: int = Field(description="Higher goes first; 0 for most")


class Dropped(Reply):
    name: str
    reason: str


class OutlineReply(Reply):
    """Changes of a plan."""

    orders: list[Asked] = Field(description="Slices to add")
    drop: list[Dropped] = Field(description="Slices that are not done yet and need not be done any more")
    reason: str = Field(description="One sentence")


class AssessReply(Reply):
    """Where the work stands."""

    verdict: Literal["done", "go_on", "replan", "stop"]
    reason: str = Field(description="One sentence")
    missing: list[str] = Field(description="For replan: what is still to be done, each in one sentence")
