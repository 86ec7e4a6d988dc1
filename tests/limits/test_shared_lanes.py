"""Lanes of several machines that share rates and places: minutes of theirs, on a clock of their own."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from swarm.errors import RateLimited, Unavailable
from swarm.limits.breaker import FAILURES
from swarm.limits.flow import _fair
from swarm.limits.lanes import Lane, Passage, Terms
from swarm.limits.rates import Rates
from swarm.limits.tap import Tap
from swarm.models.base import Completion
from swarm.models.quota import Level, Quota
from swarm.task import Usage
from swarm.testing.allowance import SlidingWindow
from tests.limits.clock import in_no_time
from tests.limits.shares import Memory


class Machines:
    """Several that ask one model, each for so many at a time as is said. What arrives at the provider is noted."""

    def __init__(self, rates: Rates, concurrency: int, latency: float = 1.0, quota: Quota | None = None) -> None:
        self.memory = Memory()
        self.loop = asyncio.get_running_loop()
        self.arrived: list[tuple[float, int, int]] = []
        """When, from which machine, and how many tokens of a reply it asked for."""
        self.in_flight = self.peak = 0
        self.lanes: list[Lane] = []
        self.taps: list[Tap] = []
        self.tasks: list[list[asyncio.Task[None]]] = []
        self._terms, self._latency, self._quota = Terms(rates, concurrency), latency, quota

    def add(self, at_once: int) -> None:
        number = len(self.lanes)
        lane = Lane("model", self.loop.time)
        lane.common = tap = Tap(lane, self.memory, f"m{number}#1", self.loop)
        self.lanes.append(lane)
        self.taps.append(tap)
        dice = random.Random(number)
        self.tasks.append([asyncio.create_task(self._send(number, lane, dice)) for _ in range(at_once)])

    async def _send(self, number: int, lane: Lane, dice: random.Random) -> None:
        while True:
            passage = await lane.enter(self._terms, "read", 100, 1_000)
            await asyncio.sleep(dice.uniform(0.0, 0.05))
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
            used = dice.randint(100, 300)
            self.arrived.append((self.loop.time(), number, used))
            await asyncio.sleep(self._latency * dice.uniform(0.5, 1.5))
            self.in_flight -= 1
            usage = Usage(calls=1, input_tokens=100, output_tokens=used)
            lane.leave(passage, Completion(text="", usage=usage, quota=self._quota))

    def stop(self, number: int) -> None:
        for task in self.tasks[number]:
            task.cancel()

    def kill(self, number: int) -> None:
        """With what it has in flight, which the provider goes on with for a while."""
        self.stop(number)
        if (rounds := self.taps[number]._rounds._task) is not None:
            rounds.cancel()
        self.memory.dead.add(f"m{number}")

    def most_in_a_minute(self, *, tokens: bool = False) -> int:
        window, most = SlidingWindow(10**9, 60.0), 0
        for at, _, used in self.arrived:
            window.take(at, used if tokens else 1)
            most = max(most, 10**9 - window.left(at))
        return most

    def by_machine(self, since: float = 0.0, until: float = float("inf")) -> list[int]:
        counts = Counter(number for at, number, _ in self.arrived if since <= at < until)
        return [counts[number] for number in range(len(self.lanes))]


@pytest.mark.parametrize("rate", [30, 200])
def test_requests_a_minute_hold_over_all_machines_are_used_and_are_shared_evenly(rate: int) -> None:
    async def main() -> None:
        machines = Machines(Rates(requests_per_minute=rate), 64)
        for _ in range(4):
            machines.add(8)
        await asyncio.sleep(130.0)
        assert machines.most_in_a_minute() <= rate
        assert len(machines.arrived) >= 1.8 * rate
        counts = machines.by_machine(since=30.0)
        assert max(counts) <= 1.3 * min(counts)

    in_no_time(main())


def test_tokens_a_minute_hold_over_all_machines_are_used_and_are_shared_evenly() -> None:
    async def main() -> None:
        machines = Machines(Rates(output_tokens_per_minute=60_000), 64)
        for _ in range(4):
            machines.add(8)
        await asyncio.sleep(100.0)
        assert machines.most_in_a_minute(tokens=True) <= 60_000
        assert sum(used for *_, used in machines.arrived) >= 1.5 * 60_000
        counts = machines.by_machine(since=30.0)
        assert max(counts) <= 1.5 * min(counts)

    in_no_time(main())


def test_a_machine_that_is_idle_takes_nothing_and_has_its_part_at_once_when_it_is_not() -> None:
    async def main() -> None:
        machines = Machines(Rates(output_tokens_per_minute=60_000), 16)
        machines.add(16)
        machines.add(0)
        await asyncio.sleep(130.0)
        assert sum(used for at, _, used in machines.arrived if at >= 60.0) >= 0.85 * 70_000
        for _ in range(16):
            machines.tasks[1].append(asyncio.create_task(machines._send(1, machines.lanes[1], random.Random(1))))
        await asyncio.sleep(65.0)
        first, second = machines.by_machine(since=140.0)
        assert second >= 0.6 * first

    in_no_time(main())


def test_calls_in_flight_never_pass_the_ceiling_and_are_divided_evenly() -> None:
    async def main() -> None:
        machines = Machines(Rates(), 20)
        machines.add(20)
        await asyncio.sleep(20.0)
        assert machines.peak == 20
        for at_once in (20, 20, 2):
            machines.add(at_once)
        await asyncio.sleep(60.0)
        assert machines.peak == 20
        counts = machines.by_machine(since=40.0)
        assert max(counts[:3]) <= 1.3 * min(counts[:3])
        assert counts[3] >= 2 * 40 * 0.7  # it wants no more than two places, and has them
        assert sum(counts) >= 0.8 * 20 * 40

    in_no_time(main())


def test_more_machines_than_places_take_turns() -> None:
    async def main() -> None:
        machines = Machines(Rates(), 3)
        for _ in range(6):
            machines.add(3)
        await asyncio.sleep(60.0)
        assert machines.peak <= 3
        counts = machines.by_machine()
        assert max(counts) <= 1.5 * min(counts)

    in_no_time(main())


def test_the_places_of_one_that_was_killed_are_free_after_a_few_seconds() -> None:
    async def main() -> None:
        machines = Machines(Rates(), 10)
        machines.add(10)
        machines.add(10)
        await asyncio.sleep(20.0)
        machines.kill(0)
        await asyncio.sleep(20.0)
        assert machines.by_machine(since=32.0)[1] >= 10 * 8 * 0.8

    in_no_time(main())


def test_a_limit_that_one_machine_learns_holds_for_all() -> None:
    async def main() -> None:
        told = Quota(requests=Level(limit=60, remaining=30, reset_seconds=60.0))
        machines = Machines(Rates(), 8)
        machines.add(4)
        machines.add(4)
        machines._quota = told
        await asyncio.sleep(2.0)
        machines._quota = None
        begun = len(machines.arrived)
        await asyncio.sleep(120.0)
        assert len(machines.arrived) - begun <= 125
        assert min(machines.by_machine(since=10.0)) >= 30

    in_no_time(main())


def test_what_the_others_use_is_not_taken_for_the_use_of_strangers() -> None:
    """Else each would give way to all others, and the provider's limit would be left unused."""

    async def main() -> None:
        machines = Machines(Rates(), 32)
        for _ in range(3):
            machines.add(16)

        def left() -> Quota:
            used = sum(1 for at, *_ in machines.arrived if at > machines.loop.time() - 60.0)
            return Quota(requests=Level(limit=300, remaining=300 - used, reset_seconds=59.0))

        machines._quota = left()
        for _ in range(1_300):
            await asyncio.sleep(0.1)
            machines._quota = left()
        assert machines.most_in_a_minute() <= 300 + 16 * 3  # what left before anybody had learnt of it
        assert len(machines.arrived) >= 0.85 * 300 * 2

    in_no_time(main())


