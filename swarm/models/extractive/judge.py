"""Decides whether what was found covers the question, and what to look for next.

A next question joins the names that a page brings up, and that the question does not, with the words of the
question that the page leaves open. It knows words and names; whether a claim is true it cannot tell.
"""

from __future__ import annotations

from swarm.models.extractive.evidence import Page, pages, weigh
from swarm.models.extractive.query import Query, understand
from swarm.names import Name
from swarm.prompts.replies import JudgeReply
from swarm.prompts.typed import JudgePrompt
from swarm.terms import STOP, WORD, question_terms, spaced, stem, terms

_ENOUGH = 0.95
_FOLLOW_UPS = 5
_NAMES = 4  # in one follow-up
_SENTENCES = 6  # of a page, whose names are followed
_UNLIKELY = 0.0005


def judge(prompt: JudgePrompt) -> JudgeReply:
    query = understand(prompt.question, prompt.statistics, (one.finding.claim for one in prompt.shown))
    found = weigh(query, prompt.shown, prompt.asked)
    if not found:
        return JudgeReply(verdict="give_up", reason="Nothing was found that shares words with the question.")
    if not prompt.rounds_left:
        return JudgeReply(verdict="answer", reason="No rounds are left.")
    by_page = pages(found)
    if query.share(by_page[0].covered) >= _ENOUGH:
        return JudgeReply(verdict="answer", reason="One passage covers the words of the question.")
    follow_ups = _follow_ups(query, by_page, prompt.asked)
    if follow_ups:
        return JudgeReply(
            verdict="follow_up", follow_ups=follow_ups, reason="The findings bring up names to follow."
        )
    return JudgeReply(verdict="answer", reason="The findings bring up no further names.")


def _follow_ups(query: Query, found: list[Page], asked: tuple[str, ...]) -> list[str]:
    done = {name for one in asked for name in _said(one)}
    titles = frozenset(term for page in found for term in page.best.about if page.best.signals.named)
    follow_ups: list[str] = []
    for name in query.names:
        wanted = frozenset(question_terms(name.text))
        if wanted and name.sure >= 0.7 and not any(wanted <= page.covered for page in found[:40]):
            follow_ups.append(_worded([name.text], query, wanted | titles))
    for page in found:
        if len(follow_ups) >= _FOLLOW_UPS or page.best.probability < _UNLIKELY:
            break
        chosen = _names(query, page, done)
        if chosen:
            follow_ups.append(_worded(chosen, query, page.covered | titles))
            done.update(tuple(terms(name)) for name in chosen)
    return [one for one in dict.fromkeys(follow_ups) if one not in asked and one != query.text][:_FOLLOW_UPS]


def _names(query: Query, page: Page, done: set[tuple[str, ...]]) -> list[str]:
    """The names to follow from a page: those it mentions, and what it is about, if the question does not say."""
    candidates: dict[tuple[str, ...], Name] = {}
    title = page.best.title.split(" (")[0].replace("_", " ")
    if page.best.about and not page.best.signals.named and not title[:1].islower():
        candidates[page.best.about] = Name(title, 0.9)
    for item in page.items[:_SENTENCES]:
        for words, name in item.names.items():
            candidates.setdefault(words, name)
    fresh = [
        (words, name)
        for words, name in candidates.items()
        if words not in done
        and name.sure > 0.3
        and len(words) <= 8
        and not frozenset(words) <= query.weights.keys() | frozenset(STOP)
    ]
    fresh.sort(key=lambda one: -one[1].sure)
    return [name.text for _, name in fresh[:_NAMES]]


def _worded(chosen: list[str], query: Query, covered: frozenset[str]) -> str:
    words = [
        word
        for word in dict.fromkeys(WORD.findall(spaced(query.text)))
        if word.lower() not in STOP and stem(word) not in covered
    ]
    return f"{'; '.join(chosen)}: {' '.join(words)}" if words else "; ".join(chosen)


def _said(follow_up: str) -> list[tuple[str, ...]]:
    """The names in a follow-up, as `_worded` put them there."""
    return [tuple(terms(name)) for name in follow_up.split(": ")[0].split("; ")]
