"""Consolidating in idle time: facts that say the same become one, and old stretches of the conversation get an
episode, a few sentences that stand for them in a view.

Each call does a bounded piece of work and the next goes on. Nothing is deleted: the messages stay, blocks are
never touched, of facts that say the same the first stays as it is, and one that was added by hand is never put
aside. This module knows which messages are old; how a summary is written is told in the prompt `consolidate`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from swarm.errors import CallFailed, LimitReached, PromptTooLong, Rejected
from swarm.graph.alike import same
from swarm.graph.nodes import Statement
from swarm.graph.probe import ALSO, check
from swarm.limits.budget import Budget, effective
from swarm.limits.gate import Gate
from swarm.limits.rates import Rates
from swarm.memory import facts
from swarm.memory.erase import dream_of
from swarm.memory.home import Home
from swarm.memory.log import Line
from swarm.memory.parts import Episode, Part, Retired, Told
from swarm.memory.records import episode_entry, retired_entry
from swarm.observe.log import get_logger
from swarm.observe.scope import within
from swarm.prompts.typed import ConsolidatePrompt, Shown
from swarm.store.journal import Entry
from swarm.task import Finding, Usage

if TYPE_CHECKING:
    from swarm.memory.settings import Settings

log = get_logger("dream")

RECENT = 40
"""Messages at the end of a conversation that no episode covers yet."""
_LONGEST, _TOKENS = 40, 4_000
"""Messages of one episode, and their o200k tokens as they are shown, at the most."""
_FEWEST = 6  # messages, but where a sitting ends
_WORDS, _SHARE = 120, 0.4  # of an episode: at the most, and of the words that it is written from
_CLIPPED = 600  # characters of a message that are shown
_FACTS = 300  # looked at in one call
_ALIKE = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Dreamt:
    """What a dream came to. `complete` is False where there is more to do: the number that was asked for was
    reached, or a limit was, and `stopped` says which."""

    episodes: int = 0
    merged: int = 0
    usage: Usage = field(default_factory=Usage)
    complete: bool = True
    stopped: str | None = None


async def dream(home: Home, settings: Settings, most: int) -> Dreamt:
    """See `Memory.dream`."""
    merged, more = await asyncio.to_thread(_merge, home)
    made = Dreamt(merged=merged, complete=not more)
    budget = Budget(effective(settings.limits, (settings.model, settings.model)))
    budget.finishing = True  # nothing is held back for an answer
    for number in range(most + 1):
        lines = await asyncio.to_thread(_stretch, home)
        if not lines:
            break
        if number == most:
            made = replace(made, complete=False)
            break
        try:
            written = await _write(home, settings, lines, budget)
        except LimitReached as error:
            made = replace(made, complete=False, stopped=error.limit or str(error))
            break
        made = replace(made, episodes=made.episodes + written)
    return replace(made, usage=budget.spent)


# Episodes


def _stretch(home: Home) -> list[Line]:
    """The next old messages that one episode is to cover: those of one sitting, or the first part of them."""
    last = len(home.log) - RECENT
    lines: list[Line] = []
    tokens = 0
    for line in home.log.between(home.log.counted("told") + 1, last):
        cost = min(line.tokens, _CLIPPED // 3)
        full = len(lines) == _LONGEST or tokens + cost > _TOKENS
        if lines and (full or (len(lines) >= _FEWEST and line.moment[:10] != lines[-1].moment[:10])):
            return lines
        lines.append(line)
        tokens += cost
    return []  # it goes on: more may come


async def _write(home: Home, settings: Settings, lines: Sequence[Line], budget: Budget) -> int:
    """Write the episode of a stretch; where nothing comes of it, the stretch is passed over."""
    chain = "\0".join([settings.model.name, *(line.id for line in lines)])
    id_ = "e" + blake2b(chain.encode(), digest_size=16, person=b"episode").hexdigest()
    items = await asyncio.to_thread(lambda: [_item(home, line, number) for number, line in enumerate(lines)])
    pieces = await _ask(home, settings, items, dream_of(id_), budget)
    parts: list[Part] = [Told(place=lines[-1].place)]
    entries = [Entry(kind="told", key=str(lines[-1].place), body={})]
    if pieces:
        episode = Episode(id=id_, first=lines[0].place, last=lines[-1].place, pieces=pieces)
        parts, entries = [episode], [episode_entry(episode)]

    def keep() -> bool:
        with home.lock:
            if len(home.log.lines([line.place for line in lines])) < len(lines):
                return False  # one of them was forgotten meanwhile: what was written may hold it
            home.write(entries, parts)
            return True

    kept = await asyncio.to_thread(keep)
    if not kept:
        await home.journal.forget(dream_of(id_))
    return int(kept and bool(pieces))


def _item(home: Home, line: Line, number: int) -> Shown:
    """A message as a finding is shown."""
    text = " ".join(home.log.text(line.place, 0, min(line.chars, _CLIPPED)).split())
    claim = f"{line.who}: {text}{' …' if line.chars > _CLIPPED else ''}"
    finding = Finding(id=line.id, claim=claim, evidence=(), time=line.at)
    return Shown(label=f"F{number + 1}", finding=finding, quotes=(), where=line.who)


async def _ask(
    home: Home, settings: Settings, items: Sequence[Shown], run: str, budget: Budget
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The sentences of an episode, each with the ids of the messages that it rests on; none where none held."""
    model = settings.model
    await asyncio.to_thread(home.journal.hold, run)
    rates = Rates.of(settings.limits)
    gate = Gate(home.journal, run, budget, rates, settings.concurrency or 16, lambda _: None)
    words = sum(len(item.finding.claim.split()) for item in items)
    most = max(20, min(_WORDS, int(words * _SHARE)))
    try:
        with within(run=run, asker="consolidate"):
            reply = await gate.ask(model, ConsolidatePrompt(question="", shown=tuple(items), words=most))
    except PromptTooLong:
        if len(items) == 1:
            return ()
        half = len(items) // 2
        return (
            *(await _ask(home, settings, items[:half], run, budget)),
            *(await _ask(home, settings, items[half:], run, budget)),
        )
    except Rejected:
        raise
    except CallFailed as error:
        log.warning("a stretch of a conversation is left as it is", reason=str(error))
        return ()
    by_label = {item.label: item.finding.id for item in items}
    made = []
    for one in reply.statements:
        rests_on = tuple(dict.fromkeys(by_label[label] for label in one.findings if label in by_label))
        if one.text.strip() and rests_on:
            made.append(Statement(text=one.text.strip(), rests_on=rests_on))
    held = check(made, {item.finding.id: item.finding.claim for item in items}, len(items))
    return tuple((one.text, one.rests_on) for one in held or () if not one.text.startswith(ALSO))


