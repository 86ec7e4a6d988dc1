"""What must hold of whatever is shown of a run, of any kind and at any moment; and runs on tape, to be followed
once more in pieces."""

from __future__ import annotations

import dataclasses
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from swarm.cli.watching.look import Look as Watching
from swarm.history import show
from swarm.inspect import follow
from swarm.inspect.calls import UNDER_WAY
from swarm.inspect.data.cost import cost
from swarm.inspect.data.coverage import coverage, totals
from swarm.inspect.data.lanes import lanes
from swarm.inspect.data.timeline import timeline
from swarm.inspect.data.windows import windows
from swarm.inspect.diff.sides import side_of
from swarm.inspect.follow import Follower
from swarm.inspect.look import Look
from swarm.inspect.opened import Opened, open_run
from swarm.inspect.plan import STATES
from swarm.store.journal import Call, Outcome, Record
from swarm.store.sqlite import SqliteJournal
from swarm.task import Answer, Usage

_PARTS = ("plan", "judge", "consolidate", "finish")
_WRITES = ("append", "begin_call", "finish_call", "fail_call", "settle_lost")


def picture(follower: Follower) -> dict[str, Any]:
    """All that a follower tells, to be compared."""
    plan, calls = follower.plan, follower.calls
    return {
        "slices": {id_: rounded(seen) for id_, seen in plan.slices.items()},
        "branches": {
            key: {name: getattr(one, name) for name in one.__slots__} for key, one in plan.branches.items()
        },
        "states": {state: plan.states[state] for state in STATES},
        "running": plan.running,
        "failed": list(plan.failed),
        "goal": plan.goal,
        "calls": [
            (
                calls.keys[row], calls.begun[row], calls.ended[row], calls.state[row], calls.room[row],
                calls.counted[row], calls.sent[row], calls.input_tokens[row], calls.output_tokens[row],
                calls.cached_tokens[row], calls.cost_usd[row],
                calls.models.texts[calls.model[row]], calls.kinds.texts[calls.kind[row]],
                calls.asked_by(row), row in calls.under_way,
            )
            for row in range(len(calls))
        ],
        "costs": {key: rounded(one) for key, one in follower.costs.items()},
        "spent": rounded(follower.spent),
        "counts": follower.counts,
        "times": (follower.begun, follower.last),
        "sessions": follower.sessions,
        "asked": (follower.task, follower.instructions, follower.answer),
        "latest": follower.latest(50),
    }  # fmt: skip


def rounded(told: Any) -> dict[str, Any]:
    """By its fields, since what is added in another order differs in the last place."""
    fields = {one.name: getattr(told, one.name) for one in dataclasses.fields(told)}
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in fields.items()}


def holds_now(follower: Follower) -> None:
    """What holds of a run at any moment at which it is looked at."""
    plan, calls = follower.plan, follower.calls
    states = Counter(seen.state for seen in plan.slices.values())
    assert {state: plan.states[state] for state in STATES} == {state: states[state] for state in STATES}
    for branch in plan.branches.values():
        inside = Counter(plan.slices[id_].state for id_ in branch.slices)
        assert {state: branch.states[state] for state in STATES} == {state: inside[state] for state in STATES}
    assert sum(len(branch.slices) for branch in plan.branches.values()) == len(plan.slices)
    assert plan.running == {id_ for id_, seen in plan.slices.items() if seen.state == "running"}
    assert set(plan.failed) == {id_ for id_, seen in plan.slices.items() if seen.state == "failed"}
    busy, of = follower.places
    assert busy <= of
    at_work = sum(not plan.slices[id_].plans for id_ in plan.running)
    assert at_work <= of, (plan.running, follower.status)
    if not follower.live:
        assert (busy, follower.phase, plan.states["running"]) == (0, "", 0)
        assert UNDER_WAY not in calls.state
    for seen in plan.slices.values():
        assert (seen.begun is None) == (seen.state == "ready"), seen
        assert (seen.ended is None) == (seen.state in ("ready", "running")), seen
        assert seen.begun is None or seen.ended is None or seen.begun <= seen.ended, seen
    for row in range(len(calls)):
        asker = calls.asked_by(row)
        branch = asker.partition(":")[2].rpartition(":")[0] if asker.startswith(("plan:", "judge:")) else None
        known = asker in plan.slices or asker in _PARTS or branch in plan.branches
        assert known, (asker, calls.kinds.texts[calls.kind[row]])
        assert calls.ended[row] == 0 or calls.begun[row] <= calls.ended[row] or calls.state[row] == UNDER_WAY
    sums_hold(follower)


