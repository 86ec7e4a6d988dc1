"""The ledger of a slice: what was decided on its way, from the journal where it is there, else for the journal.

    room      the tokens of material of a sub-agent (`work:` and the slice in its key)
    checked   what a program found wrong with a result; nothing where it found nothing
    looked    the passages that a sub-agent asked to have shown to its successor
    tool      what a tool gave, of which tool, and how many seconds it took
    ran       what the user's code came to
    landing   the commit that a branch is about to be moved to
    landed    what became of work that was to land

`checked` and `looked` are recorded with what becomes of the slice: without that they are of no use. The others are
there before anyone goes by them: what they tell of has happened, and is not to happen again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from swarm.coordinator.desk import Desk
from swarm.coordinator.show import room
from swarm.errors import CallFailed
from swarm.prompts.replies import WorkReply
from swarm.source import Passage, Span
from swarm.store.journal import Entry, Record
from swarm.worker.ledger import Landing


class SliceLedger:
    """Of one slice, the `tries`-th time that it is worked after it failed. `again`: this process may have been at
    it before; `moved`: so may another."""

    def __init__(self, desk: Desk, slice_: str, tries: int, *, again: bool = False, moved: bool = False) -> None:
        self._desk, self._slice, self._tries = desk, slice_, tries
        self._of = f"{slice_}:{tries}" if tries else slice_
        self._moved = moved or desk.session > 1
        self._again = again or self._moved or desk.recorded is not None
        self._entries: list[Entry] = []
        self._kept: set[tuple[str, str]] = set()  # by this process
        self._at: dict[str, str] = {}  # where what a tool gave is kept, if not under the name it was told under

    def entries(self) -> list[Entry]:
        """What is to be recorded, once."""
        entries, self._entries = self._entries, []
        return entries

    def add(self, entries: Iterable[Entry]) -> None:
        """What is to be recorded as well, since it was decided elsewhere."""
        self._entries += entries

    def handoff(self, leg: int) -> str:
        """The key of a handoff."""
        return f"{self._slice}:{leg}:{self._tries}" if self._tries else f"{self._slice}:{leg}"

    async def room(self, name: str, tokens: Callable[[], int]) -> int:
        return await room(self._desk, f"work:{self._of}:{name}", tokens)

    def beyond(self, name: str) -> bool:
        journal, run = self._desk.journal, self._desk.run
        if not self._moved and self._desk.recorded is None:
            return False
        of, _, number = name.partition("#")
        names = (f"work:{self._of}:{of}#{n}" for n in (int(number) + 1, int(number) + 2))
        return any(journal.record(run, "room", one) is not None for one in names)

    async def checked(self, name: str, check: Callable[[], Awaitable[str | None]]) -> str | None:
        desk, key = self._desk, f"{self._of}:{name}"
        played = desk.recorded is not None and not desk.recorded.checks  # else the program is there
        look = played or (desk.recorded is None and self._moved)
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

    async def called(
        self, ref: str, tool: str, make: Callable[[bool], Awaitable[tuple[str, bool]]], of: str = ""
    ) -> tuple[str, bool]:
        at, others = self._at.get(ref, ref) if not of else ref, 0
        while (record := self._known("tool", at, ask=False)) is not None:
            if not of or record.body.get("of", of) == of:
                self._at[ref] = at
                return record.body["text"], bool(record.body.get("failed"))
            others += 1  # of a run that went on with other tools, or asks something else
            at = f"{ref}~{others}"
        self._known("tool", at)
        began = self._desk.clock()
        text, failed = await make(self._moved)
        seconds = round(self._desk.clock() - began, 3)
        body: dict[str, Any] = {"tool": tool, "text": text} | ({"failed": True} if failed else {})
        body |= ({"of": of} if of else {}) | ({"seconds": seconds} if seconds else {})
        await self._keep("tool", at, body)
        self._at[ref] = at
        return text, failed

    def begun(self, name: str) -> bool:
        return self._known("tool", f"{name}:0:0", ask=False) is not None

    async def ran(self, name: str, code: Callable[[], Awaitable[WorkReply]]) -> WorkReply:
        record = self._known("ran", name)
        if record is not None:
            return WorkReply.model_validate(record.body)
        reply = await code()
        await self._keep("ran", name, reply.model_dump(exclude_defaults=True))
        return reply

    async def landed(
        self, name: str, land: Callable[[str | None, Callable[[str], Awaitable[None]]], Awaitable[Landing]]
    ) -> Landing:
        record = self._known("landed", name)
        if record is not None:
            return Landing(**record.body)
        tried = 0
        before: str | None = None
        while (landing := self._known("landing", f"{name}:{tried}", ask=False)) is not None:
            before, tried = landing.body["commit"], tried + 1

        async def about_to(commit: str) -> None:
            nonlocal tried
            await self._keep("landing", f"{name}:{tried}", {"commit": commit})
            tried += 1

        landing_ = await land(before, about_to)
        await self._keep("landed", name, asdict(landing_))
        return landing_

    def _known(self, kind: str, name: str, *, ask: bool = True) -> Record | None:
        """What the journal has of an earlier time.

        Raises:
            CallFailed: in a replay there is nothing, though it is needed: the process died before.
        """
        desk = self._desk
        if not self._again and (kind, name) not in self._kept:
            return None
        record = desk.journal.record(desk.run, kind, f"{self._of}:{name}")
        if record is None and desk.recorded is not None and ask:
            raise CallFailed("it had not happened when it was recorded")
        return record

    async def _keep(self, kind: str, name: str, body: dict[str, Any]) -> None:
        await self._desk.journal.append(self._desk.run, Entry(kind=kind, key=f"{self._of}:{name}", body=body))
        self._kept.add((kind, name))

    def result(self, ref: str) -> str | None:
        """The whole of what a tool gave, by the name that its sub-agent was told."""
        record = self._desk.journal.record(self._desk.run, "tool", f"{self._of}:{self._at.get(ref, ref)}")
        return str(record.body["text"]) if record is not None else None

    async def looked_up(self, leg: int, look: Callable[[], Awaitable[Sequence[Passage]]]) -> Sequence[Passage]:
        desk, key = self._desk, f"{self._of}:{leg}"
        record = desk.journal.record(desk.run, "looked", key) if self._moved or desk.recorded else None
        if record is not None:
            found: Sequence[Passage] = desk.library.passages_in(
                [Span(*span) for span in record.body["spans"]], desk.paths
            )
        else:
            found = await look()
        self._entries.append(Entry(kind="looked", key=key, body={"spans": [list(one.span) for one in found]}))
        return found
