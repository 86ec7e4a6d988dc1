"""How much is told at once: pages of lists, and texts that are clipped and say so. It knows no run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMED_CHARS = 400
"""Of a text in a list."""
TEXT_CHARS = 20_000
"""Of a text that is shown by itself."""


def page(offset: int, limit: int, most: int) -> tuple[int, int]:
    """Where a page begins, and how long it is at the most: what is asked for, within bounds."""
    return min(max(offset, 0), 1 << 40), min(max(limit, 0), most)


def short(text: str, most: int = NAMED_CHARS) -> str:
    """A text for a list; one that is cut ends in an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def clipped(texts: Mapping[str, str | None], most: int = TEXT_CHARS) -> dict[str, Any]:
    """Texts by their names, each `most` characters at the most; `clipped` says how much was left out of which."""
    told: dict[str, Any] = {name: text[:most] if text else text for name, text in texts.items()}
    left = {name: len(text) - most for name, text in texts.items() if text and len(text) > most}
    return told | ({"clipped": left} if left else {})