def sums_hold(follower: Follower) -> None:
    """Costs by branch, model and kind are what was spent, and slices are charged with their own calls."""
    plan, calls, spent = follower.plan, follower.calls, follower.spent
    costs = list(follower.costs.values())
    assert sum(one.calls for one in costs) == spent.calls
    assert sum(one.input_tokens for one in costs) == spent.input_tokens == sum(calls.input_tokens)
    assert sum(one.output_tokens for one in costs) == spent.output_tokens == sum(calls.output_tokens)
    assert sum(one.cost_usd for one in costs) == pytest.approx(spent.cost_usd)
    assert sum(calls.cost_usd) == pytest.approx(spent.cost_usd)
    assert sum(calls.sent) == spent.calls
    by_slice: Counter[str] = Counter()
    for row in range(len(calls)):
        by_slice[calls.asked_by(row)] += calls.input_tokens[row] + calls.output_tokens[row]
    assert {id_: seen.tokens for id_, seen in plan.slices.items() if seen.tokens} == {
        id_: tokens for id_, tokens in by_slice.items() if id_ in plan.slices and tokens
    }


def holds_at_last(store: Path | str, run: str, answer: Answer | None = None) -> None:
    """What holds of a run that nobody is at: it is shown as its journal, its history and its answer tell it."""
    with open_run(run, store) as opened:
        look = Look(opened)
        follower = look.fresh()
        holds_now(follower)
        shown = show(run, store)
        assert not follower.live
        assert_spent(follower.spent, opened.journal.spent(run))
        assert_spent(follower.spent, shown.run.usage)
        assert (follower.status, follower.why) == (shown.run.status, shown.run.why)
        assert (follower.begun, follower.last) == (shown.run.begun, shown.run.last)
        assert follower.sessions == list(shown.sessions)
        assert follower.instructions == list(shown.instructions)
        plan = follower.plan
        assert plan.states["done"] == shown.run.slices_done
        assert len(plan.slices) == shown.run.slices_planned + plan.states["split"]
        failed = [seen.why for seen in plan.slices.values() if seen.state == "failed"]
        told = [why for id_, why in shown.failures if id_ in plan.failed]
        assert sorted(failed) == sorted(told)
        times_hold(look)
        drawings_hold(look)
        if answer is not None:
            answer_holds(look, answer)


def assert_spent(one: Usage, other: Usage) -> None:
    assert dataclasses.replace(one, cost_usd=0.0) == dataclasses.replace(other, cost_usd=0.0)
    assert one.cost_usd == pytest.approx(other.cost_usd)


def times_hold(look: Look) -> None:
    """A slice is worked in the session that settled it, and never more of them at once than it had places."""
    follower = look.follower
    ats = [session.at for session in follower.sessions]
    moments: list[tuple[float, int, int]] = []
    for seen in follower.plan.slices.values():
        if seen.begun is None or seen.ended is None:
            continue
        session = bisect_right(ats, seen.ended) - 1
        assert session == bisect_right(ats, seen.begun) - 1, seen
        if seen.calls and not seen.plans and seen.begun < seen.ended:
            moments += [(seen.begun, 1, session), (seen.ended, -1, session)]
    busy = 0
    for _, step, session in sorted(moments):
        busy += step
        assert busy <= (follower.sessions[session].places or busy)


