"""What a run may spend: the worst case is reserved before a call and settled after it.

So the sum never passes a limit, however many calls are in flight. Budgets nest: a share spends from its own limits
and from those of every budget above it, all or nothing. Of the run's own limits a part is held back until the
reading is over, so that a run that stops at a limit can still write its answer. Money is counted in whole
millionths of a millionth of a dollar, the same however many sums are made. This module counts; it sends nothing,
and waits for nothing but its own reservations.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from time import monotonic
from typing import Any, NamedTuple

from swarm.errors import LimitReached, UsageError
from swarm.limits.sums import NOTHING, UNITS, Room, Sum, sum_of, units
from swarm.models.base import Model, Price
from swarm.task import Limits, Usage

DEFAULT_COST_USD = 5.0
"""The most that a run may cost when a model costs money and nobody said how much: enough to read some million
tokens with a cheap model, and not enough to be sorry about."""
HELD_SHARE = 0.25  # of tokens and dollars, for judging and answering
_HELD_CALLS = 2
_WHOLE = ("tokens", "calls", "slices", "depth", "rounds")
_SPEEDS = ("requests_per_minute", "input_tokens_per_minute", "output_tokens_per_minute")
_OF_A_SHARE = ("cost_usd", "tokens", "calls", "wall_seconds")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reservation:
    """The most that one call can come to."""

    tokens: int
    cost_usd: float

    @property
    def sum(self) -> Sum:
        return Sum(1, self.tokens, units(self.cost_usd))


class _Refusal(NamedTuple):
    """`final` is false where only calls in flight stand in the way."""

    error: LimitReached
    final: bool


class Budget:
    """The account of one run, or of a share of it. `spent` is what an earlier part of the same run has paid; of
    that part's `wall_seconds` nothing is counted here. `clock` gives seconds."""

    def __init__(
        self,
        limits: Limits,
        spent: Usage | None = None,
        clock: Callable[[], float] = monotonic,
        *,
        parent: Budget | None = None,
    ) -> None:
        self.limits = limits
        self._parent = parent
        self._clock = clock
        self._began = clock()
        self._usage = spent or Usage()
        self._settled = sum_of(self._usage)
        self._reserved = NOTHING
        self._finishing = False
        self._waiting: list[asyncio.Future[None]] = []
        self.worth = Usage()
        """What the replies came to that were asked for with this budget, those known from before included."""

    def share(self, limits: Limits) -> Budget:
        """A budget that spends from this one too. Its dollars, tokens, calls and seconds count; what else the
        limits hold is the run's."""
        return Budget(limits, clock=self._clock, parent=self)

    @property
    def spent(self) -> Usage:
        """What was settled so far, in this budget and all shares of it."""
        used = self._usage
        return Usage(
            calls=used.calls,
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            cached_tokens=used.cached_tokens,
            cost_usd=self._settled.units / UNITS,
        )

    def note(self, usage: Usage) -> None:
        """Note what a reply came to when it was paid for, be it now or long ago."""
        self.worth += usage

    @property
    def finishing(self) -> bool:
        """True once the reading is over: what was held back may be spent too."""
        return self._root._finishing

    @finishing.setter
    def finishing(self, value: bool) -> None:
        self._root._finishing = value
        self._root._wake()

    @property
    def seconds_left(self) -> float | None:
        """Of this budget's own seconds, those above it aside; None where they are not limited."""
        if self.limits.wall_seconds is None:
            return None
        return self._began + self.limits.wall_seconds - self._clock()

    def reserve(self, price: Price, input_tokens: int, output_tokens: int) -> Reservation:
        """Set aside the worst case of one call.

        Raises:
            LimitReached: it would pass a limit, of the run or of a share; nothing was reserved.
        """
        most = _most(price, input_tokens, output_tokens)
        refusal = self._refusal(most)
        if refusal is not None:
            raise refusal.error
        self._set_aside(most, 1)
        return most

    async def acquire(self, price: Price, input_tokens: int, output_tokens: int) -> Reservation:
        """As `reserve`, but waits as long as only calls in flight stand in the way: their worst cases, most of
        which will not come to pass. So a limit is used up, though a hundred worst cases would pass it together.

        Raises:
            LimitReached: it would pass a limit even if nothing were in flight.
        """
        most = _most(price, input_tokens, output_tokens)
        while (refusal := self._refusal(most)) is not None:
            if refusal.final:
                raise refusal.error
            settled = asyncio.get_running_loop().create_future()
            waiting = self._root._waiting
            waiting.append(settled)
            try:
                await settled
            finally:
                if settled in waiting:
                    waiting.remove(settled)
        self._set_aside(most, 1)
        return most

    def settle(self, reservation: Reservation, usage: Usage) -> None:
        """Replace a reservation by what the call came to; an empty usage for one that failed. What a provider
        charges beyond the worst case is counted as well: it alone can pass a limit."""
        paid, most = units(usage.cost_usd), units(reservation.cost_usd)
        if paid - most == 1:
            paid = most  # two ways to add up the same price may round apart
        self._set_aside(reservation, -1)
        for budget in self._chain():
            budget._pay(usage, paid)
        self._root._wake()

    def recorded(self, usage: Usage) -> None:
        """Note that the journal has what a try came to, be it settled already or not."""
        if self._parent is not None:
            self._parent.recorded(usage)

    def adrift(self, spent: Usage, worst: Usage) -> None:
        """Note that a try, settled as `spent`, may be open in the journal: there it counts at its worst."""
        if self._parent is not None:
            self._parent.adrift(spent, worst)

    def void(self, reservation: Reservation) -> bool:
        """Whether a reservation holds no more, though nothing of it is spent: settle it, and reserve again."""
        return self._parent is not None and self._parent.void(reservation)

    def affordable_input(self, price: Price, output_tokens: int) -> int | None:
        """Tokens of input that one more call with this reply could have; None where nothing limits it."""
        bounds: list[float] = []
        for budget in self._chain():
            _, tokens, units = budget._left()
            if tokens is not None:
                bounds.append(tokens - output_tokens)
            if units is not None and price.worst(1, 0) > 0:
                bounds.append((units / UNITS - price.worst(0, output_tokens)) / price.worst(1, 0))
        return max(0, int(min(bounds))) if bounds else None

    def ample(self, worst: Usage, times: int) -> bool:
        """Whether so many calls like this one fit in what is neither spent nor reserved, here and above."""
        wanted = Sum(times * worst.calls, times * worst.tokens, times * units(worst.cost_usd))
        return all(budget._left().passed_by(wanted) is None for budget in self._chain())

    def check_slices(self, worked: int) -> None:
        """May another slice be worked, after so many?

        Raises:
            LimitReached: no.
        """
        most = self.limits.slices
        if most is not None and worked >= most:
            raise LimitReached(f"the limit of {_plural(most, 'slice')} is reached", "slices")

    def check_time(self) -> None:
        """May anything else be begun?

        Raises:
            LimitReached: no, the seconds are over, here or above.
        """
        for budget in self._chain():
            if (refusal := budget._overdue()) is not None:
                raise refusal.error

    # Inside

    def _overdue(self) -> _Refusal | None:
        seconds = self.limits.wall_seconds
        if seconds is None or self._clock() - self._began < seconds:
            return None
        return self._refuse(f"{seconds:g} seconds", "wall_seconds", final=True)

    def _chain(self) -> Iterator[Budget]:
        """This budget and all above it."""
        budget: Budget | None = self
        while budget is not None:
            yield budget
            budget = budget._parent

    @property
    def _root(self) -> Budget:
        *_, root = self._chain()
        return root

    def _refusal(self, most: Reservation) -> _Refusal | None:
        """Why a call cannot be afforded. The run's limit comes first, then one that no settling can change."""
        wanted = most.sum
        found = [refusal for budget in self._chain() if (refusal := budget._own_refusal(wanted)) is not None]
        return max(reversed(found), key=lambda refusal: refusal.final, default=None)

    def _own_refusal(self, wanted: Sum) -> _Refusal | None:
        limits = self.limits
        if (overdue := self._overdue()) is not None:
            return overdue
        if (passed := self._free(in_flight=True).passed_by(wanted)) is None:
            return None
        # what is passed without calls in flight is passed for good
        if (final := self._free(in_flight=False).passed_by(wanted)) is None:
            self._short_of(wanted)
        name = final or passed
        limit = getattr(limits, name)
        much = f"${limit:,.2f}" if name == "cost_usd" else _plural(limit, name[:-1])
        return self._refuse(much, name, final=final is not None)

    def _refuse(self, much: str, name: str, *, final: bool) -> _Refusal:
        if self._parent is not None:
            return _Refusal(LimitReached(f"the slice's limit of {much} is reached", name, "slice"), final)
        default = "default " if name == "cost_usd" and self.limits.cost_is_default else ""
        return _Refusal(LimitReached(f"the {default}limit of {much} is reached", name), final)

    def _free(self, *, in_flight: bool) -> Room:
        """What is neither spent nor held, nor reserved (where `in_flight` counts)."""
        gone = self._settled.plus(self._reserved) if in_flight else self._settled
        return self._most().less(gone)

    def _left(self) -> Room:
        """What more calls may come to, beside those in flight."""
        return self._free(in_flight=True)

    def _most(self) -> Room:
        """The limits, without what is held back."""
        whole = self._parent is not None or self._finishing
        held, held_calls = (0.0, 0) if whole else (HELD_SHARE, _HELD_CALLS)
        limits = self.limits
        limited = limits.cost_usd is not None and math.isfinite(limits.cost_usd)
        return Room(
            None if limits.calls is None else limits.calls - held_calls,
            None if limits.tokens is None else int(limits.tokens * (1 - held)),
            int(units(limits.cost_usd or 0.0) * (1 - held)) if limited else None,
        )

    def _set_aside(self, most: Reservation, sign: int) -> None:
        change = most.sum if sign > 0 else NOTHING.less(most.sum)
        for budget in self._chain():
            budget._put(most, change)

    def _put(self, most: Reservation, change: Sum) -> None:  # noqa: ARG002  # which one it is matters to a purse
        self._reserved = self._reserved.plus(change)

    def _pay(self, usage: Usage, paid: int) -> None:
        self._usage += usage
        self._settled = self._settled.plus(Sum(usage.calls, usage.tokens, paid))

    def _short_of(self, wanted: Sum) -> None:
        """Hear that a call waits until so much is there."""

    def _wake(self) -> None:
        """Let all who wait look again, in the order in which they came."""
        waiting, self._waiting[:] = list(self._waiting), []
        for settled in waiting:
            if not settled.done():
                settled.set_result(None)


