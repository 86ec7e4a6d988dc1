"""Picks the sentences that answer a question, or says that none does.

The statements are the found sentences themselves, so nothing can be invented; the point below which it says
that there is no answer was calibrated (see docs/models/extractive.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from swarm.models.extractive.evidence import Evidence, weigh
from swarm.models.extractive.query import Query, understand
from swarm.models.extractive.short import short_answer
from swarm.models.extractive.signals import PER_WORD, WORDS
from swarm.prompts.replies import AnswerReply, Cited
from swarm.prompts.typed import AnswerPrompt
from swarm.terms import terms

STATEMENTS, CHARS = 8, 1_200
ANSWERABLE = -1.75
"""Assurance below which a question counts as not answered: where 3 to 4% of the questions with an answer are
turned down, and 12 to 13% of those without one are not."""
_SAME_PAGE = 0.1  # what a second sentence of one page is worth
_ALIKE = 0.75
_TAIL = 0.005  # of the best probability: what is less likely is not said


def answer(prompt: AnswerPrompt) -> AnswerReply:
    query = understand(prompt.question, prompt.statistics, (one.finding.claim for one in prompt.shown))
    found = weigh(query, prompt.shown, prompt.asked)
    if assurance(query, found) < ANSWERABLE:
        return AnswerReply(answerable=False)
    statements = [Cited(text=one.text, findings=[one.shown.label]) for one in pick(found)]
    return AnswerReply(answerable=True, short=short_answer(query, found), statements=statements)


def assurance(query: Query, found: Sequence[Evidence]) -> float:
    """How sure it is that the findings answer the question: the log-odds of the best of them by itself, and what
    the length of the question makes up for."""
    best = max((item.direct for item in found), default=0.0)
    if best <= 0.0:
        return -math.inf
    return math.log(best / (1 - best)) + PER_WORD * min(WORDS, len(query.weights))


def pick(found: list[Evidence]) -> list[Evidence]:
    """The statements, best first: probable, short enough together, and not twice from one page if others wait."""
    chosen: list[Evidence] = []
    room = CHARS
    left = list(found)
    taken: dict[tuple[object, ...], int] = {}
    bags: list[frozenset[str]] = []
    while left and len(chosen) < STATEMENTS:
        best = max(left, key=lambda one: one.probability * _SAME_PAGE ** taken.get(one.page, 0))
        left.remove(best)
        words = frozenset(terms(best.text))
        alike = any(len(words & bag) / (len(words | bag) or 1) > _ALIKE for bag in bags)
        if chosen and (alike or len(best.text) > room or best.probability < _TAIL * chosen[0].probability):
            continue
        chosen.append(best)
        bags.append(words)
        taken[best.page] = taken.get(best.page, 0) + 1
        room -= len(best.text)
    return chosen
