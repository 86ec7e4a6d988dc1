"""The stock of a run over machines: never past its limit, whoever dies and whenever, and used to the last unit."""

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from swarm.errors import LimitReached, StoreError
from swarm.limits.purse import PooledBudget
from swarm.limits.sums import NOTHING, Sum, sum_of
from swarm.models.base import Price
from swarm.store.shares import Paid, Step
from swarm.task import Limits, Usage
from tests.limits.clock import in_no_time
from tests.limits.shares import Memory, T

PRICE = Price(input_usd=1.0, output_usd=1.0, cached_usd=1.0)


@dataclass
class Books:
    """A journal as far as money goes: what is paid, and which calls are open, by who begun them."""

    memory: Memory
    paid: Sum = NOTHING
    open: list[tuple[str, Usage]] = field(default_factory=list)

    def begin(self, machine: str, worst: Usage) -> tuple[str, Usage]:
        call = (machine, worst)
        self.open.append(call)
        self._show()
        return call

    def finish(self, call: tuple[str, Usage], usage: Usage) -> None:
        if call in self.open:
            self.open.remove(call)
        self.paid = self.paid.plus(sum_of(usage))
        self._show()

    def settle_lost(self, machine: str) -> None:
        for call in [call for call in self.open if call[0] == machine]:
            self.finish(call, call[1])

    def _show(self) -> None:
        self.memory.runs["run"] = _paid(self.paid)
        open_ = NOTHING
        for _, worst in self.open:
            open_ = open_.plus(sum_of(worst))
        self.memory.open["run"] = _paid(open_)


def _paid(sum_: Sum) -> Paid:
    return Paid(calls=sum_.calls, input_tokens=sum_.tokens, units=sum_.units)


