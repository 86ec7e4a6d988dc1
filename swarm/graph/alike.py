"""Same or different: which findings say the same, and which of them stands for the others.

Two claims say the same when the words that carry their meaning are the same, or when both state the same value
of the same attribute of the same subject at the same time, with the same numbers, negations and names in their
claims. Likeness by MinHash was measured beside it and is not used: any word that differs may be the one that
matters (see docs/graph.md).

Who stands for others is the first in the order of the hashes of ids among those that say the same (the
lexicographically first maximal independent set): a function of the set of findings alone. Since hashes are a
random order, one finding more changes one such choice in expectation (Censor-Hillel, Haramaty and Karnin 2016,
"Optimal dynamic distributed MIS"), however large the graph is. This module knows claims and their structure; it
does not know how a graph is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from swarm.claims import Claim, read_claim, says_when
from swarm.graph.identity import name_of
from swarm.graph.values import Interval, Value, read_time, read_value
from swarm.names import names

_LONGEST_MOVE = 8  # words
_WORD, _ODD = 1 << 64, 0x9E3779B97F4A7C15
_LEAST_WORDS = 3  # beside numbers, for two claims in prose to be about the same


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a finding decides whether it says the same as another. `state` is empty where the finding has no
    subject, attribute and value; `slot` is its subject and attribute."""

    claim: Claim
    beside: tuple[str, ...]
    slot: tuple[str, str] | None
    state: tuple[str, ...]
    names: frozenset[str]
    when: Interval
    value: Value | None


@lru_cache(maxsize=16_384)
def facts_of(
    text: str, subject: str | None, attribute: str | None, value: str | None, unit: str | None, time: str | None
) -> Facts:
    """The facts of a finding."""
    claim = read_claim(text)
    when = read_time(time)
    beside = _unsaid(claim, value, unit, time, when)
    if not (subject and attribute and value):
        return Facts(claim, beside, None, (), frozenset(), when, None)
    slot = (name_of(subject), name_of(attribute))
    held = read_value(value, unit)
    state = (*slot, held.text, held.number, held.unit, *(when if when.start else (name_of(time or ""), "")))
    sure = frozenset(name_of(name.text) for name in names(text) if name.sure >= 0.7)
    return Facts(claim, beside, slot, state, sure, when, held)


def _unsaid(
    claim: Claim, value: str | None, unit: str | None, time: str | None, when: Interval
) -> tuple[str, ...]:
    """What the fields say and the words of the claim do not: it must be equal too."""
    if not (value or unit or time):
        return ()
    said = set(claim.words)
    extra = [word for field in (value, unit) if field for word in read_claim(field).words if word not in said]
    if time and not set(read_claim(time).words) <= said:
        extra += when if when.start else (name_of(time),)
    return tuple(extra)


def keys(facts: Facts, graph: int) -> tuple[int, ...]:
    """What a finding is kept under: two that say the same share a key."""
    words = _key(graph, "words", *sorted(facts.claim.words), *facts.beside)
    if not facts.state:
        return (words,)
    return words, _key(graph, "state", *facts.state, facts.claim.guard.hex())


def say_the_same(one: Facts, other: Facts) -> bool:
    """Whether two findings are one."""
    if one.beside == other.beside and same_claims(one.claim, other.claim):
        return True
    same_state = bool(one.state) and one.state == other.state
    return same_state and one.claim.guard == other.claim.guard and one.names == other.names


def same(one: str, other: str) -> bool:
    """Whether two claims say the same, as far as words can tell: when in doubt, they do not.

    Equal are the numbers, units, dates, names, negations and every other word that carries meaning; one run of
    words may stand at another place ("In 1812 it burnt", "It burnt in 1812").
    """
    return same_claims(read_claim(one), read_claim(other))


def same_claims(one: Claim, other: Claim) -> bool:
    if one.guard != other.guard:
        return False
    if one.words == other.words:
        return True
    if len(one.words) != len(other.words) or sorted(one.words) != sorted(other.words):
        return False
    return _one_run_moved(one.words, other.words)


def _one_run_moved(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether `other` is `one` with two neighbouring runs exchanged, the shorter of which leads or ends it."""
    start = 0
    while one[start] == other[start]:
        start += 1
    end = len(one)
    while one[end - 1] == other[end - 1]:
        end -= 1
    middle, moved = list(one[start:end]), list(other[start:end])
    if start > 0 and end < len(one):
        return False
    for cut in range(1, len(middle)):
        shorter = min(cut, len(middle) - cut)
        if shorter <= _LONGEST_MOVE and middle[cut:] + middle[:cut] == moved:
            runs = (middle[:cut], middle[cut:])  # of two that are as short, either may be what was moved
            if any(len(run) == shorter and says_when(run) for run in runs):
                return True
    return False


def _key(graph: int, *parts: str) -> int:
    text = "\0".join((str(graph), *parts)).encode("utf-8", "replace")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big", signed=True)


def slot_of(facts: Facts) -> int | None:
    """What findings on the same property of the same thing share; for prose, those whose claims differ in numbers,
    dates and negations at the most. The same in every graph."""
    if facts.slot is not None:
        return _key(0, "slot", *facts.slot)
    if len(facts.claim.words) - len(facts.claim.numbers) < _LEAST_WORDS:
        return None
    return _key(0, "theme", facts.claim.theme.hex())


def slot_key(slot: int, graph: int) -> int:
    """The key of a slot in one graph."""
    mixed = (slot + graph * _ODD) % _WORD
    return mixed - _WORD if mixed >= _WORD // 2 else mixed
