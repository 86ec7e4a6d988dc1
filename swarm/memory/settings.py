"""How a memory reads and consolidates: models, limits, what else is searched. Plain frozen data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarm.models.base import Model
from swarm.task import Limits

if TYPE_CHECKING:
    from swarm.events import Event
    from swarm.index.base import Embed, Index


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How a memory reads and consolidates. `flush_tokens`: `remember` reads what is unread once it passes this
    many o200k tokens; None: never, `flush` is called by hand. `limits` hold for each `flush` and each `dream`."""

    model: Model
    reader: Model
    embed: Embed | None = None
    index: Index | None = None
    limits: Limits = field(default_factory=Limits)
    concurrency: int | None = None
    flush_tokens: int | None = None
    on_event: Callable[[Event], None] | None = None

    @property
    def reads(self) -> bool:
        """Whether a language model reads the messages; else facts are taken from their words."""
        return not self.reader.name.startswith("extractive")
