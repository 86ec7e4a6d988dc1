"""What a run spent: its costs, its calls and how full their windows were, each of which comes to the same."""

from __future__ import annotations

from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

from swarm.inspect.data.calls import call, calls
from swarm.inspect.data.cost import cost
from swarm.inspect.data.overview import overview
from swarm.inspect.data.windows import windows
from swarm.inspect.follow import Cost
from swarm.inspect.look import Look, Unknown
from swarm.inspect.opened import open_run

SUMS = ("calls", "input_tokens", "output_tokens", "cached_tokens", "cost_usd")


@pytest.mark.parametrize("which", ["look", "work"])
def test_costs_come_to_what_was_spent(which: str, request: pytest.FixtureRequest) -> None:
    look: Look = request.getfixturevalue(which)
    told = cost(look)
    for name in SUMS:
        assert sum(row[name] for row in told["rows"]) == pytest.approx(told["total"][name]), name
        assert told["total"][name] == pytest.approx(overview(look)["spent"][name])
    _, dollars, tokens = told["over_time"][-1]
    assert dollars == pytest.approx(told["total"]["cost_usd"])
    assert tokens == told["total"]["input_tokens"] + told["total"]["output_tokens"]
    assert told["over_time"] == sorted(told["over_time"])
    assert all(one <= other for one, other in pairwise(told["over_time"]))


def test_costs_of_more_branches_than_are_told_come_to_the_same(mills: Path) -> None:
    with open_run("last", mills) as opened:
        look = Look(opened)
        costs = look.fresh().costs
        costs |= {("m", "read", f"branch {n}"): Cost(calls=1, cost_usd=0.001 * n) for n in range(1_000)}
        rows = cost(look)["rows"]
    assert len([row for row in rows if row["branch"] is not None]) == 400
    assert sum(row["calls"] for row in rows) == sum(one.calls for one in costs.values())
    assert sum(row["cost_usd"] for row in rows) == pytest.approx(sum(one.cost_usd for one in costs.values()))


def test_the_pages_of_calls_hold_each_of_them_once(look: Look) -> None:
    rows: list[dict[str, object]] = []
    while page := calls(look, offset=len(rows), limit=7)["rows"]:
        rows += page
    assert len({row["key"] for row in rows}) == len(rows) == calls(look)["total"] == 23
    assert sum(row["cost_usd"] for row in rows) == pytest.approx(cost(look)["total"]["cost_usd"])  # type: ignore[misc]
    begun = [row["begun"] for row in rows]
    assert begun == sorted(begun, reverse=True)  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("sort", "column"), [("cost", "cost_usd"), ("seconds", "seconds"), ("fill", "fill"), ("begun", "begun")]
)
def test_calls_are_sorted_either_way(look: Look, sort: str, column: str) -> None:
    largest = [row[column] for row in calls(look, sort=sort)["rows"]]
    assert largest == sorted(largest, reverse=True)
    assert [row[column] for row in calls(look, sort=sort, order="asc")["rows"]] == largest[::-1]


def test_calls_are_told_by_who_asked_and_by_whether_they_failed(look: Look) -> None:
    (failed,) = calls(look, failed=True)["rows"]
    assert failed["state"] == "failed"
    mine = calls(look, asker=failed["asker"])["rows"]
    assert {row["asker"] for row in mine} == {failed["asker"]}
    assert len(mine) == 2
    assert [row["name"] for row in calls(look, asker="plan")["rows"]] == ["plan"]
    assert calls(look, asker="nobody")["total"] == 0


def test_a_call_is_told_with_its_reply_or_with_why_there_is_none(look: Look) -> None:
    answered = call(look, calls(look, asker="plan")["rows"][0]["key"])
    assert (answered["reply"], answered["failure"], answered["state"]) == ('{"findings": []}', None, "done")
    failed = call(look, calls(look, failed=True)["rows"][0]["key"])
    assert failed["reply"] is None
    assert failed["failure"] == "Unavailable: the provider answered 529: overloaded"
    for key in ("", "zz", "00" * 16):
        with pytest.raises(Unknown):
            call(look, key)


def test_windows_are_told_call_by_call_and_as_a_grid_where_they_are_many(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = windows(look)
    assert (few["total"], len(few["calls"]), few["grid"], sum(few["histogram"])) == (23, 23, None, 23)
    assert few["fullest"][0]["fill"] == few["peak"] == max(one[1] for one in few["calls"])
    monkeypatch.setattr(import_module("swarm.inspect.data.windows"), "_CALLS", 10)
    many = windows(look)
    assert (many["total"], many["calls"], many["fullest"]) == (23, [], few["fullest"])
    assert sum(cell[2] for cell in many["grid"]["cells"]) == 23
    for row, calls_ in enumerate(many["histogram"]):
        assert sum(cell[2] for cell in many["grid"]["cells"] if cell[1] == row) == calls_
