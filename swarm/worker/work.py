"""Work one slice of a plan: sub-agents with fresh windows, one after the other, until there is a result.

A sub-agent sees its order, the results that it needs and a view of what is known. Where its window does not hold
all of its material, or it says that there is more to do, its notes go to a successor that begins fresh; one that
repeats itself is succeeded too, and told so. What comes back is checked by programs before anyone goes by it: its
form, the role's check, each quote. It knows nothing of the run, the plan or the other sub-agents.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from swarm.agenda.progress import Repeats
from swarm.errors import InvalidReply, PromptTooLong
from swarm.graph.identity import artifact_id, decision_id, digest
from swarm.limits.budget import Budget
from swarm.limits.gate import reserved_output
from swarm.models.base import Model
from swarm.observe.log import get_logger
from swarm.orders import Order
from swarm.prompts.replies import Made, WorkReply
from swarm.prompts.typed import Outcome, WorkPrompt
from swarm.source import Passage, Span
from swarm.sources.kept import kept_id
from swarm.task import Artifact, Decision, Finding, Report
from swarm.tokens import o200k
from swarm.worker.form import problem_with
from swarm.worker.job import Ask, Handoff, Job, LookUp, Text, Worked
from swarm.worker.ledger import Ledger
from swarm.worker.quotes import Material
from swarm.worker.read import finding_of
from swarm.worker.vote import key_of_result, vote

log = get_logger("worker")

_TRIES = 3  # fresh sub-agents for a result that a check turns down
_FINDINGS = 24  # of one sub-agent
_PROPOSED = 12
_DECISIONS = 4
_SHORT = 300  # characters of a rejected quote, and of a result that stands for itself
_TAG_TOKENS = 24  # around a source
_CHARS_A_TOKEN = 2  # of text that is shown in part, at the least


@dataclass(kw_only=True)
class _Desk:
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


async def work(
    job: Job, gate: Ask, model: Model, look_up: LookUp, handoff: Handoff, budget: Budget | None = None
) -> Worked:
    """Work a job to its result. A report with a `failure` says what stands in the way, and what else it proposes.

    Raises:
        PromptTooLong: not even the order and the shortest form of what it needs fit the window.
        LimitReached: a limit does not allow the next call.
        CallFailed: the model could not be asked, or gave no reply that could be used.
    """
    desk, repeats = _Desk(job=job), Repeats()
    material: Sequence[Passage] = job.material
    notes = wrong = ""
    tries = repeated = 0
    for leg in range(job.role.legs):
        desk.legs = leg + 1
        last = leg + 1 == job.role.legs
        while True:
            name = f"{leg}.{tries}"
            asked = _Asked(
                job=job, name=name, leg=leg, tries=tries, last=last, notes=notes, wrong=wrong, material=material
            )
            reply, prompt, rest = await _ask(desk, asked, gate, model, budget)
            # a vote has looked at each reply
            wrong = await _wrong(job, name, reply) or "" if job.role.vote is None else ""
            tries += bool(wrong)
            if wrong and tries == _TRIES and (shorter := _with_artifact(job, reply)) is not None:
                reply, wrong = shorter, ""
            if not wrong or tries >= _TRIES:
                break
            log.info("result turned down", slice=job.slice, reason=wrong)
        if wrong:
            return desk.report(failure=f"no result that passes its check: {wrong}")
        _take(desk, reply, prompt)
        if reply.status != "continue" or (last and reply.result):
            return _ended(desk, reply)
        if repeats.seen(reply.notes, *reply.look_up):
            repeated += 1
            if repeated == 2:
                return desk.report(failure=f"its sub-agents repeat themselves: {_one_line(reply.notes)}")
            notes = (
                f"{reply.notes}\n\n(This was said before: the one before you went in a circle. Go another way.)"
            )
        else:
            notes = reply.notes
        if not last:
            asks = reply.look_up
            found = job.ledger.looked_up(leg, lambda asks=asks: look_up(asks)) if asks else ()  # type: ignore[misc]
            await handoff(leg, desk.report())
            material = (*found, *rest)
    return desk.report(failure=f"not done after {job.role.legs} sub-agents: {_one_line(notes)}")


# Asking


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    job: Job
    name: str
    leg: int
    tries: int
    last: bool
    notes: str
    wrong: str
    material: Sequence[Passage]


async def _ask(
    desk: _Desk, asked: _Asked, gate: Ask, model: Model, budget: Budget | None
) -> tuple[WorkReply, WorkPrompt, Sequence[Passage]]:
    """The reply of one sub-agent, what it was shown, and what of the material comes after. Where it is too much
    the view is left out first, and then results give way to their summaries, the longest first."""
    job, prompt = asked.job, _prompt(asked)
    shortest = sorted(job.outcomes, key=lambda one: len(one.text), reverse=True)
    without = 0  # parts of it that were left out: first the view, then results
    while True:
        name = f"{asked.name}#{without}"
        without += 1
        try:
            if job.ledger.beyond(name):
                raise PromptTooLong("this much was too long before")
            fitted, rest = await _with_material(prompt, asked.material, model, job.ledger, name)
            return await _decide(desk, asked, fitted, gate, model, budget), fitted, rest
        except PromptTooLong:
            if without == 1 and prompt.shown:
                prompt = replace(prompt, shown=())
            elif shortest:
                without = max(without, 2)
                long = shortest.pop(0)
                log.info("result shown as its summary", slice=job.slice, of=long.name)
                short = Outcome(name=long.name, text=job.summaries.get(long.name, ""), whole=False)
                outcomes = tuple(short if one.name == long.name else one for one in prompt.outcomes)
                prompt = replace(prompt, outcomes=outcomes)
            else:
                raise


def _prompt(asked: _Asked) -> WorkPrompt:
    job, order, role = asked.job, asked.job.order, asked.job.role
    return WorkPrompt(
        question=job.goal,
        shown=job.shown,
        objective=order.objective,
        basis=job.basis,
        instructions=role.instructions,
        schema=role.schema_text,
        done_when=order.done_when,
        boundaries=order.boundaries,
        outcomes=job.outcomes,
        paths=job.paths,
        said=job.said,
        leg=asked.leg,
        legs=role.legs,
        notes=asked.notes,
        wrong=asked.wrong,
        report_tokens=role.report_tokens,
    )


async def _with_material(
    prompt: WorkPrompt, material: Sequence[Passage], model: Model, ledger: Ledger, name: str
) -> tuple[WorkPrompt, Sequence[Passage]]:
    """The prompt with as much of its material as its window holds, and what is left for those who come after."""

    def tokens() -> int:
        return int((model.window - reserved_output(model) - model.count(prompt)) / model.ratio())

    if not material and name.endswith("#0"):
        return prompt, ()
    room = await ledger.room(name, tokens)
    if not material:
        return prompt, ()
    taken, used = 0, 0
    for passage in material:
        used += passage.tokens + _TAG_TOKENS
        if used > room:
            break
        taken += 1
    if not taken:
        raise PromptTooLong("the order and the results that it needs leave no room for its material")
    rest = material[taken:]
    more = sum(passage.tokens for passage in rest)
    return replace(prompt, passages=tuple(material[:taken]), more=more), rest


async def _decide(
    desk: _Desk, asked: _Asked, prompt: WorkPrompt, gate: Ask, model: Model, budget: Budget | None
) -> WorkReply:
    """One reply, or the one that the votes lead to."""
    role = desk.job.role
    if role.vote is None or role.vote.lead < 1:
        return await _valid(prompt, 2 * asked.tries, gate, model, budget)

    async def ask(attempt: int) -> tuple[int, WorkReply]:
        return attempt, await gate.ask(model, prompt, attempt, budget=budget, mend=False)

    ballot = await vote(
        role.vote,
        ask,
        lambda cast: f"{cast[1].status}\0{key_of_result(cast[1].result, role.schema)}",
        lambda cast: _wrong(desk.job, f"{asked.name}.{cast[0]}", cast[1]),
    )
    desk.votes += ballot.votes
    desk.discarded += ballot.discarded
    return ballot.reply[1]


async def _valid(prompt: WorkPrompt, attempt: int, gate: Ask, model: Model, budget: Budget | None) -> WorkReply:
    """A reply that fits its schema; one that does not after its repair is asked for afresh once. `attempt` tells
    it from what was asked before: the same may be wrong twice, and is asked anew all the same."""
    try:
        return await gate.ask(model, prompt, attempt, budget=budget)
    except InvalidReply:
        return await gate.ask(model, prompt, attempt + 1, budget=budget)


async def _wrong(job: Job, name: str, reply: WorkReply) -> str | None:
    """What programs find wrong with a reply: its length, the form of its result, what the role's check says."""
    if _is_long(reply, job.role.report_tokens):
        return f"the report is longer than {job.role.report_tokens:,} tokens: put what is long into artifacts"
    if reply.status != "done":
        return None
    value, problem = problem_with(reply.result, job.role.schema, job.role.report_tokens, job.role.name)
    check = job.role.check
    if problem is not None or check is None:
        return problem

    async def asked() -> str | None:
        said = check(value, job.order)
        return await said if inspect.isawaitable(said) else said

    return await job.ledger.checked(name, asked)


