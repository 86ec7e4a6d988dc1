"""The extractive model: a reader without a language model.

In reading order: `sentences`, `records` and `code` cut text into what can be quoted, `units` chooses between them;
`kinds` and `query` take a question apart; `signals` holds what is measured and its weights, `rank`
measures sentences for `read`; `evidence` weighs and links what was found, `judge` and `answer` work on that,
`short` finds the few words; `compare` says where two sentences cannot both hold; `centrality` and `digest` are
for reading without a question; `plan`; and `model` is the whole.
"""

from __future__ import annotations

from swarm.models.extractive.model import Extractive

__all__ = ["Extractive"]
