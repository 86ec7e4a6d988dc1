"""A share's seconds, held while a call is on its way: the budget looks at the clock only before one leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from swarm.errors import LimitReached
from swarm.limits.budget import Budget

T = TypeVar("T")


async def in_time(work: Awaitable[T], share: Budget | None) -> T:
    """What `work` returns, within the seconds that are left of a slice's share. It is cancelled when they are
    over; a call that it has on its way then counts at the most that it can come to. Where none are left at the
    start, the budget lets no call leave, and what the journal knows already still counts.

    Raises:
        LimitReached: of the slice: the seconds are over.
    """
    left = share.seconds_left if share is not None else None
    if share is None or left is None or left <= 0:
        return await work
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def look() -> None:
        nonlocal timer
        left = share.seconds_left or 0.0
        if left > 0:  # the run was paused, which does not count
            timer = loop.call_later(left, look)
        else:
            timeout.reschedule(loop.time())

    timer = loop.call_later(left, look)
    try:
        async with asyncio.timeout(None) as timeout:
            return await work
    except TimeoutError:
        if not timeout.expired():
            raise
        seconds = share.limits.wall_seconds or 0.0
        raise LimitReached(f"the slice took longer than {seconds:g} seconds", "wall_seconds", "slice") from None
    finally:
        timer.cancel()
