"""The plan of a run, branch by branch, and one slice whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm.inspect.data.plan import plan
from swarm.inspect.data.slices import slice_
from swarm.inspect.look import Look, Unknown
from swarm.inspect.opened import open_run
from swarm.store.journal import Entry
from swarm.testing.staged import Script, Stage


def test_the_slices_of_a_branch_come_in_pages_that_hold_each_of_them_once(look: Look) -> None:
    top = plan(look)
    (branch,) = top["branches"]
    assert (top["total"], top["states"]["done"], branch["states"]["done"]) == (0, 19, 19)
    ids: list[str] = []
    while page := plan(look, branch["key"], offset=len(ids), limit=6)["slices"]:
        ids += [row["id"] for row in page]
    assert ids == list(look.follower.plan.slices)
    (failed,) = plan(look, branch["key"], state="failed")["slices"]
    assert failed["why"].startswith("the reply to the read prompt")
    assert branch["cost_usd"] == pytest.approx(sum(row["cost_usd"] for row in plan(look, branch["key"])["slices"]))


def test_branches_of_work_lead_into_one_another(work: Look) -> None:
    top = plan(work)
    assert (top["asked"], [one["key"] for one in top["branches"]], top["judged"]) == (
        "Build it", ["part"], ["done", "it is done"],
    )  # fmt: skip
    assert [row["name"] for row in top["slices"]] == ["part", "end"]
    part = plan(work, "part")
    assert (part["trail"], [row["name"] for row in part["slices"]]) == (
        [{"key": "", "asked": "Build it"}], ["part/inner"],
    )  # fmt: skip
    assert top["branches"][0]["calls"] == 3  # planned, worked, judged
    with pytest.raises(Unknown):
        plan(work, "nowhere")


def test_a_slice_is_told_whole(look: Look) -> None:
    id_ = next(one for one, seen in look.fresh().plan.slices.items() if seen.calls and seen.state == "done")
    told = slice_(look, id_)
    assert told == slice_(look, id_[:10])
    assert (told["report"]["findings_total"], len(told["report"]["findings"])) == (20, 20)
    assert told["calls_total"] == len(told["calls_list"]) == 1
    assert told["spans"][0]["where"].startswith("mills/volume-0001.md:")
    assert sum(one["cost_usd"] for one in told["calls_list"]) == pytest.approx(told["cost_usd"])
    failed = next(one for one, seen in look.follower.plan.slices.items() if seen.state == "failed")
    assert slice_(look, failed)["report"] is None
    assert [one["session"] for one in slice_(look, failed)["failures"]] == [1]
    for unknown in ("", "zz", "s"):
        with pytest.raises(Unknown):
            slice_(look, unknown)


def test_an_order_is_told_by_its_name_with_what_it_came_to(work: Look) -> None:
    told = slice_(work, "part/inner")
    assert (told["order"]["name"], told["report"]["result"]) == ("part/inner", "It is 40 m long.")
    assert told["spans"][0]["path"] == "bridge.md"
    assert told["branch_asked"] == "Plan the part"


async def test_halves_tools_and_handoffs_are_told_with_their_slice(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    async with Stage(path, Script(findings=100)) as stage:
        await stage.open()
        await stage.cut(1)
        id_, other = stage.slices[1].id, stage.slices[2].id
        tool = {"tool": "look", "text": "x" * 5_000}
        await stage.journal.append(
            stage.script.run,
            Entry(kind="tool", key=f"{id_}:1:1:0", body=tool),
            Entry(kind="tool", key=f"{other}:1:1:0", body={"tool": "b", "text": "y", "failed": True}),
            Entry(kind="handoff", key=f"{id_}:1", body={"slice": id_, "question": "q", "result": "so far"}),
        )
        with open_run("last", path) as opened:
            look = Look(opened)
            told = slice_(look, id_)
            assert (told["state"], len(told["halves"])) == ("split", 2)
            assert {slice_(look, half)["parent"] for half in told["halves"]} == {id_}
            (given,) = told["tools"]
            assert (given["name"], len(given["text"]), given["clipped"]) == ("look", 4_000, {"text": 1_000})
            assert [(one["leg"], one["text"]) for one in told["handoffs"]] == [("1", "so far")]
            assert slice_(look, other)["tools"][0]["failed"]
