"""What machines share limits by, in memory and by the clock of the running loop: for tests of whole minutes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from typing import TypeVar

from swarm.errors import StoreError
from swarm.store.shares import Paid, State, Step

T = TypeVar("T")


class Memory:
    """See `swarm.store.shares.Shares`. An exchange takes `seconds`; `dead` are the machines that nobody answers
    for, and while it is `away` nothing can be reached."""

    def __init__(self, seconds: float = 0.002) -> None:
        self.seconds = seconds
        self.states: dict[str, State] = {}
        self.dead: set[str] = set()
        self.away = False
        self.exchanges = 0
        self.runs: dict[str, Paid] = {}
        self.open: dict[str, Paid] = {}
        self.loop = asyncio.get_running_loop()

    @property
    def now(self) -> float:
        return 1_000_000_000.25 + self.loop.time()

    def gone(self, holders: Collection[str]) -> set[str]:
        return self.dead & set(holders)

    def paid(self, run: str) -> Paid:
        return self.runs.get(run, Paid())

    def in_doubt(self, run: str) -> Paid:
        return self.open.get(run, Paid())

    async def change(self, name: str, step: Step[T]) -> T:
        await asyncio.sleep(self.seconds / 2)
        if self.away:
            raise StoreError("the server is away")
        came = self.change_sync(name, step)
        await asyncio.sleep(self.seconds / 2)
        return came

    def change_sync(self, name: str, step: Step[T]) -> T:
        self.exchanges += 1
        before = json.loads(json.dumps(self.states.get(name, {})))
        after, came = step(before, self)
        self.states[name] = json.loads(json.dumps(after))
        return came

    def attend(self, holder: str) -> None:
        self.dead.discard(holder)

    def close(self) -> None:
        pass
