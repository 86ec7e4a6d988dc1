"""Two runs beside one another: what they were asked, say, found, read, cost and took."""

from __future__ import annotations

from swarm.inspect.diff.between import LIMIT, diff
from swarm.inspect.diff.parts import Difference

__all__ = ["LIMIT", "Difference", "diff"]
