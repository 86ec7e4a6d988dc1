"""How fast calls may leave: what the user said, in calls and tokens a minute. Plain data; nothing waits here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from swarm.task import Limits


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """What may be sent to one model in any 60 seconds. None means that only the provider's own limits hold, as far
    as its responses tell them; the lower of both counts."""

    requests_per_minute: int | None = None
    input_tokens_per_minute: int | None = None
    """Tokens of the prompts, as the provider counts them."""
    output_tokens_per_minute: int | None = None
    """Tokens of the replies, as the provider counts them."""

    @classmethod
    def of(cls, limits: Limits) -> Self:
        """The rates among the limits of a task."""
        return cls(
            requests_per_minute=limits.requests_per_minute,
            input_tokens_per_minute=getattr(limits, "input_tokens_per_minute", None),
            output_tokens_per_minute=getattr(limits, "output_tokens_per_minute", None),
        )


def lower(one: int | None, other: int | None) -> int | None:
    """The lower of two limits, where None is no limit."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