def _is_long(reply: WorkReply, most: int) -> bool:
    """Whether a report is longer than it may be, artifacts left out: o200k tokens of all that others will read."""
    claims = [text for one in reply.findings for text in (one.claim, one.quote)]
    proposed = [one.objective for one in reply.proposed]
    texts = [reply.result, reply.summary, reply.notes, *claims, *proposed, *reply.decisions]
    if 4 * sum(map(len, texts)) <= most:  # a character has four bytes and as many tokens at the most
        return False
    return o200k("\n".join(texts)) > most


def _with_artifact(job: Job, reply: WorkReply) -> WorkReply | None:
    """A reply whose result stays too long, whatever is said of it: the whole becomes an artifact, and the result
    is its beginning, which says so. None where that would not help, or would break the form."""
    role = job.role
    short = _is_long(reply.model_copy(update={"result": ""}), role.report_tokens // 2)
    if reply.status != "done" or role.schema is not None or role.check is not None or short:
        return None
    name = f"{job.order.name}, whole"
    head = reply.result[: role.report_tokens // 2 * _CHARS_A_TOKEN]
    made = Made(name=name, media="text/markdown", text=reply.result)
    result = f'{head}\n\n(This is its beginning. The whole is the artifact "{name}".)'
    shorter = reply.model_copy(update={"result": result, "artifacts": [*reply.artifacts, made]})
    return None if _is_long(shorter, role.report_tokens) else shorter


# What comes of it


def _ended(desk: _Desk, reply: WorkReply) -> Worked:
    if reply.status in ("blocked", "too_large"):
        why = "too large for one slice" if reply.status == "too_large" else "blocked"
        return desk.report(summary=reply.summary, failure=f"{why}: {_one_line(reply.notes or reply.summary)}")
    return desk.report(result=reply.result, summary=reply.summary)


def _take(desk: _Desk, reply: WorkReply, prompt: WorkPrompt) -> None:
    """Keep what a sub-agent said that others may rest on."""
    job = desk.job
    for made in reply.artifacts[:_PROPOSED]:
        ref = kept_id(made.text)
        one = Artifact(id=artifact_id(made.name, made.media, ref), name=made.name, media=made.media, ref=ref)
        desk.artifacts[one.id] = one
        desk.texts[ref] = Text(path=made.name, text=made.text)
    for text in reply.decisions[:_DECISIONS]:
        if text.strip():
            id_ = decision_id(text, (job.slice,))
            desk.decisions[id_] = Decision(id=id_, text=text.strip(), about=(job.slice,))
    for proposal in reply.proposed[:_PROPOSED]:
        if proposal.objective.strip():
            name = " ".join(proposal.name.split())[:120] or digest("proposed", proposal.objective)[:12]
            desk.proposed.setdefault(
                name, Order(name=name, objective=proposal.objective, sources=tuple(proposal.sources))
            )
    if reply.findings or reply.summary.strip():
        _find(desk, reply, prompt)


def _find(desk: _Desk, reply: WorkReply, prompt: WorkPrompt) -> None:
    """Keep the claims whose words stand in what the sub-agent was given, or in what it made; and what it says of
    its result, which rests on the result."""
    job = desk.job
    texts = {_result_of(job.order.name): reply.result} if reply.result.strip() else {}
    texts |= {made.name: made.text for made in reply.artifacts if made.text.strip()}
    given = {_result_of(one.name): one.text for one in prompt.outcomes if one.whole and one.text.strip()}
    material = Material(prompt.passages)
    made = {kept_id(text): Text(path=name, text=text) for name, text in (given | texts).items()}
    written = Material([_as_passage(id_, one.text) for id_, one in made.items()])
    for found in reply.findings[:_FINDINGS]:
        span = material.locate(found.quote) or written.locate(found.quote)
        if span is None:
            desk.rejected.append(found.quote[:_SHORT])
        elif found.claim.strip():
            _add(desk, finding_of(found, span), made)
    if reply.summary.strip() and reply.result.strip() and reply.status == "done":
        span = Span(kept_id(reply.result), 0, min(len(reply.result), _SHORT))
        whole = Finding(
            id=digest("finding", reply.summary.strip(), job.order.name),
            claim=reply.summary.strip(),
            evidence=(span,),
            relevance=0.6,
        )
        _add(desk, whole, made)


def _result_of(name: str) -> str:
    """What the result of a slice is called where it is cited."""
    return f"result of {name}"


def _add(desk: _Desk, finding: Finding, made: Mapping[str, Text]) -> None:
    desk.findings.setdefault(finding.id, finding)
    for span in finding.evidence:
        if span.source in made:
            desk.texts[span.source] = made[span.source]


def _as_passage(id_: str, text: str) -> Passage:
    return Passage(id=0, span=Span(id_, 0, len(text)), tokens=o200k(text), cut=9, context="", text=text)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHORT else f"{line[: _SHORT - 1]}…"


__all__ = ["Ask", "Handoff", "Job", "LookUp", "Text", "Worked", "work"]
