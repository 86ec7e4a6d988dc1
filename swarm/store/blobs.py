"""Bytes that machines share, by name: what is too large to travel with a slice travels as a reference to one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol


class Blobs(Protocol):
    """Of one store. Each is written once: whoever names it sees to it that the same name means the same bytes. All
    block, and may be called from any thread.

    Raises (any of its methods):
        StoreError: the store cannot be reached or written any more.
    """

    def put(self, blobs: Mapping[str, bytes]) -> None:
        """Keep them, durably. One whose name is taken is left as it is."""

    def get(self, names: Collection[str]) -> dict[str, bytes]:
        """Those that there are, by their names."""

    def missing(self, names: Collection[str]) -> set[str]:
        """The names under which nothing is kept."""

    def drop(self, names: Collection[str]) -> None:
        """Delete them. One that is gone is no error."""

    def close(self) -> None:
        """Let go of everything. Safe to call twice."""