async def entered(machines: Machines, number: int) -> Passage:
    return await machines.lanes[number].enter(machines._terms, "read", 100, 1_000)


def test_a_pause_that_the_provider_asks_of_one_machine_holds_for_all() -> None:
    async def main() -> None:
        machines = Machines(Rates(), 8)
        machines.add(0)
        machines.add(4)
        await asyncio.sleep(5.0)
        passage = await entered(machines, 0)
        machines.lanes[0].leave(passage, RateLimited("slow down", retry_after=30.0))
        await asyncio.sleep(1.5)
        asked = machines.loop.time()
        await asyncio.sleep(40.0)
        quiet = [at for at, *_ in machines.arrived if asked + 0.1 < at]
        assert 27.0 <= quiet[0] - asked <= 33.0

    in_no_time(main())


@pytest.mark.parametrize("answers", [True, False])
def test_a_provider_that_is_down_for_one_is_so_for_those_whom_it_did_not_answer_since(answers: bool) -> None:
    async def main() -> None:
        machines = Machines(Rates(), 16, latency=0.2 if answers else 60.0)
        machines.add(0)
        machines.add(4)
        await asyncio.sleep(5.0)
        for _ in range(FAILURES):
            machines.lanes[0].leave(await entered(machines, 0), Unavailable("down"))
        await asyncio.sleep(1.5)
        assert (machines.lanes[1].breaker.down_since is None) is answers

    in_no_time(main())


