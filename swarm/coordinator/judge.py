"""Are the findings enough? If not, ask on: a follow-up question becomes a slice of what the index finds for it."""

from __future__ import annotations

from swarm.coordinator.desk import Desk
from swarm.coordinator.disputes import judge_pairs, questions_to_settle
from swarm.coordinator.plan import FOLLOW_UP_MATCHES, brief, make_slice, material_budget
from swarm.coordinator.show import view_prompt
from swarm.errors import CallFailed, LimitReached, PromptTooLong, Rejected
from swarm.events import SlicesPlanned
from swarm.observe.log import get_logger
from swarm.prompts.replies import PlanReply
from swarm.prompts.typed import JudgePrompt
from swarm.source import Passage
from swarm.sources.slicing import pack

log = get_logger("judge")

MAX_FOLLOW_UPS = 5
_LONGEST = 600  # characters: a question that goes on for longer leaves no room for what it asks of


async def judge(desk: Desk, round_: int) -> bool:
    """Whether to go on to another round; its slices are then planned.

    `round_` counts from 1, the round that was just worked. A judge that fails ends the asking, not the run.
    """
    await judge_pairs(desk)
    rounds_left = desk.task.limits.rounds - round_
    if rounds_left <= 0:
        return False
    to_settle = [] if desk.model.selective else questions_to_settle(desk)
    try:
        reply = await view_prompt(
            desk,
            lambda shown, omitted: JudgePrompt(
                question=desk.question,
                shown=shown,
                omitted=omitted,
                statistics=desk.briefs[desk.question].statistics,
                asked=tuple(desk.asked),
                rounds_left=rounds_left,
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
    return _plan_follow_ups(desk, [*new[:MAX_FOLLOW_UPS], *to_settle], round_ + 1)


def _plan_follow_ups(desk: Desk, questions: list[str], round_: int) -> bool:
    """One slice for each question: the passages that the index ranks highest, as many as fit a window."""
    before = len(desk.planned)
    for question in questions:
        desk.asked.append(question)
        ranked = desk.library.search(question, desk.corpus, FOLLOW_UP_MATCHES)
        desk.briefs[question] = brief(desk, question, PlanReply(queries=[], reading=""), ranked)
        budget = room = material_budget(desk, question)
        chosen: list[Passage] = []
        for passage in ranked:
            if passage.tokens <= room:
                room -= passage.tokens + 24  # and the tag that names its source
                chosen.append(passage)
        chosen.sort(key=lambda passage: (desk.rank[passage.span.source], passage.span.start))
        for spans, tokens in pack(chosen, budget, library=desk.library):
            desk.add([make_slice(question, spans, tokens, round_=round_)])
    planned = len(desk.planned) - before
    if planned:
        desk.emit(SlicesPlanned(slices=planned, round=round_))
    return planned > 0
