"""Reads one slice: the sentences that bear on a question, or that stand for the rest where there is none."""

from __future__ import annotations

import math

from swarm.models.extractive.digest import key_sentences
from swarm.models.extractive.query import Query, understand
from swarm.models.extractive.rank import Ranked, rank
from swarm.models.extractive.signals import PER_WORD, WORDS
from swarm.prompts.replies import ReadFinding, ReadReply
from swarm.prompts.typed import ReadPrompt

_LOWEST = 0.0005  # relevance: below, a sentence shares hardly a word with the question
_SAYS = -4.5
"""Assurance below which an item of a table does not say: at which 92% of SQuAD's paragraphs are kept for their own
questions, 19% for those of other paragraphs of the article, and 1% for any others."""


def read(prompt: ReadPrompt) -> ReadReply:
    if not prompt.question.strip():
        return ReadReply(findings=[_finding(one) for one in key_sentences(prompt)])
    query = understand(prompt.question, prompt.statistics, (passage.text for passage in prompt.passages))
    found = [one for one in rank(query, prompt.passages, prompt.paths) if one.relevance >= _LOWEST]
    if prompt.output == "table":
        found = [one for one in found if _assurance(query, one) >= _SAYS]
    return ReadReply(findings=[_finding(one) for one in found[: prompt.max_findings]])


def _assurance(query: Query, one: Ranked) -> float:
    certain = min(one.relevance, 1 - 1e-9)
    return math.log(certain / (1 - certain)) + PER_WORD * min(WORDS, len(query.weights))


def _finding(ranked: Ranked) -> ReadFinding:
    unit = ranked.unit
    claim = f"{unit.title} — {unit.key}: {unit.text}" if unit.key and unit.title else unit.text
    return ReadFinding(
        claim=claim,
        quote=ranked.quote,
        relevance=round(ranked.relevance, 4),
        subject=unit.title or None,
        attribute=unit.key or None,
        value=unit.text if unit.key else None,
        time=unit.time or None,
    )
