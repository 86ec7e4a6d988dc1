"""What clients have spent and may spend: the worst case is set aside before anything is sent, and settled after
it.

The journal knows of each request before it leaves and what came of it, so that a client's sum holds over restarts;
one that was on its way when the process died counts at the most that it can have come to. A client whose reply was
not told to its end (it went away, the connection broke) is charged the worst case too: the provider may bill it.
This module knows tokens and dollars, and no content.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from secrets import token_hex
from typing import Any

from swarm.errors import LimitReached, StoreError
from swarm.limits.budget import Budget, Reservation
from swarm.models.base import Completion, Price
from swarm.observe.log import get_logger
from swarm.serve.clients import Client
from swarm.serve.conversation import run_of
from swarm.serve.request import Used, Wrong
from swarm.store.journal import Entry, Intent, Journal
from swarm.task import Limits, Usage

log = get_logger("serve")

_FOLDED = "folded"
_MINUTE = 60.0
_SOON_SECONDS = 2.0  # after which one of the requests under way may have made room


def usage_of(used: Used, price: Price) -> Usage:
    """What a reply came to."""
    surcharge = max(0.0, (price.written_usd or 0.0) - price.input_usd) * used.written_tokens / 1e6
    return Usage(
        calls=1,
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        cached_tokens=used.cached_tokens,
        cost_usd=price.cost(used.input_tokens, used.output_tokens, used.cached_tokens) + surcharge,
    )


class Held:
    """What is set aside for one call, or for several. Say what they came to with `settle`; else the worst case is
    what they came to."""

    def __init__(self, worst: Reservation, price: Price) -> None:
        self.worst, self.price = worst, price
        self.usage: Usage | None = None
        self.reason = "the reply was not told to its end"

    def settle(self, usage: Usage, reason: str = "") -> None:
        """What was spent. A `reason` says why nothing came of it."""
        self.usage, self.reason = usage, reason

    @property
    def least(self) -> Usage:
        """What to count where nothing was settled."""
        return Usage(calls=1, input_tokens=self.worst.tokens, cost_usd=self.worst.cost_usd)


class Account:
    """What one client does at the moment, and has spent so far. `recorded` is false where nothing is limited and
    nothing costs money: then the journal is not asked."""

    def __init__(
        self,
        client: Client,
        journal: Journal,
        model: str,
        *,
        recorded: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = client
        self.run = run_of(client.name)
        self._journal, self._model, self._recorded = journal, model, recorded
        self._clock = clock
        self._active = 0
        self._held: list[Reservation] = []
        self._begun: deque[float] = deque()
        self.budget = self._opened(Usage())

    async def restore(self, read: Callable[[str], Awaitable[Usage]]) -> None:
        """Count what was spent before, and what was on its way when a process died at its worst. `read` tells what
        was spent on readings."""
        self._journal.hold(self.run)
        if self._recorded:
            await self._journal.settle_lost(self.run)
            self.budget = self._opened(self._journal.spent(self.run) + await read(self.client.name))

    def _opened(self, spent: Usage) -> Budget:
        budget = Budget(Limits(cost_usd=self.client.cost_usd, tokens=self.client.tokens), spent=spent)
        budget.finishing = True  # nothing is held back for an end: there is none
        return budget

    async def folded(self, reply: str) -> None:
        """Remember that a reply was made from a part of its conversation, which is all that the provider keeps."""
        await self._journal.append(self.run, Entry(kind=_FOLDED, key=reply, body={}))

    def was_folded(self, reply: Any) -> bool:
        """Whether that is such a reply."""
        return isinstance(reply, str) and self._journal.record(self.run, _FOLDED, reply) is not None

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Be one of the client's requests.

        Raises:
            Wrong: there are as many as it may have, at a time or in a minute.
        """
        if self._active >= self.client.concurrent:
            raise Wrong(429, f"{self.client.concurrent} requests at a time are under way", retry_after=1.0)
        self._check_rate()
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1

    def _check_rate(self) -> None:
        most = self.client.requests_per_minute
        if most is None:
            return
        now = self._clock()
        while self._begun and self._begun[0] <= now - _MINUTE:
            self._begun.popleft()
        if len(self._begun) >= most:
            wait = self._begun[0] + _MINUTE - now
            raise Wrong(429, f"the limit of {most} requests a minute is reached", retry_after=wait)
        self._begun.append(now)

    def allowed(self) -> Limits:
        """What one more request may spend at the most, with all that is under way."""
        spent, limits = self.budget.spent, self.budget.limits
        held_tokens, held_usd = sum(one.tokens for one in self._held), sum(one.cost_usd for one in self._held)
        tokens = None if limits.tokens is None else max(0, limits.tokens - spent.tokens - held_tokens)
        dollars = [] if limits.cost_usd is None else [limits.cost_usd - spent.cost_usd - held_usd]
        if self.client.cost_usd_per_request is not None:
            dollars.append(self.client.cost_usd_per_request)
        return Limits(cost_usd=max(0.0, min(dollars)) if dollars else None, tokens=tokens)

    def _reserve(self, price: Price, input_tokens: int, output_tokens: int) -> Reservation:
        most = self.client.cost_usd_per_request
        if most is not None and price.worst(input_tokens, output_tokens) > most:
            raise LimitReached(f"the limit of ${most:,.2f} for one request is reached", "cost_usd", "request")
        return self.budget.reserve(price, input_tokens, output_tokens)

    def affords(self, price: Price, input_tokens: int, output_tokens: int) -> bool:
        """Whether a call of that size would be allowed now."""
        try:
            worst = self._reserve(price, input_tokens, output_tokens)
        except LimitReached:
            return False
        self.budget.settle(worst, Usage())
        return True

    @asynccontextmanager
    async def holding(
        self, price: Price, input_tokens: int, output_tokens: int, *, recorded: bool = True
    ) -> AsyncIterator[Held]:
        """Set aside the worst case of what is done in the block, which the journal knows before it begins; not
        `recorded` is what is there by itself.

        Raises:
            Wrong: it would pass a limit; nothing may be sent.
        """
        try:
            worst = self._reserve(price, input_tokens, output_tokens)
        except LimitReached as error:
            worst_usd = price.worst(input_tokens, output_tokens)
            raise self._wrong(error, worst_usd, input_tokens + output_tokens) from None
        held = Held(worst, price)
        self._held.append(worst)
        key = token_hex(16)
        begun, settled, recorded = False, False, recorded and self._recorded
        try:
            if recorded:
                intent = Intent(
                    run=self.run,
                    key=key,
                    model=self._model,
                    kind="request",
                    tokens=worst.tokens,
                    cost_usd=worst.cost_usd,
                )
                await self._begin(intent)
            begun = True
            yield held
            settled = True
        finally:
            if not begun:
                held.settle(Usage(), "nothing was sent")
            usage = held.usage if held.usage is not None else held.least
            self._held.remove(worst)
            self.budget.settle(worst, usage)
            if recorded:
                await self._end(key, usage, held.reason if held.usage is None or held.reason else "", settled)

    async def _begin(self, intent: Intent) -> None:
        try:
            await self._journal.begin_call(intent)
        except StoreError:
            raise Wrong(503, "the store of this endpoint cannot be written: nothing was sent") from None

    async def _end(self, key: str, usage: Usage, reason: str, orderly: bool) -> None:
        """What is not written counts as lost when the process starts again, which is as much or more."""
        try:
            if reason or not orderly:
                await self._journal.fail_call(self.run, key, reason or "broken off", usage)
            else:
                await self._journal.finish_call(self.run, key, Completion(text="", usage=usage))
        except (StoreError, LookupError):
            log.warning("the outcome of a request could not be recorded", client=self.client.name)

    def _wrong(self, error: LimitReached, worst_usd: float, tokens: int) -> Wrong:
        """What a client is told where its limit does not allow a request."""
        what = f"${worst_usd:,.4f}" if error.limit == "cost_usd" else f"{tokens:,} tokens"
        message = f"{error.message}: this request may come to {what}, and nothing was sent"
        if error.scope != "request" and self._under_way(error.limit, worst_usd, tokens):
            return Wrong(
                429, f"{message}; requests that are under way stand in its way", retry_after=_SOON_SECONDS
            )
        return Wrong(402, message, code="insufficient_quota", again=False)

    def _under_way(self, limit: str, worst_usd: float, tokens: int) -> bool:
        """Whether it would be allowed if nothing else were under way."""
        spent, limits = self.budget.spent, self.budget.limits
        if limit == "cost_usd":
            return limits.cost_usd is not None and spent.cost_usd + worst_usd <= limits.cost_usd
        return limits.tokens is not None and spent.tokens + tokens <= limits.tokens
