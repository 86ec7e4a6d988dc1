"""The graph of phases: the way through it, what makes another run of a state, and what a person may say."""

from pathlib import Path
from typing import Any

import pytest

from swarm.coordinator import asking, machine
from swarm.errors import UsageError
from swarm.events import PhaseChanged
from swarm.run import Swarm
from swarm.task import Limits, Task


async def test_a_run_goes_through_the_phases_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "note.md").write_text("The pier was built in 1931.\n\nIt was painted green.\n")
    task = Task(
        questions=("When was the pier built?",), paths=(str(tmp_path / "note.md"),), limits=Limits(rounds=1)
    )
    async with Swarm(store=tmp_path / "store.db").stream(task) as events:
        phases = [event.phase async for event in events if isinstance(event, PhaseChanged)]
    assert phases == ["gather", "plan", "dispatch", "judge", "consolidate", "finish"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("question", "another"),
        ("questions", ["another"]),
        ("paths", ["elsewhere"]),
        ("output", "digest"),
        ("slicing", "source"),
        ("words", 20),
        ("mode", "work"),
        ("done_when", "it is done"),
        ("fork", "other"),
    ],
)
def test_what_is_asked_otherwise_is_another_run(name: str, value: Any) -> None:
    state: Any = {"question": "What?", "paths": ["here"]}
    assert machine.asked({**state, name: value}) != machine.asked(state)


def test_to_be_told_more_or_allowed_more_is_the_same_run() -> None:
    state: Any = {"question": "What?", "paths": ["here"]}
    more: Any = {
        "limits": {"calls": 3},
        "run_id": "run",
        "answer": "That.",
        "round": 2,
        "phase": "judge",
        "words": None,
    }
    assert machine.asked({**state, **more}) == machine.asked(state)


def test_every_phase_leads_on_and_back_to_the_beginning() -> None:
    drawn = machine.machine().get_graph()
    ways = {(edge.source, edge.target) for edge in drawn.edges}
    assert {("plan", "dispatch"), ("dispatch", "judge"), ("judge", "dispatch"), ("finish", "__end__")} <= ways
    assert all(
        (name, "begin") in ways for name in ("approve", "plan", "dispatch", "judge", "consolidate", "finish")
    )


@pytest.mark.parametrize(
    ("reply", "meant"),
    [
        (True, asking.Said()),
        (False, asking.Said(approved=False)),
        ({}, asking.Said()),
        ({"approved": False}, asking.Said(approved=False)),
        ({"limits": {"cost_usd": 3}}, asking.Said(limits={"cost_usd": 3})),
        ({"instruction": "Be short."}, asking.Said(instruction="Be short.")),
    ],
)
def test_what_a_person_may_say(reply: Any, meant: asking.Said) -> None:
    assert asking.understood("budget", reply) == meant


@pytest.mark.parametrize("reply", [True, {"approved": True}, {"instruction": "Go on."}])
def test_at_a_limit_it_takes_a_limit_to_go_on(reply: Any) -> None:
    assert "say which limits" in str(asking.understood("limit", reply))
    assert asking.understood("limit", False) == asking.Said(approved=False)


def test_limits_that_are_not_named_are_what_they_were() -> None:
    before = Limits(cost_usd=5.0, cost_is_default=True, calls=7, each_slice=Limits(calls=2))
    assert asking.limits_of({}, before) == before
    assert asking.limits_of({"cost_usd": 3}, before) == Limits(cost_usd=3.0, calls=7, each_slice=Limits(calls=2))
    assert asking.limits_of({"calls": None}, before).calls is None
    assert asking.said_limits(before) == {"calls": 7, "cost_usd": 5.0, "each_slice": {"calls": 2}}


@pytest.mark.parametrize("given", [{"dollars": 3}, {"calls": -1}, {"calls": 1.5}, {"calls": "many"}])
def test_limits_that_make_no_sense_are_told(given: Any) -> None:
    with pytest.raises(UsageError, match=r"^limits"):
        asking.limits_of(given)
