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
    own=2.0, dense=1.0, title=1.8, near=1.0, rest=0.8, pairs=1.0, search=1.0, named=1.5, named_share=2.0,
    names=1.0, all=1.0, first=0.2, short=-1.0, kind=0.3,
)  # fmt: skip
READ_BIAS = -5.0


class Weighed(NamedTuple):
    """As `Signals`, for a finding among others: what its reader thought of it (`relevance`, its logit, and
    relative to the best), what its own words and its title cover, and how it hangs together with the rest: `link`
    is the probability of the best finding that names what this one is about, `gain` how much of what that one left
    open this one covers, `shared` the probability of the best finding with which it shares a rare name, and
    `asked` how much of a follow-up question it covers.
    """

    relevance: float
    logit: float
    relative: float
    own: float
    dense: float
    title: float
    pairs: float
    named: float
    named_share: float
    names: float
    all: float
    kind: float
    link: float
    gain: float
    shared: float
    asked: float


ANSWER = Weighed(
    relevance=2.0, logit=2.0, relative=1.0, own=0.5, dense=0.5, title=0.5, pairs=0.5, named=1.0, named_share=1.0,
    names=0.5, all=0.5, kind=0.3, link=3.0, gain=2.0, shared=0.5, asked=0.5,
)  # fmt: skip
ANSWER_BIAS = -4.0


def probability(signals: tuple[float, ...], weights: tuple[float, ...], bias: float) -> float:
    """The logistic of the weighted sum."""
    total = bias + sum([s * w for s, w in zip(signals, weights, strict=True)])
    return 1.0 / (1.0 + math.exp(-total))
