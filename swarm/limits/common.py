"""What the lane of a model may have in common with those of other machines, as the lane sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

Tokens = Literal["input_tokens", "output_tokens", "tokens"]
TOKENS: tuple[Tokens, ...] = ("input_tokens", "output_tokens", "tokens")


class Common(Protocol):
    """See `swarm.limits.tap`."""

    @property
    def free(self) -> bool:
        """Whether there is a place for another call."""

    def wait(self, tokens: Mapping[Tokens, int]) -> float:
        """Seconds until a call that takes so much may leave: 0, or infinite until the lane is stirred."""

    def take(self, tokens: Mapping[Tokens, int]) -> Any:
        """Take what `wait` found to be there."""

    def tell(self) -> None:
        """Hear that the lane pauses, or that its provider is down."""

    def settle(self, drawn: Any, used: Mapping[Tokens, int]) -> None:
        """Put right what was taken, once, when a call is over."""
