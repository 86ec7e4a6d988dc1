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
from functools import partial

from swarm.agenda.progress import Repeats
from swarm.errors import InvalidReply, PromptTooLong
from swarm.limits.budget import Budget
from swarm.limits.gate import reserved_output
from swarm.models.base import Model
from swarm.observe.log import get_logger
from swarm.prompts.replies import Made, WorkReply
from swarm.prompts.typed import Outcome, WorkPrompt
from swarm.source import Passage
from swarm.tokens import o200k
from swarm.worker.act import Actor
from swarm.worker.form import problem_with
from swarm.worker.harvest import SHORT, Desk, borne_out, landed, take
from swarm.worker.job import Ask, Handoff, Job, LookUp, Text, Worked
from swarm.worker.ledger import Landing
from swarm.worker.vote import key_of_result, vote

log = get_logger("worker")

_TAG_TOKENS = 24  # around a source
_MATERIAL = 0.5  # of the room for a prompt, where a sub-agent has tools
_CHARS_A_TOKEN = 2  # of text that is shown in part, at the least


async def work(
    job: Job, gate: Ask, model: Model, look_up: LookUp, handoff: Handoff, budget: Budget | None = None
) -> Worked:
    """Work a job to its result. A report with a `failure` says what stands in the way, and what else it proposes.

    Raises:
        PromptTooLong: not even the order and the shortest form of what it needs fit the window.
        LimitReached: a limit does not allow the next call.
        CallFailed: the model could not be asked, or gave no reply that could be used.
    """
    desk, repeats = Desk(job=job), Repeats()
    asked = _Asked(job=job, last=job.role.legs == 1, material=job.material)
    repeated = 0
    for leg in range(job.role.legs):
        desk.legs = leg + 1
        last = leg + 1 == job.role.legs
        asked = replace(asked, leg=leg, last=last)
        asked, said, landing = await _tried(desk, asked, gate, model, budget)
        if asked.wrong:
            return desk.report(failure=f"no result that passes its check: {asked.wrong}")
        reply = landed(desk, said.reply, landing)
        take(desk, reply, said.prompt, said.given)
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
            found = await job.ledger.looked_up(leg, partial(look_up, asks)) if asks else ()
            await handoff(leg, desk.report())
            asked = replace(asked, material=(*found, *said.rest))
        asked = replace(asked, notes=notes)
    return desk.report(failure=f"not done after {job.role.legs} sub-agents: {_one_line(notes)}")


# Asking


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """What one sub-agent is asked: as which leg, after how many tries that were `wrong`."""

    job: Job
    last: bool
    material: Sequence[Passage]
    leg: int = 0
    tries: int = 0
    notes: str = ""
    wrong: str = ""

    @property
    def name(self) -> str:
        return f"{self.leg}.{self.tries}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Said:
    """What a sub-agent said, what it was shown, what of the material comes after, and what its tools gave."""

    reply: WorkReply
    prompt: WorkPrompt
    rest: Sequence[Passage] = ()
    given: Mapping[str, str] = field(default_factory=dict)


async def _tried(
    desk: Desk, asked: _Asked, gate: Ask, model: Model, budget: Budget | None
) -> tuple[_Asked, _Said, Landing]:
    """Ask until what is said passes the checks, and lands where it is to; or until the tries are used up, which
    are counted over all legs. What was wrong the last time is left in what was asked."""
    job = asked.job
    while True:
        said = await _ask(desk, asked, gate, model, budget)
        # a vote has looked at each reply
        wrong = await _wrong(job, asked.name, said.reply) if job.role.vote is None else None
        last = asked.tries + 1 >= job.role.tries
        if wrong and last and (shorter := _with_artifact(job, said.reply)) is not None:
            said, wrong = replace(said, reply=shorter), None
        landing = Landing() if wrong else await _land(job, asked.name, said)
        wrong = wrong or landing.wrong or ""
        asked = replace(asked, wrong=wrong, tries=asked.tries + bool(wrong))
        if not wrong or last:
            return asked, said, landing
        log.info("result turned down", slice=job.slice, reason=wrong)


async def _ask(desk: Desk, asked: _Asked, gate: Ask, model: Model, budget: Budget | None) -> _Said:
    """What one sub-agent says. Where what it is given is too much the view is left out first, and then results
    give way to their summaries, the longest first."""
    job, prompt = asked.job, _prompt(asked)
    if job.run is not None:
        reply = await job.ledger.ran(asked.name, partial(job.run, asked.wrong, asked.tries))
        return _Said(reply=reply, prompt=prompt)
    shortest = sorted(job.outcomes, key=lambda one: len(one.text), reverse=True)
    without = 0  # parts of it that were left out: first the view, then results
    while True:
        name = f"{asked.name}#{without}"
        without += 1
        try:
            if job.ledger.beyond(name):
                raise PromptTooLong("this much was too long before")
            fitted, rest = await _with_material(prompt, asked, model, name)
            reply, given = await _decide(desk, asked, fitted, gate, model, budget)
            return _Said(reply=reply, prompt=fitted, rest=rest, given=given)
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
        settled=job.settled,
        leg=asked.leg,
        legs=role.legs,
        notes=asked.notes,
        wrong=asked.wrong,
        report_tokens=role.report_tokens,
    )


async def _with_material(
    prompt: WorkPrompt, asked: _Asked, model: Model, name: str
) -> tuple[WorkPrompt, Sequence[Passage]]:
    """The prompt with as much of its material as its window holds, and what is left for those who come after. One
    who has tools is left room to use them."""
    material, ledger = asked.material, asked.job.ledger
    share = _MATERIAL if asked.job.kit is not None else 1.0

    def tokens() -> int:
        return int((share * (model.window - reserved_output(model)) - model.count(prompt)) / model.ratio())

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
    desk: Desk, asked: _Asked, prompt: WorkPrompt, gate: Ask, model: Model, budget: Budget | None
) -> tuple[WorkReply, Mapping[str, str]]:
    """One reply, what comes of acting, or the one that the votes lead to; and what tools gave."""
    job, role = desk.job, desk.job.role
    if job.kit is not None:
        actor = Actor(kit=job.kit, gate=gate, model=model, ledger=job.ledger, budget=budget)
        acted = await actor.act(prompt, asked.name, 2 * asked.tries)
        return acted.reply, acted.given
    if role.vote is None or role.vote.lead < 1:
        return await _valid(prompt, 2 * asked.tries, gate, model, budget), {}

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
    return ballot.reply[1], {}


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


async def _land(job: Job, name: str, said: _Said) -> Landing:
    """Have what was done land, where it is done and there is a place to land. What it rests on goes along."""
    if job.land is None or said.reply.status != "done":
        return Landing()
    reply = borne_out(said.reply, said.prompt, said.given)
    return await job.ledger.landed(name, partial(job.land, name, reply))


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


def _ended(desk: Desk, reply: WorkReply) -> Worked:
    if reply.status in ("blocked", "too_large"):
        why = "too large for one slice" if reply.status == "too_large" else "blocked"
        return desk.report(summary=reply.summary, failure=f"{why}: {_one_line(reply.notes or reply.summary)}")
    return desk.report(result=reply.result, summary=reply.summary)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHORT else f"{line[: SHORT - 1]}…"


__all__ = ["Ask", "Handoff", "Job", "LookUp", "Text", "Worked", "work"]
