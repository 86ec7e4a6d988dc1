"""Ask until one result leads: first to ahead by k.

For a slice that must be right. Each reply is a fresh window that knows of no other, so that their errors are their
own; a result that is wrong one time in a hundred, and leads by four, is wrong less than once in ten million. After
Meyerson et al. 2025, "Solving a million-step LLM task with zero errors". A reply that is wrong in form is thrown
away and not mended: whoever loses the form has mostly lost the thread. This module knows ballots; it does not know
what is asked, nor how.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import unicodedata
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from swarm.errors import CallFailed, InvalidReply, NoAgreement, Rejected, RunError
from swarm.program import Vote
from swarm.worker.form import strict_json

R = TypeVar("R")

FAILURES = 3
"""As many calls of one vote fail, other than by a reply that is wrong in form, and the vote fails as they did."""
_TOLD = 5  # standings are told when nobody won
_TOLD_CHARS = 200
_PLAIN_DIGITS = 400  # a whole number is written out up to this length

Wrong = Callable[[R], "str | Awaitable[str | None] | None"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ballot(Generic[R]):
    """How a vote ended. `reply` is the first that gave the result which won; `votes` counts the replies that were
    counted, for whatever result, and `discarded` those that were thrown away: together all that were `asked`."""

    reply: R
    votes: int
    discarded: int
    asked: int


@dataclass(frozen=True, slots=True)
class _Kept(Generic[R]):
    reply: R


@dataclass(frozen=True, slots=True)
class _Thrown:
    """A call without a reply to count: why, and the error that it ended with where it was no fault of form."""

    reason: str
    error: RunError | None = None


async def vote(
    policy: Vote, ask: Callable[[int], Awaitable[R]], key: Callable[[R], str], wrong: Wrong[R]
) -> Ballot[R]:
    """Ask for replies, numbered from 0, until one result leads by `policy.lead`.

    As many are asked at once as it takes at the least to decide, so that none is asked that may turn out to have
    been needless. They are counted when all of them are in, in the order of their numbers: a run that goes on, or
    is played again, decides as it did. `key` names the result of a reply, `wrong` says what is wrong with its
    form. A call that failed counts as thrown away, the first times.

    Raises:
        NoAgreement: `policy.most` replies are too few for a decision.
        CallFailed: the provider will accept no such call, or `FAILURES` of them failed.
        LimitReached: a limit does not allow another call. Those that were on their way came back first.
    """
    lead = max(1, policy.lead)
    counts: Counter[str] = Counter()
    replies: dict[str, R] = {}
    asked = failed = 0
    reason = ""
    while (missing := lead - _ahead(counts)) > 0:
        if asked + missing > policy.most:
            raise NoAgreement(_standing(policy, counts, asked, reason))
        for cast in await _batch(range(asked, asked + missing), ask, wrong):
            if isinstance(cast, _Kept):
                name = key(cast.reply) if lead > 1 else ""  # one alone needs no name
                replies.setdefault(name, cast.reply)
                counts[name] += 1
                continue
            reason = cast.reason
            if cast.error is not None:
                failed += 1
                if failed >= FAILURES or not _passing(cast.error):
                    raise cast.error
        asked += missing
    winner = counts.most_common(1)[0][0]
    votes = counts.total()
    return Ballot(reply=replies[winner], votes=votes, discarded=asked - votes, asked=asked)


def _ahead(counts: Counter[str]) -> int:
    """By how many votes the first leads the second."""
    first, second = (*(votes for _, votes in counts.most_common(2)), 0, 0)[:2]
    return first - second


def _passing(error: RunError) -> bool:
    """Whether the next call may fare better: not where a limit was reached, or where none would be accepted."""
    return isinstance(error, CallFailed) and not isinstance(error, Rejected)


async def _batch(attempts: range, ask: Callable[[int], Awaitable[R]], wrong: Wrong[R]) -> list[_Kept[R] | _Thrown]:
    """What came of these calls, all at once, in their order. An error of one lets the others come back: they are
    paid for, and are found in the journal when the run goes on."""
    if len(attempts) == 1:
        return [await _cast(attempts[0], ask, wrong)]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_cast(attempt, ask, wrong)) for attempt in attempts]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None  # what is not an outcome of a run: one says enough
    return [task.result() for task in tasks]


async def _cast(attempt: int, ask: Callable[[int], Awaitable[R]], wrong: Wrong[R]) -> _Kept[R] | _Thrown:
    try:
        reply = await ask(attempt)
    except InvalidReply as error:
        return _Thrown(str(error))
    except RunError as error:
        return _Thrown(str(error), error)
    found = wrong(reply)
    reason = await found if inspect.isawaitable(found) else found
    return _Kept(reply) if reason is None else _Thrown(reason)


def _standing(policy: Vote, counts: Counter[str], asked: int, reason: str) -> str:
    """Why there is no agreement, with how the votes stand: one line."""
    votes = [f"{count}" for _, count in counts.most_common(_TOLD)]
    more = f" and {len(counts) - _TOLD:,} results with fewer" if len(counts) > _TOLD else ""
    stand = f"votes stand {' to '.join(votes)}{more}" if votes else "no reply was right in form"
    thrown = asked - counts.total()
    last = f", {thrown} thrown away, the last because {_line(reason)}" if thrown else ""
    return f"no result leads by {policy.lead} and at most {policy.most} replies may be asked for: {stand}{last}"


def _line(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _TOLD_CHARS else plain[: _TOLD_CHARS - 1] + "…"


def key_of_result(text: str, schema: Mapping[str, Any] | None = None) -> str:
    """The name of a result in a vote: two that say the same have the same.

    JSON is compared as JSON: spacing and the order of keys do not count, and numbers are compared exactly, however
    they are written (1.0 is 1; no digit is lost). Without a schema only objects and lists are taken for JSON,
    since 1.10 may be a section. Text is compared without spacing, case and a stop at its end.
    """
    plain = text.strip()
    if schema is not None or plain[:1] in ("{", "["):
        try:
            value = strict_json(plain, parse_float=_exact)
            return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        except (ValueError, RecursionError):
            pass  # it is no JSON, whatever it begins with
    return " ".join(unicodedata.normalize("NFC", plain).casefold().split()).rstrip(".") or plain


def _exact(text: str) -> object:
    """A number with a fraction or an exponent, without the rounding of a float: whole if it is whole."""
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    sign, digits = "-" * whole.startswith("-"), (whole.lstrip("-") + fraction).lstrip("0")
    power = int(exponent or 0) - len(fraction) + len(digits) - len(digits.rstrip("0"))
    digits = digits.rstrip("0")
    if not digits:
        return 0
    if power >= 0 and len(digits) + power <= _PLAIN_DIGITS:
        return int(f"{sign}{digits}") * 10**power
    return {"\0number": f"{sign}{digits}e{power}"}