def test_calls_wait_while_the_store_is_away_and_go_on_after_that() -> None:
    async def main() -> None:
        machines = Machines(Rates(requests_per_minute=6_000), 8)
        machines.add(8)
        machines.add(8)
        await asyncio.sleep(10.0)
        machines.memory.away = True
        await asyncio.sleep(20.0)
        before = len(machines.arrived)
        await asyncio.sleep(100.0)
        assert len(machines.arrived) == before
        machines.memory.away = False
        await asyncio.sleep(10.0)
        assert len(machines.arrived) > before + 40
        assert machines.peak <= 8

    in_no_time(main())


def test_a_lane_that_is_idle_leaves_nothing_behind() -> None:
    async def main() -> None:
        machines = Machines(Rates(requests_per_minute=600), 8)
        machines.add(8)
        await asyncio.sleep(5.0)
        machines.stop(0)
        for _ in range(8):
            machines.lanes[0].places.give_back()  # those that were cancelled in flight
        machines.lanes[0].places.taken = 0
        await asyncio.sleep(5.0)
        state: dict[str, Any] = machines.memory.states["lane:model"]
        assert state["holders"] == state["beats"] == {}
        before = machines.memory.exchanges
        await asyncio.sleep(60.0)
        assert machines.memory.exchanges == before

    in_no_time(main())


def test_a_call_costs_far_less_than_an_exchange_where_many_leave() -> None:
    async def main() -> None:
        machines = Machines(Rates(requests_per_minute=60_000), 64, latency=0.2)
        machines.add(64)
        await asyncio.sleep(10.0)
        before = len(machines.arrived), machines.memory.exchanges
        await asyncio.sleep(10.0)
        calls, exchanges = len(machines.arrived) - before[0], machines.memory.exchanges - before[1]
        assert calls > 2_000
        assert exchanges < calls / 40

    in_no_time(main())


def test_places_are_divided_max_min() -> None:
    assert _fair(10, {"a": 10, "b": 10, "c": 1}) == {"a": 5, "b": 4, "c": 1}
    assert _fair(2, {"a": 1, "b": 1, "c": 1}) == {"a": 1, "b": 1, "c": 0}
    assert _fair(10, {"a": 2, "b": 3}) == {"a": 2, "b": 3}
