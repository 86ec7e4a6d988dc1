"""Are the findings enough? If not, ask on: a follow-up question becomes a slice of what the index finds for it."""

from __future__ import annotations

from swarm.coordinator.desk import Desk
from swarm.coordinator.disputes import judge_pairs, questions_to_settle
from swarm.coordinator.found import ask, search
from swarm.coordinator.listen import hear_before
from swarm.coordinator.plan import FOLLOW_UP_MATCHES, brief_of, said_room, sizes, take_up
from swarm.coordinator.records import Plan, make_slice
from swarm.coordinator.show import view_prompt
from swarm.errors import CallFailed, LimitReached, PromptTooLong, Rejected
from swarm.observe.log import get_logger
from swarm.prompts.replies import PlanReply
from swarm.prompts.typed import JudgePrompt
from swarm.source import Passage
from swarm.sources.slicing import pack
from swarm.store.journal import Entry
from swarm.task import Slice

log = get_logger("judge")

MAX_FOLLOW_UPS = 5
_LONGEST = 600  # characters: a question that goes on for longer leaves no room for what it asks of


async def judge(desk: Desk) -> bool:
    """Whether to go on to another round; its slices are then planned.

    A judge that fails ends the asking, not the run: it is asked again when the run goes on.
    """
    await judge_pairs(desk)
    rounds_left = desk.rounds_allowed - desk.round
    if rounds_left <= 0:
        return False
    await hear_before(desk, f"judge:{desk.round}:{desk.basis}")
    name, said = f"{desk.round}:{desk.basis}{desk.steering.mark}", desk.steering.said(said_room(desk.model))
    if desk.journal.record(desk.run, "decision", name) is not None:
        return False  # had it been to go on, there would be another round
    if desk.recorded is not None and not desk.recorded.decided(name, desk.session):
        return False  # the judge failed then, whatever it said when it was asked again
    to_settle = [] if desk.model.selective else questions_to_settle(desk, desk.asked)
    try:
        reply = await view_prompt(
            desk,
            f"judge:{name}",
            lambda shown, omitted: JudgePrompt(
                question=desk.question,
                shown=shown,
                omitted=omitted,
                statistics=brief_of(desk, desk.question).statistics,
                asked=tuple(desk.asked),
                rounds_left=rounds_left,
                said=said,
            ),
        )
    except Rejected:
        raise
    except (CallFailed, LimitReached, PromptTooLong) as error:
        log.warning("went on without a judgement", reason=str(error))
        return False
    known = {desk.question, *desk.asked}
    new = [
        question
        for question in dict.fromkeys(reply.follow_ups if reply.verdict == "follow_up" else ())
        if question.strip() and len(question) <= _LONGEST and question not in known
    ]
    questions = [*new[:MAX_FOLLOW_UPS], *(question for question, _, _ in to_settle)]
    await ask(desk, questions)
    ended = desk.recorded is not None and not desk.recorded.planned(desk.round + 1)
    made = None if ended else _follow_ups(desk, questions, to_settle)
    body = {"verdict": reply.verdict, "reason": reply.reason, "questions": questions}
    decision = Entry(kind="decision", key=name, body=body)
    if made is None:
        await desk.journal.append(desk.run, decision)
        return False
    await take_up(desk, made, decision)
    return True


def _follow_ups(desk: Desk, questions: list[str], settling: list[tuple[str, str, str]]) -> Plan | None:
    """One slice for each question: the passages that the index ranks highest, as many as fit a window. None where
    there is nothing new to read."""
    advice = PlanReply(queries=[], reading="")
    slices: list[Slice] = []
    if not questions:
        return None
    most, budget = sizes(desk, questions, advice)
    for question in questions:
        ranked = search(desk, question, FOLLOW_UP_MATCHES)
        room = budget
        chosen: list[Passage] = []
        for passage in ranked:
            if passage.tokens <= room:
                room -= passage.tokens + 24  # and the tag that names its source
                chosen.append(passage)
        chosen.sort(key=lambda passage: (desk.rank[passage.span.source], passage.span.start))
        slices += [
            make_slice(question, spans, tokens, round_=desk.round + 1)
            for spans, tokens in pack(chosen, budget, library=desk.library)
        ]
    if all(slice_.id in desk.slices for slice_ in slices):
        return None
    return Plan(
        round=desk.round + 1,
        slices=tuple(slices),
        advice=advice,
        budget=budget,
        most=most,
        asked=tuple(questions),
        settling=tuple(settling),
    )