class Door(Memory):
    """What one machine alone cannot reach while it is `shut`."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(memory.seconds)
        self.shut, self._behind = False, memory

    async def change(self, name: str, step: Step[T]) -> T:
        if self.shut:
            raise StoreError("the network is away")
        return await self._behind.change(name, step)

    def change_sync(self, name: str, step: Step[T]) -> T:
        return self._behind.change_sync(name, step)


class Machine:
    """Sends calls until it is refused; each uses a random part of what it might."""

    def __init__(self, books: Books, name: str, limits: Limits, dice: random.Random, at_once: int) -> None:
        self.books, self.name, self.dice = books, name, dice
        self.budget = PooledBudget("run", limits, lambda: 0.0, books.memory, f"{name}#1")
        self.refused: list[str] = []
        self.calls = 0
        self.tasks = [asyncio.create_task(self._work()) for _ in range(at_once)]

    async def _work(self) -> None:
        while True:
            most = self.dice.randint(50, 1_000)
            try:
                reserved = await self.budget.acquire(PRICE, most, most)
            except LimitReached as error:
                self.refused.append(str(error))
                return
            worst = Usage(calls=1, input_tokens=most, output_tokens=most, cost_usd=reserved.cost_usd)
            call = self.books.begin(self.name, worst)
            await asyncio.sleep(self.dice.uniform(0.01, 2.0))
            out = self.dice.randint(0, most)
            usage = Usage(calls=1, input_tokens=most, output_tokens=out, cost_usd=PRICE.worst(most, out))
            self.budget.settle(reserved, usage)
            await asyncio.sleep(self.dice.uniform(0.0, 0.01))  # the journal takes its time
            self.books.finish(call, usage)
            self.budget.recorded(usage)
            self.calls += 1

    def kill(self) -> None:
        for task in self.tasks:
            task.cancel()
        if (rounds := self.budget._rounds._task) is not None:
            rounds.cancel()
        self.books.memory.dead.add(self.name)


@pytest.mark.parametrize("seed", range(6))
def test_machines_never_pass_a_limit_together_and_use_it_to_the_last_call_whoever_dies(seed: int) -> None:
    dice = random.Random(seed)
    limit = dice.choice([20_000, 200_000])
    limits = [Limits(tokens=limit), Limits(cost_usd=limit / 1e6, tokens=2 * limit), Limits(calls=limit // 1_000)][
        seed % 3
    ]

    async def main() -> None:
        memory = Memory(0.005)
        books = Books(memory)
        machines = [Machine(books, f"m{number}", limits, dice, dice.randint(1, 8)) for number in range(4)]
        await asyncio.sleep(dice.uniform(0.5, 5.0))
        machines[0].kill()
        await asyncio.sleep(dice.uniform(0.5, 30.0))
        assert not any(machine.refused for machine in machines[1:]) or _near(books, limits)
        books.settle_lost("m0")
        async with asyncio.timeout(1_000):
            await asyncio.gather(*(task for machine in machines[1:] for task in machine.tasks))
        assert _within(books.paid, limits)
        assert _near(books, limits), (books.paid, limits)
        assert all(len(machine.refused) == len(machine.tasks) for machine in machines[1:])
        assert len({text for machine in machines[1:] for text in machine.refused}) == 1

    in_no_time(main())


def _most(limits: Limits) -> tuple[int | None, int | None, int | None]:
    calls = None if limits.calls is None else limits.calls - 2
    tokens = None if limits.tokens is None else int(limits.tokens * 0.75)
    units = None if limits.cost_usd is None else int(round(limits.cost_usd * 10**12) * 0.75)
    return calls, tokens, units


def _within(paid: Sum, limits: Limits) -> bool:
    return all(most is None or spent <= most for spent, most in zip(paid, _most(limits), strict=True))


def _near(books: Books, limits: Limits) -> bool:
    """Whether the largest call would not fit any more."""
    most = zip(books.paid, _most(limits), (1, 2_000, 2_000 * 10**6), strict=True)
    return any(limit is not None and spent + call > limit for spent, limit, call in most)


def test_the_purse_of_one_that_died_is_free_once_its_calls_are_settled() -> None:
    limits = Limits(tokens=10_000)

    async def main() -> None:
        memory = Memory()
        books = Books(memory)
        dead = PooledBudget("run", limits, lambda: 0.0, memory, "dead#1")
        reserved = await dead.acquire(PRICE, 3_000, 3_000)
        books.begin("dead", Usage(calls=1, input_tokens=3_000, output_tokens=3_000, cost_usd=reserved.cost_usd))
        memory.dead.add("dead")
        await dead._rounds.end()

        other = PooledBudget("run", limits, lambda: 0.0, memory, "other#1")
        waiting = asyncio.create_task(other.acquire(PRICE, 1_000, 1_000))
        await asyncio.sleep(60.0)
        assert not waiting.done()  # the lost call may have cost all of it
        books.settle_lost("dead")
        with pytest.raises(LimitReached, match="the limit of 10,000 tokens is reached"):
            await waiting
        await other.acquire(PRICE, 700, 700)

    in_no_time(main())


def test_a_machine_that_is_idle_gives_back_all_that_it_holds() -> None:
    async def main() -> None:
        memory = Memory()
        books = Books(memory)
        machine = Machine(books, "m", Limits(tokens=1_000_000), random.Random(1), 8)
        await asyncio.sleep(10.0)
        for task in machine.tasks:
            task.cancel()
        reserved = await machine.budget.acquire(PRICE, 10, 10)
        machine.budget.settle(reserved, Usage())
        machine.budget._reserved = NOTHING  # those that were cancelled
        machine.budget._mark = machine.budget._recorded = machine.budget._settled
        await asyncio.sleep(5.0)
        assert memory.states["stock:run"] == {}

    in_no_time(main())


def test_nothing_is_spent_while_the_store_is_away_and_it_goes_on_after_that() -> None:
    async def main() -> None:
        memory = Memory()
        books = Books(memory)
        machine = Machine(books, "m", Limits(tokens=10_000_000), random.Random(1), 8)
        await asyncio.sleep(5.0)
        memory.away = True
        await asyncio.sleep(10.0)
        before = len(books.open), machine.calls
        await asyncio.sleep(100.0)
        assert (len(books.open), machine.calls) == before
        memory.away = False
        await asyncio.sleep(5.0)
        assert machine.calls > before[1] + 20
        machine.kill()

    in_no_time(main())


def test_what_was_given_up_and_may_be_open_is_covered_until_the_journal_tells() -> None:
    async def main() -> None:
        memory = Memory()
        books = Books(memory)
        limits = Limits(tokens=10_000)
        one = PooledBudget("run", limits, lambda: 0.0, memory, "one#1")
        reserved = await one.acquire(PRICE, 2_000, 2_000)
        worst = Usage(calls=1, input_tokens=2_000, output_tokens=2_000, cost_usd=reserved.cost_usd)
        call = books.begin("one", worst)
        one.settle(reserved, Usage())
        one.adrift(Usage(), worst)
        other = PooledBudget("run", limits, lambda: 0.0, memory, "other#1")
        waiting = asyncio.create_task(other.acquire(PRICE, 2_000, 2_000))
        await asyncio.sleep(30.0)
        assert not waiting.done()
        books.finish(call, Usage(calls=1, input_tokens=2_000, output_tokens=0))
        await asyncio.sleep(30.0)
        assert waiting.done()
        assert waiting.exception() is None

    in_no_time(main())


def test_a_machine_that_was_taken_for_dead_reserves_anew_what_it_has_not_sent() -> None:
    async def main() -> None:
        memory = Memory()
        books = Books(memory)
        cut_off = Door(memory)
        one = PooledBudget("run", Limits(tokens=10_000), lambda: 0.0, cut_off, "one#1")
        reserved = await one.acquire(PRICE, 2_000, 2_000)
        assert not one.void(reserved)
        cut_off.shut = True
        other = PooledBudget("run", Limits(tokens=10_000), lambda: 0.0, memory, "other#1")
        theirs = await other.acquire(PRICE, 3_000, 3_000)  # which waits until the first is given up
        call = books.begin("other", Usage(calls=1, input_tokens=3_000, output_tokens=3_000))
        other.settle(theirs, usage := Usage(calls=1, input_tokens=3_000))
        books.finish(call, usage)
        other.recorded(usage)
        cut_off.shut = False
        await asyncio.sleep(5.0)
        assert one.void(reserved)
        one.settle(reserved, Usage())
        again = await one.acquire(PRICE, 2_000, 2_000)
        assert not one.void(again)

    in_no_time(main())


def test_a_share_of_a_pooled_budget_has_limits_of_its_own() -> None:
    async def main() -> None:
        memory = Memory()
        pooled = PooledBudget("run", Limits(tokens=100_000), lambda: 0.0, memory, "m#1")
        share = pooled.share(Limits(tokens=1_000))
        reserved = await share.acquire(PRICE, 400, 400)
        share.settle(reserved, Usage(calls=1, input_tokens=400, output_tokens=400))
        with pytest.raises(LimitReached, match="the slice's limit of 1,000 tokens is reached") as caught:
            await share.acquire(PRICE, 400, 400)
        assert caught.value.scope == "slice"
        assert pooled.spent.tokens == 800

    in_no_time(main())
