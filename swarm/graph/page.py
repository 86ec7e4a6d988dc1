"""A graph as one self-contained HTML page. (in the making)"""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from swarm.graph.graph import SharedGraph
from swarm.source import Span


def write_page(graph: SharedGraph, quote: Callable[[Span], tuple[str, str]], out: TextIO) -> None:
    raise NotImplementedError
