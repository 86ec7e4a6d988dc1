"""Is a summary fit to stand for what it covers? A check by words, after each consolidation.

Two questions: does it say a number, a name or an identifier that nothing it rests on says? Then that sentence
goes. And would whoever looks for a covered finding be led to it? What no sentence leads to is named in one more
line, by its rarest words. A summary of which no sentence holds is refused. This module knows texts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from swarm.claims import read_claim
from swarm.graph.identity import name_of
from swarm.graph.nodes import Statement
from swarm.names import names
from swarm.terms import STOP, WORD, question_terms

ALSO = "Also: "
"""How the line begins that names what no sentence leads to."""
_TERM_WORDS = 3  # of a name go into the line: so it grows with what is covered, and no faster
_LEAST_SHARED = (
    2  # words that a sentence must share with a finding it rests on, where the finding has no key facts
)
_COUNT = re.compile(r"#\d+$")
_IDENTIFIER = re.compile(r"\b(?=\w*\d)(?=\w*[^\W\d])[\w./-]+\b|\b\w+_\w+\b")


def key_facts(text: str) -> frozenset[str]:
    """The numbers, dates, names and identifiers of a text, in their normal forms."""
    found = set(read_claim(text).numbers)
    found.update(name_of(name.text) for name in names(text) if name.sure >= 0.7)
    found.update(word.casefold() for word in _IDENTIFIER.findall(text))
    return frozenset(found)


def check(
    statements: Sequence[Statement], children: Mapping[str, str], findings: int
) -> tuple[Statement, ...] | None:
    """The statements that hold, with the line that names the rest; None where none does.

    `children` are the texts of what is covered by their ids; `findings` is how many stand below them: a bare
    number up to that may be a count.
    """
    facts = {id_: key_facts(text) for id_, text in children.items()}
    held = [one for one in statements if _rests(one, children, facts, findings)]
    if not held:
        return None
    rest = [id_ for id_ in children if not any(_leads_to(one, id_, children[id_], facts[id_]) for one in held)]
    if not rest:
        return tuple(held)
    line = ALSO + "; ".join(dict.fromkeys(_telling(id_, children, facts) for id_ in rest)) + "."
    return (*held, Statement(text=line, rests_on=tuple(rest)))


def _rests(
    one: Statement, children: Mapping[str, str], facts: Mapping[str, frozenset[str]], findings: int
) -> bool:
    """Whether all key facts of a sentence stand in what it rests on."""
    known = frozenset().union(*(facts[id_] for id_ in one.rests_on if id_ in facts))
    if not known and not any(id_ in children for id_ in one.rests_on):
        return False
    said = " ".join(name_of(children[id_]) for id_ in one.rests_on if id_ in children)
    for fact in key_facts(one.text) - known:
        is_count = _COUNT.match(fact) and int(fact[1:]) <= findings
        if not is_count and fact not in said:
            return False
    return True


def _leads_to(one: Statement, id_: str, text: str, facts: frozenset[str]) -> bool:
    """Whether someone who looks for a finding meets something of it in the sentence."""
    if one.text == text:
        return True
    said = key_facts(one.text)
    if facts and facts <= said:
        return True
    if id_ not in one.rests_on:
        return False
    shared = set(question_terms(text)) & set(question_terms(one.text))
    return bool(facts & said) or len(shared) >= min(_LEAST_SHARED, len(set(question_terms(text))))


def _telling(id_: str, children: Mapping[str, str], facts: Mapping[str, frozenset[str]]) -> str:
    """The one or two words that tell a finding from its neighbours, as they stand in it."""
    counts = Counter(fact for found in facts.values() for fact in found)
    text = children[id_]
    spelled = [name.text for name in names(text) if name.sure >= 0.7 and name_of(name.text) in facts[id_]]
    if spelled:
        rarest = min(spelled, key=lambda name: (counts[name_of(name)], -len(name), name))
        return " ".join(rarest.split()[:_TERM_WORDS])
    words = [word for word in WORD.findall(text) if word.lower() not in STOP]
    return (
        " ".join(sorted(words, key=lambda word: (not any(map(str.isdigit, word)), -len(word), word))[:2])
        or text[:20]
    )
