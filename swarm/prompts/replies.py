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
