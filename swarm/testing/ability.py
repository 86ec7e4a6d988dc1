"""How well a simulated model reads: what it overlooks, and what it quotes that is not there.

Every choice is a throw of dice that a line, the request around it, how often that came before, and a seed decide:
a run that is made again reads the same, and a request that is sent again is another throw. This module knows no
prompt and no format.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b

_TOKEN_CHARS = 4  # characters of a token, about: what is long need not be exact
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ability:
    """`recall` is the share of the lines that bear on the question which are reported; `fabricates` the share of
    what is reported whose quote is altered, so that it stands nowhere in the text. Both are from 0 to 1.

    `forgets_middle` is how much of the recall is lost in the middle of a prompt of `long_tokens` or more, from 0
    to 1; a shorter prompt loses less, and nothing is lost at the beginning and the end of one.
    """

    recall: float = 1.0
    fabricates: float = 0.0
    forgets_middle: float = 0.0
    long_tokens: int = 100_000
    most_findings: int | None = None
    """Findings of one reply, the best ones. None: as many as are asked for."""

    def __post_init__(self) -> None:
        for name in ("recall", "fabricates", "forgets_middle"):
            if not 0 <= (share := getattr(self, name)) <= 1:
                raise ValueError(f"{name} is {share}: give a share from 0 to 1")

    @property
    def perfect(self) -> bool:
        """Whether nothing that was noticed is overlooked, and nothing made up."""
        return self.recall == 1 and self.fabricates == 0 and self.forgets_middle == 0

    def recall_at(self, place: float, chars: int) -> float:
        """The recall at `place` (0: the beginning, 1: the end) of a prompt of so many characters."""
        long = min(1.0, chars / _TOKEN_CHARS / max(1, self.long_tokens))
        middle = 4 * place * (1 - place)
        return self.recall * (1 - self.forgets_middle * middle * long)


PERFECT = Ability()


@dataclass(frozen=True, slots=True)
class Reader:
    """One reading of one prompt, by somebody of that ability. `seed` names the reading."""

    text: str
    ability: Ability = PERFECT
    seed: str = ""

    def notices(self, line: str, at: int) -> bool:
        """Whether a line that begins at that character of the prompt is reported."""
        if self.ability.perfect:
            return True
        length = max(1, len(self.text))
        return self._dice("notice", line, at) < self.ability.recall_at(at / length, length)

    def quoted(self, line: str, at: int) -> str:
        """The line as it is quoted: itself, or words that stand nowhere in the prompt."""
        if self._dice("quote", line, at) >= self.ability.fabricates:
            return line
        return altered(line, self.text)

    def _dice(self, purpose: str, line: str, at: int) -> float:
        """From 0 to 1, below 1."""
        words = f"{purpose}\0{self.seed}\0{at}\0{line}".encode()
        return int.from_bytes(blake2b(words, digest_size=8).digest(), "big") / 2**64


def altered(line: str, text: str) -> str:
    """The line with one figure or word changed, as a model that misremembers writes it: it is not in `text`."""
    changed = _NUMBER.sub(lambda number: str(int(number[0][-9:]) + 7), line, count=1)
    if changed == line:
        words = list(_WORD.finditer(line))
        after = words[len(words) // 2].end() if words else len(line)
        changed = f"{line[:after]} reportedly{line[after:]}"
    while changed in text:
        changed += " indeed"
    return changed
