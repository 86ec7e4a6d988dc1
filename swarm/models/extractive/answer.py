"""Picks the sentences that answer a question, or says that none does.

The statements are the found sentences themselves, so nothing can be invented; the threshold below which it says
so was calibrated (see docs/models/extractive.md).
"""

from __future__ import annotations

from swarm.models.extractive.evidence import Evidence, weigh
from swarm.models.extractive.query import understand
from swarm.prompts.replies import AnswerReply, Cited
from swarm.prompts.typed import AnswerPrompt
from swarm.terms import terms

STATEMENTS, CHARS = 8, 1_200
_THRESHOLD = 0.0005
_SAME_PAGE = 0.35  # what a second sentence of one page is worth
_ALIKE = 0.75


def answer(prompt: AnswerPrompt) -> AnswerReply:
    query = understand(prompt.question, prompt.statistics, (one.finding.claim for one in prompt.shown))
    found = weigh(query, prompt.shown, prompt.asked)
    if not found or found[0].probability < _THRESHOLD:
        return AnswerReply(answerable=False)
    statements = [Cited(text=one.text, findings=[one.shown.label]) for one in pick(found)]
    return AnswerReply(answerable=True, statements=statements)


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
        if alike or (len(best.text) > room and chosen):
            continue
        chosen.append(best)
        bags.append(words)
        taken[best.page] = taken.get(best.page, 0) + 1
        room -= len(best.text)
    return chosen
