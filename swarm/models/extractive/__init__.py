"""The extractive model: a reader without a language model.

In reading order: `sentences` and `records` cut text into what can be quoted, `units` chooses between them; `query`
takes a question apart and `rank` scores units for it; `evidence` links findings, `judge` and `answer` work on
them; `centrality` and `digest` are for reading without a question; `plan`; and `model` is the whole.
"""

from __future__ import annotations

from swarm.models.extractive.model import Extractive

__all__ = ["Extractive"]
