"""The order in which work lands: a line, in which each piece is tried upon the ones before it.

Waiting for one check after the other would land one piece of work in the time of a check; checking all upon the
tip would have all but one of them checked again. So a piece is put upon the one before it as if that had landed,
and the checks run side by side; it lands when what it was checked upon has landed, as exactly that commit. Where a
piece before it fails, it is put upon another and checked again. So Zuul's gate does it (zuul-ci.org, "project
gating"), and Uber's SubmitQueue (Ananthanarayanan et al., "Keeping master green at scale", EuroSys 2019). As in
Zuul, fewer are tried ahead after one that failed, and more after one that landed.

This module knows commits by name, no git and no check. It is one process's own: what another process, or a person,
lands shows when the branch is moved by compare and swap."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass

LEAST_AHEAD = 2
MOST_AHEAD = max(4, 2 * (os.cpu_count() or 1))
"""Checks at a time. Most keep a core busy, so that more of them would be no faster, and reach their bounds."""


@dataclass(eq=False, slots=True)
class Candidate:
    """A piece of work in the line: `commit` is what would land `upon` another, where that is known by now."""

    commit: str | None = None
    upon: str | None = None
    landed: str | None = None


class Line:
    def __init__(self, *, speculate: bool) -> None:
        self.tip = ""
        """What landed last, as far as this process knows."""
        self._speculate = speculate
        self._ahead = MOST_AHEAD if speculate else 1
        self._line: list[Candidate] = []
        self._changed = asyncio.Event()

    def join(self, candidate: Candidate) -> None:
        self._line.append(candidate)

    def leave(self, candidate: Candidate) -> None:
        """It is in the line no more: nobody is tried upon it from now on."""
        if candidate in self._line:
            self._line.remove(candidate)
            self._tell()

    async def turn(self, candidate: Candidate) -> Candidate | None:
        """Wait until it is near enough to the front and the one before it has a commit: that one, or None at the
        front."""
        while True:
            place = self._line.index(candidate)
            if place == 0:
                return None
            if place < self._ahead and self._line[place - 1].commit is not None:
                return self._line[place - 1]
            await self._news()

    def place(self, candidate: Candidate, *, commit: str | None, upon: str | None) -> None:
        candidate.commit, candidate.upon = commit, upon
        self._tell()

    def stands(self, candidate: Candidate) -> bool:
        """Whether what it was put upon is still what comes before it."""
        place = self._line.index(candidate)
        return candidate.upon == (self._line[place - 1].commit if place else self.tip)

    async def overtaken(self, candidate: Candidate) -> None:
        """Return when it does not stand any more."""
        while self.stands(candidate):
            await self._news()

    async def first(self, candidate: Candidate) -> bool:
        """Wait until all before it have landed; False where it does not stand any more."""
        while self.stands(candidate):
            if self._line[0] is candidate:
                return True
            await self._news()
        return False

    async def landed(self, other: Candidate | None, commit: str) -> bool:
        """Wait until it is certain whether another lands as that commit. None: it has landed."""
        while other is not None and other.landed != commit:
            if other.commit != commit or other not in self._line:
                return False
            await self._news()
        return True

    def land(self, candidate: Candidate) -> None:
        """It has landed."""
        assert candidate.commit is not None
        self.tip = candidate.landed = candidate.commit
        if self._speculate:
            self._ahead = min(self._ahead + 1, MOST_AHEAD)
        self.leave(candidate)

    def failed(self) -> None:
        """A check said no: those behind are tried again."""
        if self._speculate:
            self._ahead = max(self._ahead // 2, LEAST_AHEAD)

    async def _news(self) -> None:
        await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


__all__ = ["LEAST_AHEAD", "MOST_AHEAD", "Candidate", "Line"]
