"""Searching the messages of a memory, by words, time and speaker. How words are ranked is not known here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swarm.errors import UsageError
from swarm.memory.log import Log
from swarm.memory.lookup import Lookup
from swarm.memory.messages import Message, moment
from swarm.memory.recall import Line, ranked
from swarm.source import Span


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A stretch of a message: `text` are the characters of `span`, whose source is the message's id. `message` has
    the whole text only where that is the stretch; else see `Memory.message`."""

    message: Message
    score: float
    span: Span
    text: str

    @property
    def place(self) -> int:
        """Of the message, from 1."""
        return self.message.num


def search(
    log: Log,
    query: str,
    limit: int,
    since: str | None,
    until: str | None,
    who: str | None,
    hits: Sequence[int] = (),
) -> list[Found]:
    """See `Memory.search`. `hits` are stretches that another index has found, best first."""
    low, high = _time(since), _time(until)

    def keep(_: int, line: Line) -> bool:
        if who and who.casefold() not in (line.role.casefold(), line.who.casefold()):
            return False
        when = line.at
        return not ((low and when < low) or (high and (not when or when[: len(high)] > high)))

    narrow = bool(low or high or who)
    lookup = Lookup(log)
    best = ranked(lookup, query, limit, keep if narrow else None)
    scores = {one.num: one.score for one in best}
    if hits:
        from swarm.index.fused import fused

        lines = lookup.lines(hits)
        others = [num for num in hits if num in lines and (not narrow or keep(num, lines[num]))]
        scores = dict(fused([list(scores), others])[:limit])
    found: list[Found] = []
    for stretch in log.stretches(scores):
        line = stretch.line
        message = Message(
            role=line.role, text=stretch.text, name=line.name, at=line.at, id=line.id, num=line.place
        )
        found.append(Found(message=message, score=scores[stretch.num], span=stretch.span, text=stretch.text))
    return found


def _time(said: str | None) -> str:
    if said is None:
        return ""
    if not (when := moment(said)):
        raise UsageError(f"a time cannot be read: {said!r:.60} (give it as ISO, 2026-05-31 or 2026-05-31T14:00)")
    return when
