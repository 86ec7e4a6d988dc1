"""A memory mirrored into a folder of Markdown files under git, and what a person edits there read back.

    done = await mirror(memory, "notes/anna")        # again whenever you like: it does what is left to do

    README.md                       what there is
    blocks/NAME.md                  a block each, to be edited as it stands
    facts/SUBJECT.md                what holds, a line each, with dates and what it rests on; history folded below
    facts/2026-05.md                what was said that month and is about no one thing
    messages/2026/2026-05-31.md     what was said that day; messages/0000001-0000500.md where nobody said when

The same memory makes the same files, and only those that changed are written and committed. Edits are read first,
committed as they were found, and brought into the memory; so nothing that a person wrote is lost. Pages follow
what changed since the last time; after something was forgotten all of them are made anew. What was mirrored stays
in the history of the folder's repository, also when the memory forgets it. This module wires `checkout`, `edits`
and `contents`, and decides in which order.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from swarm.errors import UsageError
from swarm.memory.checkout import Checkout, open_checkout
from swarm.memory.contents import Contents, Cursor
from swarm.memory.edits import Edit, Outcome, read_in

if TYPE_CHECKING:
    from swarm.memory.memory import Memory


@dataclass(frozen=True, kw_only=True, slots=True)
class Mirrored:
    """What one sync came to. `written` and `removed` are pages of the memory, by their paths; `taken` says what of
    a person's edits is in the memory now, and `told` what is not and why, a line each. `commit` is the commit of
    the mirror, and `edits` the one that holds the edits as they were found; None where there was nothing to
    commit."""

    folder: str
    written: tuple[str, ...]
    removed: tuple[str, ...]
    taken: tuple[str, ...]
    told: tuple[str, ...]
    commit: str | None
    edits: str | None


async def mirror(memory: Memory, folder: Path | str, *, today: date | None = None) -> Mirrored:
    """Read back what a person edited in the folder, and bring the folder up to the memory. `today` dates what they
    say of facts (None: the day it is).

    Raises:
        UsageError: the folder holds other things, mirrors another memory, or cannot be used.
    """
    day = (today or date.today()).isoformat()
    async with open_checkout(Path(folder)) as checkout:
        whose = checkout.state.get("memory")
        if whose is not None and whose != memory.name:
            raise UsageError(f"{folder} mirrors the memory {whose!r}: give {memory.name!r} a folder of its own")
        edits, outcome = await _edits(checkout)
        for edit in edits:
            await read_in(memory, edit, day, outcome)
        found = {edit.path: edit.before for edit in edits if edit.path not in outcome.left}
        kept = await checkout.commit(f"Edits by hand in the mirror of {memory.name}\n", found) if found else None
        if kept is not None and outcome.told:
            outcome.told.append(f"whatever is not taken stays in the commit {kept[:12]} of the mirror")
        made = await _brought_up(memory, checkout, found)
        return Mirrored(
            folder=str(checkout.folder),
            written=tuple(sorted(made.written)),
            removed=tuple(sorted(made.removed)),
            taken=tuple(outcome.taken),
            told=tuple(outcome.told),
            commit=made.commit,
            edits=kept,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Made:
    written: set[str]
    removed: set[str]
    commit: str | None


async def _edits(checkout: Checkout) -> tuple[list[Edit], Outcome]:
    edits, outcome = [], Outcome()
    for path in await checkout.edited():
        before = await checkout.mirrored(path)
        try:
            after = await asyncio.to_thread(checkout.page, path)
        except UsageError as error:
            outcome.told.append(f"{error}: it is not read back")
            if before is None:
                continue
            after = before
        if before != after:
            edits.append(Edit(path=path, before=before, after=after))
    return edits, outcome


async def _brought_up(memory: Memory, checkout: Checkout, edited: dict[str, str | None]) -> _Made:
    now = await asyncio.to_thread(Cursor.of, memory)
    before = Cursor.from_state(checkout.state)
    since = before if before is not None and before.leads_to(now, memory) else None
    mirrored = await checkout.pages("blocks" if since is not None else "")
    contents = Contents(memory, checkout, since, edited)
    await asyncio.to_thread(contents.write, mirrored)
    for path, text in edited.items():  # what the memory has not changed is as it was mirrored
        if path not in contents.made and path not in contents.removed and text is not None:
            await asyncio.to_thread(contents.put, path, text)
    changed = contents.written | contents.removed
    if not changed and before == now:
        return _Made(written=changed, removed=set(), commit=None)
    commit = await checkout.commit(now.told(before, memory.name), changed, now.state(memory.name))
    return _Made(written=contents.written, removed=contents.removed, commit=commit)


__all__ = ["Mirrored", "mirror"]