def drawings_hold(look: Look) -> None:
    """What the drawings are made of comes to the same sums."""
    follower = look.follower
    told = cost(look)
    assert sum(row["cost_usd"] for row in told["rows"]) == pytest.approx(follower.spent.cost_usd)
    assert sum(row["calls"] for row in told["rows"]) == told["total"]["calls"] == follower.spent.calls
    if told["over_time"]:
        assert told["over_time"][-1][1:] == pytest.approx([follower.spent.cost_usd, follower.spent.tokens])
    side = side_of(look.opened, follower, None)
    assert (side.calls, side.cost_usd) == (follower.spent.calls, follower.spent.cost_usd)
    assert side.mean_busy is None or side.mean_busy <= max(one.places or 0 for one in follower.sessions) + 1e-6
    assert 0 <= side.worked_seconds <= follower.last - follower.begun + 1.0
    frame = Watching(follower).next()
    assert dict(frame.states) == {state: count for state, count in follower.plan.states.items() if count}
    assert [one.used for one in frame.gauges if one.name == "cost_usd"] == [follower.spent.cost_usd]
    assert not frame.places.workers
    drawn, bars = timeline(look), lanes(look)
    assert all(bar[1] <= bar[2] and bar[3] not in ("ready", "running") for bar in drawn["bars"])
    assert drawn["lanes"]["places"] <= max([one.places or 0 for one in follower.sessions], default=0)
    assert len(bars.ids) == len(drawn["bars"])
    assert drawn["idle"] is None or 0.0 <= drawn["idle"] <= 1.0
    sums, sources = totals(look), coverage(look, limit=200)["sources"]
    assert sums["read"] + sums["skipped"] + sums["failed"] + sums["unread"] == sums["chars"]
    for name in ("read", "cited", "failed", "unread"):
        assert sum(source[name] for source in sources) == sums[name]
    for source in sources:
        bins = set(source["bins"])
        assert len(source["bins"]) == (120 if source["chars"] else 0)
        assert source["read"] or not bins & set("ox"), source
        assert (source["failed"] > 0) == ("!" in bins), source
        assert source["cited"] <= source["read"]


def answer_holds(look: Look, answer: Answer) -> None:
    """What is shown is what the answer of the last session told."""
    follower, plan = look.follower, look.follower.plan
    assert follower.status == answer.status
    assert_spent(follower.spent, answer.usage)
    sums, told = totals(look), answer.coverage
    assert (sums["chars"], sums["read"]) == (told.chars_total, told.chars_read)
    assert sums["unread"] + sums["failed"] == told.chars_unread
    assert sums["skipped"] == told.chars_skipped
    if plan.branches and follower.task is not None and follower.task.mode == "read":
        assert len(plan.slices) - plan.states["split"] == answer.slices
        gone = {id_ for id_, seen in plan.slices.items() if seen.state in ("failed", "dropped")}
        assert gone == {one.slice for one in answer.failures}
    elif follower.task is not None and follower.task.mode == "work":
        assert plan.states["done"] == answer.slices
    peak = max((follower.calls.counted[row] for row in range(len(follower.calls))), default=0)
    assert len(follower.sessions) > 1 or answer.window_peak == peak or (answer.limit and answer.window_peak > peak)
    assert windows(look)["total"] == len(follower.calls)


# Tapes


