"""What a sub-agent said that others may rest on: findings, decisions, artifacts, what it proposes.

A claim is kept when its words stand in what the sub-agent was given, in what its tools gave, or in what it made.
It asks nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from swarm.graph.identity import artifact_id, decision_id, digest
from swarm.orders import Order
from swarm.prompts.replies import ReadFinding, WorkReply
from swarm.prompts.typed import WorkPrompt
from swarm.source import Passage, Span
from swarm.sources.kept import kept_id
from swarm.task import Artifact, Decision, Finding, Report
from swarm.worker.job import Job, Text, Worked
from swarm.worker.ledger import Landing
from swarm.worker.quotes import Material
from swarm.worker.read import finding_of

_FINDINGS = 24  # of one sub-agent
PROPOSED = 12
_DECISIONS = 4
COMMIT = "application/x-git-commit"
SHORT = 300
"""Characters of a rejected quote, and of a result that stands for itself."""


@dataclass(kw_only=True)
class Desk:
    """One job on its way: what was learnt so far."""

    job: Job
    findings: dict[str, Finding] = field(default_factory=dict)
    texts: dict[str, Text] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    proposed: dict[str, Order] = field(default_factory=dict)
    rejected: list[str] = field(default_factory=list)
    votes: int = 0
    discarded: int = 0
    legs: int = 1

    def report(self, *, result: str = "", summary: str = "", failure: str | None = None) -> Worked:
        report = Report(
            slice=self.job.slice,
            question=self.job.order.objective,
            findings=tuple(self.findings.values()),
            summary=summary,
            rejected=tuple(self.rejected),
            decisions=tuple(self.decisions.values()),
            artifacts=tuple(self.artifacts.values()),
            failure=failure,
            result=result,
            proposed=tuple(self.proposed.values()),
            votes=self.votes,
            discarded=self.discarded,
            legs=self.legs,
        )
        return Worked(report=report, texts=tuple(self.texts.values()))


def landed(desk: Desk, reply: WorkReply, landing: Landing) -> WorkReply:
    """Note the commit that landed, if one did: an artifact like any other, whose content is in the repository.
    What a trial found out comes first."""
    if landing.commit is not None:
        name = f"commit of {desk.job.order.name}"
        id_ = artifact_id(name, COMMIT, landing.commit)
        desk.artifacts[id_] = Artifact(id=id_, name=name, media=COMMIT, ref=landing.commit)
    found = [ReadFinding(claim=claim, quote=quote, relevance=0.6) for claim, quote in landing.claims]
    said = {"findings": [*found, *reply.findings]} if found else {}
    result = {} if landing.result is None else {"result": landing.result}
    return reply.model_copy(update=said | result)


def take(desk: Desk, reply: WorkReply, prompt: WorkPrompt, tools: Mapping[str, str]) -> None:
    """Keep what a sub-agent said that others may rest on. `tools` is what tools gave it, by the names of the
    calls."""
    job = desk.job
    for made in reply.artifacts[:PROPOSED]:
        ref = kept_id(made.text)
        one = Artifact(id=artifact_id(made.name, made.media, ref), name=made.name, media=made.media, ref=ref)
        desk.artifacts[one.id] = one
        desk.texts[ref] = Text(path=made.name, text=made.text)
    for text in reply.decisions[:_DECISIONS]:
        if text.strip():
            id_ = decision_id(text, (job.slice,))
            desk.decisions[id_] = Decision(id=id_, text=text.strip(), about=(job.slice,))
    for proposal in reply.proposed[:PROPOSED]:
        if proposal.objective.strip():
            name = " ".join(proposal.name.split())[:120] or digest("proposed", proposal.objective)[:12]
            desk.proposed.setdefault(
                name, Order(name=name, objective=proposal.objective, sources=tuple(proposal.sources))
            )
    if reply.findings or reply.summary.strip():
        _find(desk, reply, prompt, tools)


def _find(desk: Desk, reply: WorkReply, prompt: WorkPrompt, tools: Mapping[str, str]) -> None:
    """Keep the claims whose words stand in what the sub-agent was given, or in what it made; and what it says of
    its result, which rests on the result. What a tool gave out of the task's own material is cited as that."""
    job = desk.job
    texts = {_result_of(job.order.name): reply.result} if reply.result.strip() else {}
    texts |= {made.name: made.text for made in reply.artifacts if made.text.strip()}
    given = {_result_of(one.name): one.text for one in prompt.outcomes if one.whole and one.text.strip()}
    material = Material(prompt.passages)
    made = {kept_id(text): Text(path=name, text=text) for name, text in (given | texts).items()}
    written = Material([_as_passage(id_, one.text) for id_, one in made.items()])
    gave = _Gave(tools)
    for found in reply.findings[:_FINDINGS]:
        span = material.locate(found.quote) or written.locate(found.quote)
        if span is None and (came := gave.locate(found.quote)) is not None:
            span = job.kit.locate(found.quote) if job.kit is not None else None
            if span is None:
                span, text = came
                made[span.source] = text
        if span is None:
            desk.rejected.append(found.quote[:SHORT])
        elif found.claim.strip():
            _add(desk, finding_of(found, span), made)
    if reply.summary.strip() and reply.result.strip() and reply.status == "done":
        span = Span(kept_id(reply.result), 0, min(len(reply.result), SHORT))
        whole = Finding(
            id=digest("finding", reply.summary.strip(), job.order.name),
            claim=reply.summary.strip(),
            evidence=(span,),
            relevance=0.6,
        )
        _add(desk, whole, made)


def borne_out(reply: WorkReply, prompt: WorkPrompt, tools: Mapping[str, str]) -> WorkReply:
    """The reply with those of its findings whose words stand in what its sub-agent was given."""
    material, gave = Material(prompt.passages), _Gave(tools)
    found = [
        one
        for one in reply.findings[:_FINDINGS]
        if material.locate(one.quote) is not None or gave.locate(one.quote) is not None
    ]
    return reply.model_copy(update={"findings": found})


class _Gave:
    """What tools gave, by the names of the calls. It may be megabytes, which are made ready to be looked through
    once, as far as a quote makes it necessary."""

    def __init__(self, tools: Mapping[str, str]) -> None:
        self._left = list(tools.items())
        self._ready: list[tuple[Material, Text]] = []

    def locate(self, quote: str) -> tuple[Span, Text] | None:
        """Where words stand in it, the latest first."""
        for at in range(len(self._ready) + len(self._left)):
            if at == len(self._ready):
                name, text = self._left.pop()
                self._ready.append((Material([_as_passage(kept_id(text), text)]), Text(path=name, text=text)))
            material, given = self._ready[at]
            if (span := material.locate(quote)) is not None:
                return span, given
        return None


def _result_of(name: str) -> str:
    """What the result of a slice is called where it is cited."""
    return f"result of {name}"


def _add(desk: Desk, finding: Finding, made: Mapping[str, Text]) -> None:
    desk.findings.setdefault(finding.id, finding)
    for span in finding.evidence:
        if span.source in made:
            desk.texts[span.source] = made[span.source]


def _as_passage(id_: str, text: str) -> Passage:
    return Passage(id=0, span=Span(id_, 0, len(text)), tokens=0, cut=9, context="", text=text)  # not to be packed
