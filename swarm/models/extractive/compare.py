"""Whether two sentences can both hold, as far as words can tell: the same sentence but for a negation, or but
for one measured quantity, contradicts. Anything else may be about something else, and is left to stand.
"""

from __future__ import annotations

from swarm.claims import Claim, read_claim
from swarm.models.extractive.digest import is_prose
from swarm.prompts.replies import CompareReply, Judged
from swarm.prompts.typed import ComparePrompt

_NEGATIONS = frozenset({"not", "no", "never"})


def compare(prompt: ComparePrompt) -> CompareReply:
    pairs = zip(prompt.shown[::2], prompt.shown[1::2], strict=True)
    return CompareReply(
        pairs=[
            Judged(pair=number, verdict="contradicts" if _contradict(one, other) else "compatible")
            for number, (one, other) in enumerate(
                ((one.finding.claim, other.finding.claim) for one, other in pairs), start=1
            )
        ]
    )


def _contradict(said: str, also: str) -> bool:
    one, other = read_claim(said), read_claim(also)
    if one.theme != other.theme or not (is_prose(said) and is_prose(also)):
        return False
    if sorted(one.numbers) == sorted(other.numbers):
        return _negated(one) != _negated(other)
    return _negated(one) == _negated(other) and _one_quantity_differs(one.numbers, other.numbers)


def _negated(claim: Claim) -> bool:
    return sum(word in _NEGATIONS for word in claim.words) % 2 == 1


def _one_quantity_differs(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether all numbers and dates are the same but for one quantity, whose unit is the same."""
    differing = [(a, b) for a, b in zip(one, other, strict=False) if a != b]
    if len(one) != len(other) or len(differing) != 1:
        return False
    units = [number.partition(" ")[2] for number in differing[0]]
    return units[0] == units[1] != ""
