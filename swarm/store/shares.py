"""What machines share limits by: small states by name on the store's server, changed by one machine at a time.

A step looks at a state and the facts beside it, and says what the state is from then on and what comes of it. It
is a plain function, and may be taken again where nobody knows whether it was taken: it must come to the same then,
or to something as good. Machines of one store know of each other here; those of another do not. What the states
mean is not known here (`swarm.limits.stock`, `swarm.limits.flow`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

State = dict[str, Any]
"""As JSON has it; empty where there is none yet, and gone once it is empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Paid:
    """What a run has paid for, or may have. `units` are millionths of a millionth of a dollar."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    units: int = 0


class Facts(Protocol):
    """What the server knows while a state is changed."""

    @property
    def now(self) -> float:
        """Seconds since the epoch, by the server's clock."""

    def gone(self, holders: Collection[str]) -> set[str]:
        """Those for whom no connection answers any more (`Shares.attend`)."""

    def paid(self, run: str) -> Paid:
        """What the journal has of a run: all outcomes that are durable."""

    def in_doubt(self, run: str) -> Paid:
        """The most that the calls of a run come to that were begun and have no outcome; tokens all as input. It
        takes a look at each call of the run."""


Step = Callable[[State, Facts], tuple[State, T]]


class Shares(Protocol):
    """Of one store.

    Raises (any of its methods):
        StoreError: the store cannot be reached or written any more.
    """

    async def change(self, name: str, step: Step[T]) -> T:
        """Take a step, durably; it runs on another thread. What waits is done together."""

    def change_sync(self, name: str, step: Step[T]) -> T:
        """As `change`, and blocks."""

    def attend(self, holder: str) -> None:
        """Answer for a holder for as long as this is open and its process lives. Blocks."""

    def close(self) -> None:
        """Let go of everything. Safe to call twice."""
