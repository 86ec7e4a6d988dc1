"""What a person edited in a mirror, brought into the memory: blocks, and lines of facts.

Where the memory has changed what was edited, since it was mirrored, the memory's newer version stays and the edit
is told. An edit that the memory has already, as after a sync that was cut short, is taken in silence. This module
knows pages and memories, neither folders nor git.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from swarm.errors import UsageError
from swarm.graph.identity import name_of
from swarm.memory.pages import (
    Line,
    block_page,
    block_stem,
    block_text,
    escaped,
    fact_lines,
    plain,
    stem_of,
    subject_in,
)
from swarm.memory.slots import canonical, said

if TYPE_CHECKING:
    from swarm.memory.facts import Fact
    from swarm.memory.memory import Memory

ALONE = re.compile(r"\d{4}-\d\d|undated")
"""The names of pages whose facts have no subject."""
_SHOWN_CHARS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """A page that is not as it was mirrored. `before` is None for a page that a person wrote, and `after` for one
    that they removed."""

    path: str
    before: str | None
    after: str | None

    @property
    def stem(self) -> str:
        return PurePosixPath(self.path).stem


@dataclass(kw_only=True, slots=True)
class Outcome:
    """What came of edits, a line each. `left` are pages of a person's own that stay as they are."""

    taken: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


async def read_in(memory: Memory, edit: Edit, today: str, out: Outcome) -> None:
    """Take what one edit says. `today` is the date of what it says of facts, as ISO text."""
    if edit.after is None:
        out.told.append(
            f"{edit.path} was removed and is written again: to retire facts remove their lines; blocks are "
            f"dropped and messages forgotten by `swarm memory {memory.name}`"
        )
        return
    folder = edit.path.split("/")[0]
    if folder == "blocks" and edit.path.count("/") == 1:
        await _block(memory, edit, edit.after, out)
    elif folder == "facts" and edit.path.count("/") == 1:
        await _facts(memory, edit, edit.after, today, out)
    elif edit.before is None:
        out.left.append(edit.path)
        out.told.append(f"{edit.path} is no page of the mirror and is left alone")
    elif _words(edit.before) != _words(edit.after):
        out.told.append(f"{edit.path} is not read back: what it says is what was said, and it is written again")


# Blocks


async def _block(memory: Memory, edit: Edit, after: str, out: Outcome) -> None:
    named = {block_stem(name): name for name in memory.blocks}
    name = named.get(edit.stem) or (edit.before and subject_in(edit.before)) or edit.stem
    block = memory.blocks.get(name)
    text = block_text(name, after)
    if block is not None and block_page(name, block.text) == block_page(name, text):
        return
    if block is not None and (edit.before is None or block_page(name, block.text) != edit.before):
        out.told.append(f"{edit.path}: the block was rewritten meanwhile and stays so; your text is not taken")
    elif block is None and edit.before is not None:
        out.told.append(f"{edit.path}: the block was dropped meanwhile; your text is not taken")
    elif block_stem(name) != edit.stem:
        _leave(edit, out, "a file of a block is named by small letters, digits and hyphens")
    else:
        try:
            await memory.write_block(name, text)
        except UsageError as error:
            _leave(edit, out, str(error))
        else:
            out.taken.append(f"{edit.path}: the block {name} was {'added' if block is None else 'rewritten'}")


def _leave(edit: Edit, out: Outcome, why: str) -> None:
    if edit.before is None:
        out.left.append(edit.path)
    out.told.append(f"{edit.path}: not taken: {why}")


# Facts


async def _facts(memory: Memory, edit: Edit, after: str, today: str, out: Outcome) -> None:
    subject = None
    if not ALONE.fullmatch(edit.stem):
        subject = subject_in(edit.before or after) or edit.stem
        if edit.before is None and stem_of(subject) != edit.stem:
            _leave(edit, out, f"call the file {stem_of(subject)}.md, as its heading says what it is about")
            return
    before = {line.id: line for line in fact_lines(edit.before or "")}
    pen = _Pen(memory=memory, path=edit.path, subject=subject, today=today, out=out)
    seen: set[str] = set()
    for line in fact_lines(after):
        known = before.get(line.id) if line.id not in seen else None
        seen.add(line.id)
        try:
            if known is None:
                await pen.add(line)
            elif known.head != line.head:
                await pen.change(known, line)
        except UsageError as error:
            out.told.append(f"{edit.path}: {_short(line.head)} is not taken: {error}")
    for id_, line in before.items():
        if id_ not in seen:
            await pen.retire(line)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pen:
    """A person's hand on one page of facts."""

    memory: Memory
    path: str
    subject: str | None
    today: str
    out: Outcome

    async def add(self, line: Line) -> Fact | None:
        """Add what a line says, unless it holds already."""
        if self._holds(line):
            return None
        attribute, value = (line.attribute, line.value) if self.subject else (None, plain(line.head))
        text = said(self.subject, canonical(attribute), value) if attribute and self.subject else value
        added = await self.memory.add_fact(
            text, subject=self.subject, attribute=attribute, value=value if attribute else None, time=self.today
        )
        self.out.taken.append(f"{self.path}: added: {_short(line.head)}")
        return added

    async def change(self, known: Line, line: Line) -> None:
        """Put what a line says by now in the place of what it said."""
        fact = self.memory.fact(known.id)
        if fact is None or not fact.now:
            if not self._holds(line):
                newer = self._newer(fact)
                self.out.told.append(
                    f"{self.path}: {_short(known.head)} no longer held{newer}; {_short(line.head)} is not taken"
                )
            return
        added = await self.add(line)
        if (old := self.memory.fact(known.id)) is not None and old.now:
            await self.memory.retire(old.id, "replaced by hand")
        elif added is not None:
            self.out.taken[-1] = f"{self.path}: {_short(known.head)} became {_short(line.head)}"

    async def retire(self, known: Line) -> None:
        """Retire what a line said that is gone."""
        fact = self.memory.fact(known.id)
        if fact is not None and fact.now:
            await self.memory.retire(fact.id, "removed by hand")
            self.out.taken.append(f"{self.path}: retired: {_short(known.head)}")
        elif newer := self._newer(fact):
            self.out.told.append(f"{self.path}: {_short(known.head)} was changed meanwhile{newer}, which stays")

    def _holds(self, line: Line) -> bool:
        if line.attribute and self.subject:
            versions = self.memory.history(self.subject, line.attribute)
            if any(one.now and name_of(one.value or "") == name_of(line.value) for one in versions):
                return True
        text = plain(line.head)
        found = self.memory.facts(text, limit=20)
        return any(
            name_of(one.subject or "") == name_of(self.subject or "")
            and (
                one.text == text
                or (line.attribute and one.attribute == line.attribute and one.value == line.value)
            )
            for one in found
        )

    def _newer(self, fact: Fact | None) -> str:
        """What holds in the place of a fact, to be told."""
        if fact is None or not fact.subject or not fact.attribute:
            return ""
        now = [one for one in self.memory.history(fact) if one.now]
        return f", and the memory has {_short(escaped(now[-1].value or now[-1].text))} by now" if now else ""


def _short(head: str) -> str:
    text = plain(head).replace("**", "")
    return f"“{text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + '…'}”"


def _words(page: str) -> list[str]:
    return page.split()


__all__ = ["ALONE", "Edit", "Outcome", "read_in"]
