"""Does the work still lead anywhere? Measures of stagnation and of loops, which no opinion can talk away.

`Progress` looks at rounds of planning, `Repeats` at what the sub-agents of one slice hand to one another. Both
know nothing but what they were told, in order: told the same again, when a run goes on, they say the same. Pure.
"""

from __future__ import annotations

import math
import re
from collections import Counter, deque
from collections.abc import Iterable
from hashlib import blake2b

from swarm.errors import UsageError
from swarm.graph.identity import normal_form

_SHINGLE = 5  # words; a change of one word changes five of them
_ALIKE = 0.9  # of the shingles of two texts that they share (Jaccard)
_REMEMBERED = 64  # texts are held against a new one; exact repetitions are found however long ago
_TOLD_CHARS = 120
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


class Progress:
    """Tells when a run, or a branch of it, should stop because it gets nowhere.

    A round of planning is progress if the score is better than ever; or if more slices are done and more is
    claimed than ever, or something new was let into the plan. It is none where all that was proposed is known, nor
    where what is said to be missing was all said to be missing before, though slices were done since: the plan
    goes in a circle. `patience` is how many rounds in a row may be none; then it is time to stop.
    """

    def __init__(self, patience: int = 3) -> None:
        if patience < 1:
            raise UsageError(f"patience is {patience}: one round of planning at the least")
        self._patience = patience
        self._idle = self._done = self._claims = 0
        self._score = -math.inf
        self._named: dict[bytes, int] = {}  # what was said to be missing, and how many slices were done then

    def round(
        self,
        *,
        done: int,
        claims: int,
        score: float | None,
        proposed: int,
        admitted: int,
        missing: Iterable[str] = (),
    ) -> str | None:
        """None: go on. Else why to stop, in words. All counts are of the run so far but `proposed` and `admitted`,
        which are of this round; a higher `score` is better, None where nothing is measured."""
        again = self._again(done, list(missing))
        known = proposed > 0 and admitted == 0
        better = score is not None and score > self._score
        more = done > self._done and claims > self._claims
        progress = better or (not known and again is None and (more or admitted > 0))
        self._done, self._claims = max(self._done, done), max(self._claims, claims)
        if score is not None and better:
            self._score = score
        self._idle = 0 if progress else self._idle + 1
        if self._idle < self._patience:
            return None
        if again is not None:
            return f"the same is asked for again: {_clipped(again)}"
        rounds = f"{self._idle} rounds" if self._idle > 1 else "1 round"
        if known:
            why = f"all that was proposed is known ({done:,} slices done, {claims:,} claims)"
        else:
            why = f"still {done:,} slices done and {claims:,} claims, and nothing new to do"
        measured = f", and a score of {self._score:g} at the best" if self._score > -math.inf else ""
        return f"no progress in {rounds} of planning: {why}{measured}"

    def _again(self, done: int, missing: list[str]) -> str | None:
        """What is missing, if all of it was named before and slices were done since; all of it is remembered."""
        forms = {_form(text): text for text in missing if text.strip()}
        before = [self._named.get(form) for form in forms]
        for form in forms:
            self._named.setdefault(form, done)
        if not forms or any(at is None or at >= done for at in before):
            return None
        return next(iter(forms.values()))


class Repeats:
    """Notices when the sub-agents of one slice say again what one of them said before."""

    def __init__(self) -> None:
        self._forms: set[bytes] = set()
        self._shingles: deque[tuple[Counter[str], frozenset[int]]] = deque(maxlen=_REMEMBERED)

    def seen(self, *texts: str) -> bool:
        """Whether these, together, were said before: in the same words, or nearly so and with the same numbers. A
        counter that moved on is progress, though nothing else did. They are remembered."""
        form = _form(*texts)
        if form in self._forms:
            return True
        self._forms.add(form)
        words = " ".join(normal_form(text) for text in texts).casefold().split()
        numbers = Counter(_NUMBER.findall(" ".join(words)))
        shingles = frozenset(hash(tuple(words[at : at + _SHINGLE])) for at in range(len(words) - _SHINGLE + 1))
        alike = any(numbers == others and _likeness(shingles, known) >= _ALIKE for others, known in self._shingles)
        self._shingles.append((numbers, shingles))
        return alike


def _likeness(one: frozenset[int], other: frozenset[int]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if shared else 0.0


def _form(*texts: str) -> bytes:
    return blake2b("\0".join(normal_form(text).casefold() for text in texts).encode("utf-8", "replace")).digest()


def _clipped(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _TOLD_CHARS else plain[: _TOLD_CHARS - 1] + "…"
