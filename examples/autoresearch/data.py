"""The text that is learnt, and how it is read. Not to be changed by experiments.

It is the prose of Swarm's own documentation. Every tenth block of 1,000 characters is held out: what is learnt
from the others is measured there.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ALPHABET = " abcdefghijklmnopqrstuvwxyz.,;:'()-/0"
_BLOCK = 1_000
_EVERY = 10


def load() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The text to learn from and the text that is held out, as numbers of characters in `ALPHABET`."""
    text = " ".join(Path(__file__).with_name("text.txt").read_text("utf-8").lower().split())
    known = {character: number for number, character in enumerate(ALPHABET)}
    codes = np.array([known["0"] if one.isdigit() else known.get(one, 0) for one in text])
    held_out = np.arange(len(codes)) // _BLOCK % _EVERY == _EVERY - 1
    return codes[~held_out], codes[held_out]
