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


class Weighed(NamedTuple):
    """As `Signals`, for a finding among others: what its reader thought of it (`relevance`, its logit, and
    relative to the best), what its own words and its title cover, and how it hangs together with the rest: `link`
    is the probability of the best finding that names what this one is about, `gain` how much of what that one left
    open this one covers, `shared` the probability of the best finding with which it shares a rare name, and
    `asked` how much of a follow-up question it covers.
    """

    around: float
    lead: float
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
    left: float
    nested: float
    gain: float
    shared: float
    asked: float


ANSWER = Weighed(
    around=0.34, lead=0.73, relative=2.08, own=1.81, dense=1.89, title=0.55, pairs=0.11, named=2.71,
    named_share=1.09, names=0.80, all=1.63, kind=0.33, link=1.97, left=0.25, nested=1.84, gain=2.08,
    shared=1.50, asked=0.87,
)  # fmt: skip
ANSWER_BIAS = -7.48


def probability(signals: tuple[float, ...], weights: tuple[float, ...], bias: float) -> float:
    """The logistic of the weighted sum."""
    total = bias + sum([s * w for s, w in zip(signals, weights, strict=True)])
    return 1.0 / (1.0 + math.exp(-total))
