"""A run that was killed after any record or reply goes on to the same end, and asks nothing that was answered."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import pytest

from swarm import Answer, Report
from swarm.coordinator.work.state import order_id
from swarm.graph.rows import delete_graph
from swarm.orders import Order
from swarm.playback import replay
from swarm.program import Program, Role, Vote
from swarm.prompts.typed import AssessPrompt, OutlinePrompt, WorkPrompt
from swarm.store.opening import open_store
from tests.coordinator.work.conftest import Team, assessed, order, outline, result

Case = Callable[[Team], Program | None]


def planned(team: Team) -> None:
    """A planner with a planner under it, a slice that fails and is replaced, and more legs."""

    def plan(prompt: OutlinePrompt) -> dict[str, Any]:
        if prompt.question == "do part":
            return outline(order("x"), order("y", ["x"])) if not prompt.standings else outline()
        if not prompt.standings:
            return outline(
                order("a"),
                order("b", ["a"]),
                order("part", kind="plan", objective="do part"),
                order("long"),
                order("bad"),
                order("end", ["b", "part", "bad"]),
            )
        states = {one.name: one.state for one in prompt.standings}
        if states.get("bad") == "failed" and "good" not in states:
            return outline(order("good"), order("end2", ["b", "part", "good"]), drop={"bad": "it cannot be done"})
        return outline(order("last", ["end2"])) if "last" not in states and "end2" in states else outline()

    def do(prompt: WorkPrompt) -> dict[str, Any]:
        if prompt.objective == "make bad":
            return {"status": "blocked", "result": "", "notes": "no way"}
        if prompt.objective == "make long" and prompt.leg < 2:
            made = [{"name": f"file{prompt.leg}", "media": "text/plain", "text": f"text of leg {prompt.leg}"}]
            return {
                "status": "continue",
                "result": "",
                "notes": f"leg {prompt.leg} is done",
                "artifacts": made,
                "findings": [
                    {"claim": f"Leg {prompt.leg} is made.", "quote": f"text of leg {prompt.leg}", "relevance": 1.0}
                ],
            }
        told = " and ".join(one.text for one in prompt.outcomes)
        said = f"{prompt.objective} from ({told})"
        return result(said, summary=f"It says: {said}.")

    def judge(prompt: AssessPrompt) -> dict[str, Any]:
        names = {one.name for one in prompt.standings if one.state == "done"}
        if prompt.question != "Make it" or "last" in names:
            return assessed("done")
        return assessed("replan", "last is missing")

    team.plan, team.do, team.judge = plan, do, judge


def programmed(team: Team) -> Program:
    """A chain and a fan, some steps of which are voted on, and one whose results lead to more."""
    chain, fan = 4, 3

    def orders() -> Iterable[Order]:
        for n in range(chain):
            yield Order(name=f"s{n}", objective=f"add {n}", needs=(f"s{n - 1}",) if n else (), role="step")
        for n in range(fan):
            yield Order(name=f"f{n}", objective=f"look {n}", needs=(f"s{chain - 1}",))

    def follow(order: Order, report: Report) -> Iterable[Order]:
        return [Order(name=f"{order.name}+", objective=f"more {order.name}")] if order.name in ("f0", "f1") else []

    def do(prompt: WorkPrompt) -> dict[str, Any]:
        if prompt.objective.startswith("add"):
            number = asked[prompt.objective] = asked.get(prompt.objective, 0) + 1
            right = str(int(prompt.outcomes[0].text if prompt.outcomes else "0") + 1)
            return result("none" if number == 2 else right)
        return result(f"done: {prompt.objective}", summary=f"It is done: {prompt.objective}.")

    asked: dict[str, int] = {}
    team.do = do
    step = Role(name="step", schema={"type": "integer"}, view_tokens=0, vote=Vote())
    return Program(
        orders=orders, follow=follow, roles=(step,), answer=lambda found: "; ".join(sorted(found.values()))
    )


def moments(store: Path) -> list[float]:
    """When each group of records, or a reply, was written: what one holds was written together."""
    with closing(apsw.Connection(str(store))) as connection:
        rows = connection.execute("SELECT at FROM records UNION SELECT at FROM outcomes ORDER BY 1").fetchall()
    return [float(at) for (at,) in rows]


def cut(store: Path, at: float, to: Path) -> None:
    """A copy as a kill right after that moment leaves it; its graph is lost besides."""
    shutil.copy(store, to)
    with closing(apsw.Connection(str(to))) as connection, connection:
        connection.execute("DELETE FROM records WHERE at > ?", (at,))
        connection.execute("DELETE FROM outcomes WHERE at > ?", (at,))
        connection.execute("DELETE FROM calls WHERE seq NOT IN (SELECT call FROM outcomes)")
        for (num,) in connection.execute("SELECT num FROM graphs").fetchall():
            delete_graph(connection, num)


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    answer: dict[str, Any]
    results: dict[str, str]
    dropped: set[str]
    asked: set[bytes]
    twice: int

    @staticmethod
    def of(answer: Answer, store: Path) -> Outcome:
        with open_store(store, read_only=True) as opened:
            journal = opened.journal
            found = {
                name: str(record.body.get("result", ""))
                for name in journal.keys("run", "slice")
                if (record := journal.record("run", "report", order_id(name))) is not None
            }
            dropped = set(journal.keys("run", "dropped"))
        with closing(apsw.Connection(str(store))) as connection:
            asked = {key for (key,) in connection.execute("SELECT key FROM calls")}
            twice = connection.execute(
                "SELECT count(*) - count(DISTINCT call) FROM outcomes WHERE reply IS NOT NULL"
            ).get
        said = {name: getattr(answer, name) for name in SAME}
        return Outcome(said, found, dropped, asked, twice)


SAME = ("text", "status", "stopped", "slices", "graph", "findings", "coverage", "complete", "failures")
CASES: list[Case] = [planned, programmed]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_from_every_record_it_goes_on_to_the_same_end(case: Case, team: Team, tmp_path: Path) -> None:
    team.settings["concurrency"] = 3
    plan = case(team)
    whole = Outcome.of(await team.run(plan=plan), team.store)
    assert whole.answer["complete"], whole.answer["stopped"]
    assert not whole.twice
    undisturbed, at = team.store, moments(team.store)
    failures = 0
    for number, moment in enumerate(at[:-1]):
        team.store = tmp_path / f"cut-{number}.db"
        cut(undisturbed, moment, team.store)
        plan = case(team)
        team.fresh()
        again = Outcome.of(await team.run(plan=plan), team.store)
        assert (again.answer, again.results, again.dropped) == (whole.answer, whole.results, whole.dropped), number
        assert not again.twice, number
        assert plan is not None or whole.asked <= again.asked, number  # a vote may take other replies
        failures = max(failures, len(again.asked - whole.asked) if plan is None else 0)
        if number % 4 == 0:
            assert (await replay("run", team.store)).graph == again.answer["graph"]
        team.store.unlink()
    assert failures <= 1  # what failed before is tried again
