"""A call that lasts far longer than such calls do is asked a second time where that does no harm."""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swarm.errors import CallFailed, InvalidReply, Rejected
from swarm.limits.budget import Budget
from swarm.limits.flights import ENOUGH, _quantile
from swarm.limits.gate import Gate, key_of
from swarm.limits.hedged import AGAIN, AMPLE, FLOOR_SECONDS, TIMES_USUAL, Hedged
from swarm.limits.lanes import lane_of
from swarm.limits.rates import Rates
from swarm.models.base import Completion, Price
from swarm.models.scripted import Scripted
from swarm.observe.scope import within
from swarm.prompts.replies import PlanReply
from swarm.prompts.typed import PlanPrompt, Prompt
from swarm.store.database import Database
from swarm.store.sqlite import SqliteJournal
from swarm.task import Limits, Usage

USUAL = 10.0  # seconds
LATE = TIMES_USUAL * USUAL + 1
MAIN = "Who burnt the mill?"


def said(reading: str) -> dict[str, Any]:
    return {"queries": [], "reading": reading}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Remote(Scripted):
    """Answers each call when the test says so: `sent` holds those that wait for it."""

    remote = True

    def __init__(self) -> None:
        super().__init__({}, price=Price(input_usd=2.0, output_usd=10.0, cached_usd=0.2))
        self.sent: asyncio.Queue[asyncio.Future[Any]] = asyncio.Queue()

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        answered = asyncio.get_running_loop().create_future()
        self.sent.put_nowait(answered)
        self._replies = [await answered]
        self._used = 0
        return await super().call(prompt, max_output=max_output)


class Stage:
    """A gate over a journal, a remote model and a clock. Calls like those that are to be late usually take
    `USUAL` seconds, as `ENOUGH` of them have shown."""

    def __init__(self, journal: SqliteJournal) -> None:
        self.journal, self.model, self.clock = journal, Remote(), Clock()
        self.gate = Gate(journal, "run", Budget(Limits()), Rates(), 64, lambda _: None)
        self.gate.flights.clock = self.clock
        self.spare = 1

    def hedged(self, **options: Any) -> Hedged:
        return Hedged(self.gate, lambda: self.spare, **options)

    async def learn(self, calls: int = ENOUGH) -> None:
        for number in range(calls):
            async with asyncio.TaskGroup() as group:
                group.create_task(self.gate.ask(self.model, prompt(f"question {number}")))
                call = await self.model.sent.get()
                self.clock.now += USUAL
                call.set_result(said("as usual"))

    async def late(
        self, hedged: Hedged, group: asyncio.TaskGroup, budget: Budget | None = None
    ) -> tuple[asyncio.Task[PlanReply], Any]:
        """A call that has been on its way for too long."""
        task = group.create_task(hedged.ask(self.model, prompt(MAIN), budget=budget))
        call = await self.model.sent.get()
        self.clock.now += LATE
        hedged.look()
        return task, call

    def settled(self, attempt: int = 0) -> list[tuple[Any, ...]]:
        """What the journal tells of a call: its reply, why it failed, calls and tokens."""
        key = bytes.fromhex(key_of(self.model, prompt(MAIN), attempt))
        return self.journal._database.read(
            "SELECT reply, failure, outcomes.calls, input_tokens + output_tokens FROM outcomes "
            "JOIN calls ON calls.seq = outcomes.call WHERE key = ? ORDER BY outcomes.seq",
            (key,),
        )

    @property
    def worst(self) -> Usage:
        tokens = self.model.count(prompt(MAIN))
        cost = self.model.price.worst(tokens, self.model.max_output)
        return Usage(calls=1, input_tokens=tokens, output_tokens=self.model.max_output, cost_usd=cost)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    database = Database.open(tmp_path / "store.db")
    yield SqliteJournal(database)
    database.close()


@pytest.fixture
def stage(journal: SqliteJournal) -> Stage:
    return Stage(journal)


def prompt(question: str) -> PlanPrompt:
    return PlanPrompt(question=question, output="answer", sources=("a.md",), count=1, chars=10)


def same(one: Usage, other: Usage) -> bool:
    return replace(one, cost_usd=round(one.cost_usd, 9)) == replace(other, cost_usd=round(other.cost_usd, 9))


