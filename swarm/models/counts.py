"""Counts that are kept, so that a step of a long conversation costs no more to count than what is new in it.

A text is known by a hash of it, a turn as long as it lives. This module knows no tokenizer and no format.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from weakref import ref

from swarm.prompts.acting import ActPrompt, Turn

_KEPT = 4_096


class Counts:
    """Tokens of texts and of turns, by `count` and `count_turn`. Not safe between threads."""

    def __init__(self, count: Callable[[str], int], count_turn: Callable[[Turn], int]) -> None:
        self._count, self._count_turn = count, count_turn
        self._texts: dict[bytes, int] = {}
        self._turns: dict[int, tuple[ref[Turn], int]] = {}
        self._totals: dict[tuple[str, tuple[str | int, ...]], int] = {}

    def text(self, text: str) -> int:
        key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        return self._known(key, lambda: text)

    def named(self, name: str, text: Callable[[], str]) -> int:
        """As `text`, of one that is known by a name and made only where it was not counted yet."""
        return self._known(name.encode(), text)

    def turn(self, turn: Turn) -> int:
        key = id(turn)
        known = self._turns.get(key)
        if known is None or known[0]() is not turn:
            known = ref(turn, lambda _: self._turns.pop(key, None)), self._count_turn(turn)
            self._turns[key] = known
        return known[1]

    def turns(self, prompt: ActPrompt) -> int:
        """All turns of a step: those of the step before, which were counted then, and the last one. Where no chain
        names them, one by one."""
        if not prompt.chain or not prompt.turns:
            return sum(map(self.turn, prompt.turns))
        key = prompt.chain, prompt.form
        total = self._totals.get(key)
        if total is None:
            before = self._totals.get((prompt.before, prompt.form)) if len(prompt.turns) > 1 else 0
            if before is None:
                before = sum(map(self.turn, prompt.turns[:-1]))
            if len(self._totals) >= _KEPT:
                del self._totals[next(iter(self._totals))]
            total = self._totals[key] = before + self.turn(prompt.turns[-1])
        return total

    def forget(self) -> None:
        """Count everything anew: the counter has learnt something."""
        self._texts.clear()
        self._turns.clear()
        self._totals.clear()

    def _known(self, key: bytes, text: Callable[[], str]) -> int:
        tokens = self._texts.get(key)
        if tokens is None:
            if len(self._texts) >= _KEPT:
                del self._texts[next(iter(self._texts))]
            tokens = self._texts[key] = self._count(text())
        return tokens
