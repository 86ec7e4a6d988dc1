"""Stories that say nothing, with a fact in their midst: what is asked of a long request in these tests."""

from __future__ import annotations

import random

FACT = "The passcode of the Meridian vault is 48213."
ASKS = "What is the passcode of the Meridian vault?"
_WORDS = (
    "ship harbour letter captain night river silver garden window market stone bread winter silent walked carried "
    "under before never between rope cellar apple lantern bridge candle orchard feather copper"
).split()


def story(words: int, seed: int = 0, fact: str = FACT) -> str:
    """Sentences that say nothing, and one in their midst that does."""
    dice = random.Random(seed)
    said: list[str] = []
    while words > 0:
        size = dice.randint(8, 16)
        words -= size
        said.append(" ".join(dice.choice(_WORDS) for _ in range(size)).capitalize() + ".")
        if dice.random() < 0.2:
            said.append("\n\n")
    said.insert(len(said) // 2, fact)
    return " ".join(said)


TWO_WINDOWS = story(32_000, seed=9)
"""Some 43,000 tokens, which is more than fits before the provider that all tests share."""
