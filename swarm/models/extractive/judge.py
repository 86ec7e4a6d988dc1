"""Decides whether what was found covers the question, and what to look for next.

A next question joins a name that the best findings bring up, and that the question does not, with the words of
the question that they leave open. It knows words and names; whether a claim is true it cannot tell.
"""

from __future__ import annotations

from swarm.models.extractive.evidence import Evidence, bare, weigh
from swarm.models.extractive.query import Query, understand
from swarm.prompts.replies import JudgeReply
from swarm.prompts.typed import JudgePrompt
from swarm.terms import STOP, WORD, question_terms, spaced, stem

_ENOUGH = 0.9  # of the question's weight, in one sentence and its title
_FOLLOW_UPS = 5
_BEST = 12  # findings whose names are followed


def judge(prompt: JudgePrompt) -> JudgeReply:
    query = understand(prompt.question, prompt.statistics, (one.finding.claim for one in prompt.shown))
    found = weigh(query, prompt.shown)
    if not prompt.rounds_left:
        verdict = "answer" if found else "give_up"
        return JudgeReply(verdict=verdict, reason="No rounds are left.")  # type: ignore[arg-type]
    follow_ups = _follow_ups(query, found, prompt.asked)
    best = query.weight(found[0].covered) / (query.total or 1.0) if found else 0.0
    if found and best >= _ENOUGH and len(query.names) < 2 and not _nested(query):
        return JudgeReply(verdict="answer", reason="One passage covers the words of the question.")
    if follow_ups:
        return JudgeReply(
            verdict="follow_up", follow_ups=follow_ups, reason="The findings bring up names to follow."
        )
    return JudgeReply(verdict="answer" if found else "give_up", reason="Nothing more to look for.")


def _nested(query: Query) -> bool:
    """Whether the question asks for something of something: then one passage is seldom enough."""
    words = query.text.lower().split()
    return (
        "'s" in query.text
        or words.count("of") + words.count("that") + words.count("who") + words.count("which") > 1
    )


def _follow_ups(query: Query, found: list[Evidence], asked: tuple[str, ...]) -> list[str]:
    known = {*asked, query.text}
    tried = {tuple(question_terms(one)) for one in known}
    followed = [" ".join(question_terms(one)) for one in asked]
    scored: dict[str, float] = {}
    seen: set[tuple[str, ...]] = set()
    for name in query.names:
        wanted = frozenset(question_terms(name))
        if wanted and not any(wanted <= one.covered for one in found[:40]):
            _propose(scored, name, _open_words(query, wanted), 1.0)
    for item in found[:_BEST]:
        candidates = dict(item.names)
        if item.title and len(item.title) < 80:
            candidates.setdefault(bare(item.title), item.title.split(" (")[0])
        for key, name in candidates.items():
            words = frozenset(key)
            if not words or words <= frozenset(query.weights) or key in seen:
                continue
            if any(" ".join(question_terms(name)) in one for one in followed):
                continue
            seen.add(key)
            _propose(scored, name, _open_words(query, item.covered), item.score)
    best = sorted(scored, key=lambda one: -scored[one])
    fresh = [one for one in best if one not in known and tuple(question_terms(one)) not in tried]
    return fresh[:_FOLLOW_UPS]


def _propose(scored: dict[str, float], name: str, words: str, score: float) -> None:
    text = f"{name} {words}".strip()
    scored[text] = max(score, scored.get(text, 0.0))


def _open_words(query: Query, covered: frozenset[str]) -> str:
    """The words of the question that tell something and are not covered, as they stand in it."""
    kept = []
    for word in WORD.findall(spaced(query.text)):
        if word.lower() not in STOP and stem(word) not in covered and word not in kept:
            kept.append(word)
    return " ".join(kept)
