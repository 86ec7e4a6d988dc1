"""Why a run says what it says: from a sentence of its answer, or a finding, down to prompts and bytes."""

from __future__ import annotations

from swarm.inspect.why.parts import Why
from swarm.inspect.why.prompts import with_prompts
from swarm.inspect.why.way import LIMIT, why

__all__ = ["LIMIT", "Why", "why", "with_prompts"]