# Facts that say the same


def _merge(home: Home) -> tuple[int, bool]:
    """Put facts aside that say what an earlier one says: how many, and whether there is more to look at."""
    with home.lock:
        latest = home.journal.latest(home.run, "merged")
        first = int(latest.key) + 1 if latest is not None else 1
        last = home.log.counted("facts")
        until = min(last, first + _FACTS - 1)
        found = facts.of_nums(home.log, range(home.log.base + first, home.log.base + until + 1))
        gone: dict[str, Retired] = {}
        for fact in found:
            if fact.now and not fact.attribute and fact.origin != "hand" and fact.id not in gone:
                twin = _twin(home, fact, gone)
                if twin is not None:
                    gone[fact.id] = Retired(id=fact.id, reason=f"says what {twin.id} says", state="same")
        entries = [retired_entry(one) for one in gone.values()]
        if gone:
            home.write(entries, list(gone.values()))
        if until >= first:
            home.journal.append_sync(home.run, Entry(kind="merged", key=str(until), body={}))
        return len(gone), until < last


def _twin(home: Home, fact: facts.Fact, gone: dict[str, Retired]) -> facts.Fact | None:
    """An earlier fact, or one that was added by hand, that says the same."""
    for other, _ in facts.bearing(home.log, fact.text, _ALIKE):
        if other.id == fact.id or other.id in gone or other.attribute:
            continue
        if (other.num < fact.num or other.origin == "hand") and same(fact.text, other.text):
            return other
    return None


__all__ = ["RECENT", "Dreamt", "dream"]