@dataclasses.dataclass
class Tape:
    """A run as it was written, write by write: so many records and outcomes, and the calls as they stood."""

    run: str
    records: list[Record] = dataclasses.field(default_factory=list)
    outcomes: list[Outcome] = dataclasses.field(default_factory=list)
    calls: dict[int, Call] = dataclasses.field(default_factory=dict)
    marks: list[tuple[int, int, dict[int, Call]]] = dataclasses.field(default_factory=list)
    """After each write how many records and outcomes there were, and the calls that were begun by it."""

    def take(self, journal: SqliteJournal) -> None:
        run = self.run
        self.records += journal.since(run, self.records[-1].seq if self.records else 0, bodies=follow._BODIES)
        self.outcomes += journal.outcomes(run, self.outcomes[-1].seq if self.outcomes else 0)
        now = {call.seq: call for call in journal.calls(run)}
        changed = {seq: call for seq, call in now.items() if self.calls.get(seq) != call}
        self.calls = now
        mark = (len(self.records), len(self.outcomes), changed)
        if not self.marks or changed or mark[:2] != self.marks[-1][:2]:
            self.marks.append(mark)


@contextmanager
def taped(monkeypatch: pytest.MonkeyPatch, run: str = "run") -> Iterator[Tape]:
    """Whatever this process writes of a run in the block."""
    tape = Tape(run)

    def wrapped(write: Callable[..., Any]) -> Callable[..., Any]:
        async def taking(journal: SqliteJournal, *given: Any, **named: Any) -> Any:
            came = await write(journal, *given, **named)
            tape.take(journal)
            return came

        return taking

    with monkeypatch.context() as patched:
        for name in _WRITES:
            patched.setattr(SqliteJournal, name, wrapped(getattr(SqliteJournal, name)))
        yield tape


class Played:
    """A journal that grows while it is read, by dice: before each look a few more writes are there."""

    def __init__(self, tape: Tape, journal: Any, seed: int) -> None:
        self.tape, self.journal, self.dice = tape, journal, random.Random(seed)
        self.at = self.told = self.came = 0
        self.begun: dict[int, Call] = {}
        self.haste = self.dice.choice((0.3, 1.0, 3.0, 20.0))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.journal, name)

    @property
    def over(self) -> bool:
        return self.at == len(self.tape.marks)

    def go_on(self) -> None:
        for _ in range(round(self.dice.expovariate(1 / self.haste))):
            if not self.over:
                self.told, self.came, begun = self.tape.marks[self.at]
                self.begun |= begun
                self.at += 1

    def since(self, _run: str, seq: int, *, bodies: Collection[str], limit: int) -> list[Record]:
        self.go_on()
        found = [one for one in self.tape.records[: self.told] if one.seq > seq][:limit]
        return [one if one.kind in bodies else dataclasses.replace(one, body={}) for one in found]

    def calls(self, _run: str, seq: int, *, limit: int) -> list[Call]:
        self.go_on()
        return [self.begun[one] for one in sorted(self.begun) if one > seq][:limit]

    def tried_again(self, _run: str, calls: Collection[int]) -> list[Call]:
        self.go_on()
        return [self.begun[one] for one in sorted(calls) if self.begun[one].tries > 1]

    def outcomes(self, _run: str, seq: int, *, limit: int) -> list[Outcome]:
        self.go_on()
        return [one for one in self.tape.outcomes[: self.came] if one.seq > seq][:limit]

    def held(self, run: str) -> bool:
        return not self.over or bool(self.journal.held(run))


def pieces_are_the_whole(monkeypatch: pytest.MonkeyPatch, store: Path, tape: Tape, seeds: Collection[int]) -> None:
    """Whoever looks now and then is told what holds, and in the end what one is told who looks once."""
    with open_run(tape.run, store) as opened, monkeypatch.context() as patched:
        whole = Follower(opened)
        whole.catch_up()
        expected = picture(whole)
        for seed in seeds:
            played = Played(tape, opened.journal, seed)
            patched.setattr(follow, "_AT_ONCE", played.dice.choice((1, 2, 7, 10_000)))
            journal: Any = played
            follower = Follower(Opened(opened.run, journal, opened.graph, opened.library, opened.where))
            while not played.over:
                if not follower.poll():
                    holds_now(follower)
            follower.catch_up()
            told = picture(follower)
            for name, value in told.items():
                assert value == expected[name], (name, seed)
