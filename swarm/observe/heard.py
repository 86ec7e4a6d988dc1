"""What is told of a run to whoever listens to it, in as few words as that takes. This module knows no listener."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from swarm.task import Usage

if TYPE_CHECKING:
    from swarm.events import Event
    from swarm.task import Task

T = TypeVar("T")
Emit = Callable[["Event"], None]
Told = Callable[[T], T]
"""Is handed what came of something, and hands it back."""


class Named(Protocol):
    @property
    def name(self) -> str: ...


class Begun(Protocol):
    """A session of a run that has begun."""

    session: int

    @property
    def task(self) -> Task: ...
    @property
    def model(self) -> Named: ...
    @property
    def reader(self) -> Named: ...


class Sent(Protocol):
    """A call that is to be sent: its `key` in the journal, what is asked of which model, and the most that one try
    can come to."""

    @property
    def key(self) -> str: ...
    @property
    def model(self) -> Any: ...
    @property
    def prompt(self) -> Any: ...
    @property
    def worst(self) -> Usage: ...


class Tried(Protocol):
    """A call that is being made."""

    def failed(self, error: BaseException, usage: Usage) -> object:
        """A try came to nothing; `usage` is what it may have cost."""

    def opened(self) -> object:
        """It is sent."""


under_way: ContextVar[Tried | None] = ContextVar("swarm_call_under_way", default=None)
"""The call that is being made, where somebody listens."""