def _most(price: Price, input_tokens: int, output_tokens: int) -> Reservation:
    return Reservation(tokens=input_tokens + output_tokens, cost_usd=price.worst(input_tokens, output_tokens))


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def costs_money(*models: Model) -> bool:
    """Whether one of the models does."""
    return any(model.price.worst(1_000, 1_000) > 0 for model in models)


def effective(limits: Limits, models: Iterable[Model]) -> Limits:
    """The limits that a run with these models has: with the default limit in dollars, where one of them costs
    money and nobody said how much may be spent.

    Raises:
        UsageError: a limit that makes no sense.
    """
    _check(limits)
    if limits.cost_usd is None and costs_money(*models):
        return replace(limits, cost_usd=DEFAULT_COST_USD, cost_is_default=True)
    return limits


def changed(before: Limits, given: Limits) -> Limits:
    """The limits of a run that goes on: those that are given, and of the others what they were. A limit counts as
    given where it is not what it is when nothing is said."""
    nothing = Limits()
    names = [field.name for field in fields(Limits) if field.name != "cost_is_default"]
    said = {name: value for name in names if (value := getattr(given, name)) != getattr(nothing, name)}
    if "cost_usd" in said:
        said["cost_is_default"] = given.cost_is_default
    return replace(before, **said)


def _check(limits: Limits, of: str = "limits") -> None:
    for field in fields(limits):
        value: Any = getattr(limits, field.name)
        name = f"{of}.{field.name}"
        if field.name in ("each_slice", "cost_is_default") or value is None:
            continue
        least = 1 if field.name in (*_SPEEDS, "rounds") else 0
        if not value >= least:  # also where it is no number
            raise UsageError(f"{name} is {value}: give a number from {least} on, or None for no limit")
        if field.name in (*_WHOLE, *_SPEEDS) and value != int(value):
            raise UsageError(f"{name} is {value}: give a whole number")
    if limits.each_slice is not None:
        if of != "limits":
            raise UsageError(f"{of}.each_slice: the share of a slice has no shares of its own")
        nothing = Limits()
        for field in fields(limits):
            share, usual = getattr(limits.each_slice, field.name), getattr(nothing, field.name)
            if share != usual and field.name not in (*_OF_A_SHARE, "each_slice"):
                raise UsageError(f"limits.each_slice.{field.name}: of a slice only {', '.join(_OF_A_SHARE)} count")
        _check(limits.each_slice, "limits.each_slice")
