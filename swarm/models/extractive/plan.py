"""Queries for a question: itself, the names in it, and its telling words. It knows no corpus."""

from __future__ import annotations

from swarm.names import names
from swarm.prompts.replies import PlanReply
from swarm.prompts.typed import PlanPrompt
from swarm.terms import STOP, WORD, spaced

_QUERIES = 5


def plan(prompt: PlanPrompt) -> PlanReply:
    question = prompt.question.strip()
    if not question:
        return PlanReply(queries=[], reading="The sentences that the rest of the text speaks about most.")
    words = [word for word in WORD.findall(spaced(question)) if word.lower() not in STOP]
    queries = [question, " ".join(dict.fromkeys(words)), *(name.text for name in names(question))]
    kept = list(dict.fromkeys(query for query in queries if query))[:_QUERIES]
    return PlanReply(
        queries=kept, reading=f"Sentences that share rare words with the question: {', '.join(words)}."
    )
