"""The ledger of a slice: what was decided on its way, from the journal where it is there, else for the journal.

    room      the tokens of material of a sub-agent (`work:` and the slice in its key)
    checked   what a program found wrong with a result; nothing where it found nothing
    looked    the passages that a sub-agent asked to have shown to its successor

The first is recorded before its prompt is asked; the others with what becomes of the slice: without that they are
of no use.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from swarm.coordinator.desk import Desk
from swarm.coordinator.show import room
from swarm.source import Passage, Span
from swarm.store.journal import Entry


class SliceLedger:
    """Of one slice, the `tries`-th time that it is worked after it failed."""

    def __init__(self, desk: Desk, slice_: str, tries: int) -> None:
        self._desk, self._slice, self._tries = desk, slice_, tries
        self._of = f"{slice_}:{tries}" if tries else slice_
        self._entries: list[Entry] = []

    def entries(self) -> list[Entry]:
        """What is to be recorded, once."""
        entries, self._entries = self._entries, []
        return entries

    def handoff(self, leg: int) -> str:
        """The key of a handoff."""
        return f"{self._slice}:{leg}:{self._tries}" if self._tries else f"{self._slice}:{leg}"

    async def room(self, name: str, tokens: Callable[[], int]) -> int:
        return await room(self._desk, f"work:{self._of}:{name}", tokens)

    def beyond(self, name: str) -> bool:
        journal, run = self._desk.journal, self._desk.run
        if self._desk.session == 1 and self._desk.recorded is None:
            return False
        of, _, number = name.partition("#")
        names = (f"work:{self._of}:{of}#{n}" for n in (int(number) + 1, int(number) + 2))
        return any(journal.record(run, "room", one) is not None for one in names)

    async def checked(self, name: str, check: Callable[[], Awaitable[str | None]]) -> str | None:
        desk, key = self._desk, f"{self._of}:{name}"
        played = desk.recorded is not None and not desk.recorded.checks  # else the program is there
        look = played or (desk.recorded is None and desk.session > 1)
        record = desk.journal.record(desk.run, "checked", key) if look else None
        if record is not None:
            said: str | None = record.body["wrong"]
        elif played:
            said = None
        else:
            said = await check()
        if said is not None:
            self._entries.append(Entry(kind="checked", key=key, body={"wrong": said}))
        return said

    def looked_up(self, leg: int, look: Callable[[], Sequence[Passage]]) -> Sequence[Passage]:
        desk, key = self._desk, f"{self._of}:{leg}"
        record = desk.journal.record(desk.run, "looked", key) if desk.session > 1 or desk.recorded else None
        if record is not None:
            found: Sequence[Passage] = desk.library.passages_in(
                [Span(*span) for span in record.body["spans"]], desk.paths
            )
        else:
            found = look()
        self._entries.append(Entry(kind="looked", key=key, body={"spans": [list(one.span) for one in found]}))
        return found
