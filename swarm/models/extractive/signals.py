"""What speaks for a sentence as evidence, as numbers, and the weights that turn them into a probability.

The weights were fitted by logistic regression (see docs/models/extractive.md for the data and the figures), so
that a relevance means the same in every slice: the share of sentences with such signals whose passage holds
evidence. This module knows no passage and no question, only numbers about them.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Signals(NamedTuple):
    """Shares are parts of the question's weight, from 0 to 1.

    What the sentence's own words cover (`own`, and `dense`, where long sentences count less); what its title
    covers beyond that; what the sentences beside it and the rest of its passage cover beyond these; neighbouring
    words of the question that stand together; the passage's BM25; whether its title is spoken in the question
    (`named`, and `named_share`, by weight); how much of the question's names and how much of everything is
    covered (squared); whether it is the first of its record, whether it is very short, and whether it holds the
    kind of thing that is asked for.
    """

    own: float
    dense: float
    title: float
    near: float
    rest: float
    pairs: float
    search: float
    named: float
    named_share: float
    names: float
    all: float
    first: float
    short: float
    kind: float


READ = Signals(
    own=2.39, dense=0.97, title=1.42, near=2.10, rest=1.51, pairs=0.98, search=3.36, named=2.34,
    named_share=1.65, names=1.64, all=1.43, first=0.02, short=-2.82, kind=0.57,
)  # fmt: skip
READ_BIAS = -9.81


class Direct(NamedTuple):
    """What speaks for a finding by itself: as in `Signals`, and what the other findings of its page cover beyond
    it (`page`), and how much more its reader thought of it than can be seen here (`around`)."""

    own: float
    dense: float
    title: float
    page: float
    pairs: float
    named: float
    named_share: float
    names: float
    all: float
    short: float
    kind: float
    around: float


DIRECT = Direct(
    own=2.29, dense=2.13, title=0.72, page=0.80, pairs=0.85, named=2.58, named_share=0.97, names=2.02, all=1.52,
    short=-2.00, kind=0.08, around=0.64,
)  # fmt: skip
DIRECT_BIAS = -6.68


class Linked(NamedTuple):
    """What speaks for a finding because others lead to it.

    `link` is how strong the best finding is that names what this one is about, against the best of all; `left` how
    much of the question that one left open, `gain` how much of this part the finding covers; `few` is high where
    few findings have the same title; `shared` is the best finding with which it shares a rare name; `nested` how
    much the question looks like one of several steps, `best` how probable the best finding is by itself; `led`
    tells that a follow-up question names it; `own` and `kind` are as in `Signals`.
    """

    link: float
    left: float
    gain: float
    few: float
    shared: float
    nested: float
    best: float
    led: float
    own: float
    kind: float


LINKED = Linked(
    link=1.22, left=-0.37, gain=1.06, few=2.16, shared=2.32, nested=0.79, best=1.86, led=0.13, own=0.67, kind=0.72,
)  # fmt: skip
LINKED_BIAS = -7.56


USUAL, BRIEF, SHORT = 25, 10, 5
"""Words of a usual sentence, of one as short as need be, and of one that says little on its own."""

PER_WORD, WORDS = 0.21, 10
"""What the log-odds gain for each word of a question, up to so many: a long one is seldom covered as fully."""


def density(words: int) -> float:
    """What the length of a sentence makes of the words that it covers: 1 for a usual one (as in BM25)."""
    return 2.2 / (1 + 1.2 * (0.25 + 0.75 * max(words, BRIEF) / USUAL))


def probability(signals: tuple[float, ...], weights: tuple[float, ...], bias: float) -> float:
    """The logistic of the weighted sum."""
    total = bias + sum([s * w for s, w in zip(signals, weights, strict=True)])
    return 1.0 / (1.0 + math.exp(-total))