async def steps() -> None:
    """As many turns of the loop as anything here could need, for what must not happen."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_the_copy_of_a_late_call_counts_where_it_is_answered_first(stage: Stage) -> None:
    await stage.learn()
    before = stage.gate.budget.spent
    hedged = stage.hedged()
    async with asyncio.TaskGroup() as group:
        task, first = await stage.late(hedged, group)
        copy = await stage.model.sent.get()
        copy.set_result(said("from the copy"))
        assert (await task).reading == "from the copy"
    assert first.cancelled()
    assert (hedged.hedges, hedged.won) == (1, 1)
    spent = stage.gate.budget.spent
    assert spent.calls == before.calls + 2
    assert same(
        stage.journal.spent("run"), spent
    )  # the call that was given up counts at the most that it can come to
    assert spent.tokens > before.tokens + stage.worst.tokens
    [given_up, stands_in] = stage.settled()
    assert given_up[1:] == ("Unavailable: given up while it was on its way", 1, stage.worst.tokens)
    assert "from the copy" in stands_in[0]
    assert stands_in[2:] == (0, 0)
    assert await stage.journal.settle_lost("run") == Usage()


async def test_whoever_asks_the_same_later_gets_the_reply_of_the_copy_and_pays_nothing(stage: Stage) -> None:
    await stage.learn()
    async with asyncio.TaskGroup() as group:
        await stage.late(stage.hedged(), group)
        (await stage.model.sent.get()).set_result(said("from the copy"))
    asked = len(stage.model.calls)
    other = Stage(stage.journal)
    assert (await other.gate.ask(stage.model, prompt(MAIN))).reading == "from the copy"
    assert len(stage.model.calls) == asked


async def test_where_the_call_itself_is_answered_first_the_copy_is_given_up_and_settled(stage: Stage) -> None:
    await stage.learn()
    hedged = stage.hedged()
    async with asyncio.TaskGroup() as group:
        task, first = await stage.late(hedged, group)
        copy = await stage.model.sent.get()
        first.set_result(said("after all"))
        assert (await task).reading == "after all"
    assert copy.cancelled()
    assert (hedged.hedges, hedged.won) == (1, 0)
    [given_up] = stage.settled(AGAIN)
    assert given_up == (None, "Unavailable: given up while it was on its way", 1, stage.worst.tokens)
    assert same(stage.journal.spent("run"), stage.gate.budget.spent)


async def not_asked_twice(stage: Stage, hedged: Hedged) -> None:
    async with asyncio.TaskGroup() as group:
        _, call = await stage.late(hedged, group)
        await steps()
        assert stage.model.sent.empty()
        call.set_result(said("late, and once"))
    assert hedged.hedges == 0


async def test_nothing_is_late_before_enough_is_known(stage: Stage) -> None:
    await stage.learn(ENOUGH - 1)
    await not_asked_twice(stage, stage.hedged())


async def test_no_call_is_asked_twice_without_a_spare_place(stage: Stage) -> None:
    await stage.learn()
    stage.spare = 0
    await not_asked_twice(stage, stage.hedged())


async def test_no_call_is_asked_twice_where_the_lane_is_full(stage: Stage) -> None:
    await stage.learn()
    lane = lane_of(stage.model)
    while lane.places.taken < lane.places.limit - 1:  # one is for the call itself
        lane.places.take()
    await not_asked_twice(stage, stage.hedged())


@pytest.mark.parametrize("limit", ["cost_usd", "tokens", "calls"])
@pytest.mark.parametrize(
    ("most", "ahead", "hedges"),
    [(AMPLE + 1, 0, 1), (AMPLE, 0, 0), (AMPLE + 8, 7, 1), (AMPLE + 7, 7, 0)],
    ids=["ample", "short", "ample with what is ahead", "short with what is ahead"],
)
async def test_a_copy_is_not_what_brings_a_run_to_a_limit(
    stage: Stage, limit: str, most: int, ahead: int, hedges: int
) -> None:
    await stage.learn()
    each = {"cost_usd": stage.worst.cost_usd, "tokens": stage.worst.tokens, "calls": 1}[limit]
    budget = Budget(Limits(**{limit: most * each}))  # type: ignore[arg-type]
    budget.finishing = True  # nothing is held back
    hedged = stage.hedged(ahead=lambda: ahead)
    async with asyncio.TaskGroup() as group:
        _, call = await stage.late(hedged, group, budget)
        if hedges:
            await stage.model.sent.get()
        await steps()
        call.set_result(said("after all"))
    assert hedged.hedges == hedges


async def test_at_most_one_call_in_twenty_is_asked_twice(stage: Stage) -> None:
    await stage.learn(ENOUGH * 2 - 2)
    hedged = stage.hedged()
    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(hedged.ask(stage.model, prompt(f"late {number}")))
            call = await stage.model.sent.get()
            stage.clock.now += LATE
            hedged.look()
            if number == 2:
                await steps()
                assert stage.model.sent.empty()
                call.set_result(said("late, and once"))
            else:
                (await stage.model.sent.get()).set_result(said("from the copy"))
    assert hedged.hedges == 2


async def test_a_spare_place_takes_one_copy(stage: Stage) -> None:
    await stage.learn(ENOUGH * 3)
    hedged = stage.hedged()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(hedged.ask(stage.model, prompt(f"late {number}"))) for number in range(2)]
        calls = [await stage.model.sent.get() for _ in tasks]
        stage.clock.now += LATE
        hedged.look()
        copy = await stage.model.sent.get()
        hedged.look()
        await steps()
        assert stage.model.sent.empty()
        copy.set_result(said("from the copy"))
        await tasks[0]
        hedged.look()  # the place is spare again
        (await stage.model.sent.get()).set_result(said("from the copy"))
    assert all(call.cancelled() for call in calls)


async def test_a_call_that_waits_for_its_turn_is_not_late(stage: Stage) -> None:
    await stage.learn()
    hedged = stage.hedged()
    lane = lane_of(stage.model)
    full = lane.places.limit
    for _ in range(full):
        lane.places.take()
    async with asyncio.TaskGroup() as group:
        group.create_task(hedged.ask(stage.model, prompt(MAIN)))
        await steps()
        stage.clock.now += LATE
        for _ in range(full):
            lane.places.give_back()
        hedged.look()
        lane.stir()
        (await stage.model.sent.get()).set_result(said("in turn"))
    assert hedged.hedges == 0


async def test_a_model_in_this_process_is_asked_as_ever(stage: Stage) -> None:
    hedged = stage.hedged()
    assert (await hedged.ask(Scripted([said("here")]), prompt(MAIN))).reading == "here"


async def test_a_copy_that_fails_harms_nothing(stage: Stage) -> None:
    await stage.learn()
    async with asyncio.TaskGroup() as group:
        task, first = await stage.late(stage.hedged(), group)
        (await stage.model.sent.get()).set_result(CallFailed("not this time"))
        await steps()
        assert not task.done()
        first.set_result(said("after all"))
    assert task.result().reading == "after all"


async def test_a_call_that_fails_is_saved_by_its_copy(stage: Stage) -> None:
    await stage.learn()
    async with asyncio.TaskGroup() as group:
        task, first = await stage.late(stage.hedged(), group)
        copy = await stage.model.sent.get()
        first.set_result(CallFailed("not this time"))
        await steps()
        copy.set_result(said("from the copy"))
    assert task.result().reading == "from the copy"
    assert stage.journal.failed_calls("run") == {}


@pytest.mark.parametrize("failure", [Rejected("no such model"), CallFailed("not this time")])
async def test_what_the_copy_cannot_mend_is_raised(stage: Stage, failure: CallFailed) -> None:
    await stage.learn()
    hedged = stage.hedged()
    asking = asyncio.create_task(hedged.ask(stage.model, prompt(MAIN)))
    first = await stage.model.sent.get()
    stage.clock.now += LATE
    hedged.look()
    copy = await stage.model.sent.get()
    first.set_result(failure)
    if not isinstance(failure, Rejected):
        copy.set_result(CallFailed("nor that time"))
    with pytest.raises(type(failure), match=str(failure)):
        await asking
    assert copy.done()


async def test_a_call_whose_own_reply_is_being_mended_is_waited_for(stage: Stage) -> None:
    await stage.learn()
    async with asyncio.TaskGroup() as group:
        task, first = await stage.late(stage.hedged(), group)
        copy = await stage.model.sent.get()
        first.set_result("no JSON")
        mending = await stage.model.sent.get()
        copy.set_result(said("from the copy"))
        await steps()
        assert not task.done()
        mending.set_result(said("mended"))
    assert task.result().reading == "mended"
    assert (await Stage(stage.journal).gate.ask(stage.model, prompt(MAIN))).reading == "mended"


async def test_without_mending_an_invalid_reply_is_raised_though_the_copy_has_a_valid_one(stage: Stage) -> None:
    await stage.learn()
    hedged = stage.hedged()
    asking = asyncio.create_task(hedged.ask(stage.model, prompt(MAIN), mend=False))
    first = await stage.model.sent.get()
    stage.clock.now += LATE
    hedged.look()
    copy = await stage.model.sent.get()
    first.set_result("no JSON")
    with pytest.raises(InvalidReply):
        await asking
    assert copy.cancelled()


async def answered_and_died(stage: Stage, *replies: Any) -> None:
    """The process ends when the copy was answered and nobody had heard of it."""
    asking = asyncio.create_task(stage.gate.ask(stage.model, prompt(MAIN), AGAIN))
    for reply in replies:
        (await stage.model.sent.get()).set_result(reply)
    await asking


@pytest.mark.parametrize("replies", [[said("before")], ["no JSON", said("before")]], ids=["at once", "mended"])
async def test_a_run_that_goes_on_takes_a_copy_that_was_answered_before(stage: Stage, replies: list[Any]) -> None:
    await answered_and_died(stage, *replies)
    again = Stage(stage.journal)
    for _ in range(2):
        reply = await again.hedged(resumed=True).ask(again.model, prompt(MAIN))
        assert reply.reading == "before"
    assert again.model.sent.empty()


async def test_a_reply_of_its_own_comes_before_that_of_a_copy(stage: Stage) -> None:
    await answered_and_died(stage, said("before"))
    asking = asyncio.create_task(stage.gate.ask(stage.model, prompt(MAIN)))
    (await stage.model.sent.get()).set_result(said("its own"))
    await asking
    assert (await stage.hedged(resumed=True).ask(stage.model, prompt(MAIN))).reading == "its own"


async def test_cancelled_it_leaves_no_call_and_no_task_behind(stage: Stage) -> None:
    await stage.learn()
    before = asyncio.all_tasks()
    hedged = stage.hedged()
    asking = asyncio.create_task(hedged.ask(stage.model, prompt(MAIN)))
    first = await stage.model.sent.get()
    stage.clock.now += LATE
    hedged.look()
    copy = await stage.model.sent.get()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert first.cancelled()
    assert copy.cancelled()
    assert asyncio.all_tasks() == before
    assert same(stage.journal.spent("run"), stage.gate.budget.spent)


async def test_it_looks_by_itself_from_time_to_time(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarm.limits.hedged._LOOK_SECONDS", 0.0)
    await stage.learn()
    hedged = stage.hedged()
    async with asyncio.TaskGroup() as group:
        group.create_task(hedged.ask(stage.model, prompt(MAIN)))
        await stage.model.sent.get()
        stage.clock.now += LATE
        (await stage.model.sent.get()).set_result(said("from the copy"))
    assert hedged.won == 1
    assert hedged._timer is None


async def test_a_copy_is_asked_by_whoever_asked_the_call(stage: Stage) -> None:
    known = 2 * ENOUGH  # for two that are late at once
    await stage.learn(known)
    hedged, stage.spare = stage.hedged(), 2
    async with asyncio.TaskGroup() as group:
        with within(asker="another slice"):  # the first that asks starts the clock that looks for late ones
            group.create_task(hedged.ask(stage.model, prompt("Who built it?")))
            await stage.model.sent.get()
        with within(asker="this slice"):
            await stage.late(hedged, group)
        for copy in [await stage.model.sent.get() for _ in range(2)]:
            copy.set_result(said("from the copy"))
            await steps()
    askers = [call.asker for call in stage.journal.calls("run")]
    assert askers[known:] == 2 * ["another slice", "this slice"]


def test_there_is_a_floor_below_which_nothing_is_late(stage: Stage) -> None:
    hedged = stage.hedged()
    assert not hedged._is_late(FLOOR_SECONDS, 0.001)
    assert hedged._is_late(FLOOR_SECONDS + 0.001, 0.001)


def test_what_is_usual_counts_those_that_are_still_on_their_way() -> None:
    ended = deque(float(n) for n in range(1, 21))
    assert _quantile(ended, []) == 19.0
    assert _quantile(ended, [0.5] * 100) == 19.0  # those that have just left say nothing
    assert _quantile(ended, [30.0]) == 20.0
    assert _quantile(ended, [30.0] * 40) is None  # most take longer than any that came back
