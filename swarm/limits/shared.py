"""Limits that hold over all machines of one store on PostgreSQL: requests and tokens a minute and calls in flight
of each model, and what a run may spend.

Inside `sharing`, every lane of the event loop draws on the store what leaves, together with all other machines
that do, whatever run a call is of. Machines that work on different stores do not know of one another: where they
use the same key, they learn of each other from the provider alone, as programs do that are not Swarm. While the
store is away, calls wait.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from weakref import WeakSet

from swarm.errors import StoreError
from swarm.limits.budget import Budget
from swarm.limits.lanes import Lane, in_common
from swarm.limits.purse import PooledBudget
from swarm.limits.tap import Tap
from swarm.store.shares import Shares
from swarm.task import Limits

_CLOSING_SECONDS = 5.0  # for giving back what was not used


class Shared:
    """What one machine shares; `sharing` makes it."""

    def __init__(self, shares: Shares, holder: str) -> None:
        self._shares, self._holder = shares, holder
        self._loop = asyncio.get_running_loop()
        self._numbers = count(1)
        self._taps: list[Tap] = []
        self._budgets: WeakSet[PooledBudget] = WeakSet()

    def budget(self, run: str, limits: Limits, clock: Callable[[], float] = time.monotonic) -> Budget:
        """The account of a run, whose limits hold for all that is spent on it, by any machine and at any time.
        Blocks for a round trip. `clock` gives seconds, for `wall_seconds`.

        Raises:
            StoreError: the store cannot be reached.
        """
        budget = PooledBudget(run, limits, clock, self._shares, self._name())
        self._budgets.add(budget)
        return budget

    def tap(self, lane: Lane) -> Tap:
        """What a lane draws from."""
        tap = Tap(lane, self._shares, self._name(), self._loop)
        self._taps.append(tap)
        return tap

    async def close(self) -> None:
        """Give back what is not in use."""
        with suppress(StoreError, TimeoutError):  # then it is missed after a while
            async with asyncio.timeout(_CLOSING_SECONDS):
                await asyncio.gather(
                    *(tap.close() for tap in self._taps), *(budget.close() for budget in self._budgets)
                )

    def _name(self) -> str:
        return f"{self._holder}#{next(self._numbers)}"


@asynccontextmanager
async def sharing(shares: Shares, holder: str) -> AsyncIterator[Shared]:
    """While inside, the lanes of the running event loop draw what leaves in a minute, and calls in flight, on the
    store, with all other machines. `holder` names this one, for people.

    Raises:
        StoreError: the store cannot be reached.
    """
    holder = f"{holder}-{secrets.token_hex(4)}"  # one that is started anew is another
    await asyncio.to_thread(shares.attend, holder)
    shared = Shared(shares, holder)
    try:
        with in_common(shared.tap):
            yield shared
    finally:
        await shared.close()
