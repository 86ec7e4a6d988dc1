"""Says a text shorter with its own sentences: those that the rest speaks about most, none twice.

Used for reading without a question and for consolidation; numbers and names stay as they are, because no word
is rewritten.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from swarm.models.extractive.query import understand
from swarm.models.extractive.rank import Ranked
from swarm.models.extractive.units import joined, units
from swarm.prompts.replies import Cited, ConsolidateReply
from swarm.prompts.typed import ConsolidatePrompt, ReadPrompt
from swarm.source import Span
from swarm.terms import question_terms, terms

_SHORTEST, _LONGEST = 6, 60  # words: what is shorter or longer does not stand for a text
_FULL = 12  # different words, stop words aside: from here on a sentence says enough to stand for others
_SIGNS, _SIGNED = re.compile(r"[=(){}\[\]<>|\\`_]"), 0.04  # signs of code, and the share of them that prose has
_OPENING = 0.15  # what the first sentence of a passage gains
_DIRECT = 0.5  # the share of the question in a score, where there is one


def key_sentences(prompt: ReadPrompt) -> list[Ranked]:
    """The sentences that stand for the passages, best first, at most `max_findings`."""
    import numpy as np

    from swarm.models.extractive.centrality import Bags, choose

    offered: list[tuple[Ranked, bool]] = []
    for run in joined(prompt.passages):
        text, place = "".join([passage.text for passage in run]), run[0].span
        found = units(text, prompt.paths.get(place.source, ""), run[0].context)
        for index, unit in enumerate(found):
            if _SHORTEST <= len(unit.text.split()) <= _LONGEST or _is_dense(unit.text):
                span = Span(place.source, place.start + unit.start, place.start + unit.end)
                offered.append((Ranked(unit, 0.0, span, text[unit.start : unit.end]), index == 0))
    offered = [one for one in offered if is_prose(one[0].unit.text)] or offered
    if not offered:
        return []
    bags = Bags([one.unit.text for one, _ in offered])
    scores = bags.centrality() * bags.fullness(_FULL)
    scores += _OPENING * np.array([opens for _, opens in offered])
    rows = choose(bags, scores, [1] * len(offered), prompt.max_findings, prompt.max_findings)
    return [replace(offered[row][0], relevance=min(1.0, float(scores[row]))) for row in rows]


def is_prose(text: str) -> bool:
    """Text that is made of words, and not of code, markup or the cells of a table."""
    return len(_SIGNS.findall(text)) <= _SIGNED * len(text)


def _is_dense(text: str) -> bool:
    """Text that no blanks separate, as Chinese and Japanese."""
    return len(text) >= 12 and " " not in text and not text.isascii()


def consolidate(prompt: ConsolidatePrompt) -> ConsolidateReply:
    """As many of the findings' claims as `words` allow, in the order in which they were shown."""
    from swarm.models.extractive.centrality import Bags, choose

    claims = [one.finding.claim for one in prompt.shown]
    bags = Bags(claims)
    scores = bags.centrality() * bags.fullness(_FULL)
    if question_terms(prompt.question):
        query = understand(prompt.question, prompt.statistics, claims)
        for row, claim in enumerate(claims):
            direct = query.share(set(terms(claim)))
            scores[row] = (1 - _DIRECT) * scores[row] + _DIRECT * max(direct, prompt.shown[row].finding.relevance)
    else:
        for row, one in enumerate(prompt.shown):
            scores[row] = (1 - _DIRECT) * scores[row] + _DIRECT * one.finding.relevance
    sizes = [_words(claim) for claim in claims]
    rows = choose(bags, scores, sizes, prompt.words, len(claims))
    return ConsolidateReply(
        statements=[Cited(text=claims[row], findings=[prompt.shown[row].label]) for row in sorted(rows)]
    )


def _words(text: str) -> int:
    return max(len(text.split()), sum(not c.isascii() for c in text) // 2 if _is_dense(text) else 0)


__all__: Sequence[str] = ["consolidate", "key_sentences"]
