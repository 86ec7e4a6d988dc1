"""A run at a glance: what is told adds up, and goes on with the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from swarm.history import show
from swarm.inspect.data import ENDPOINTS
from swarm.inspect.data.overview import limits, overview
from swarm.inspect.look import Look
from swarm.inspect.opened import open_run
from swarm.task import Limits
from swarm.testing.staged import HOSTILE, Script, Stage


def test_a_run_is_told_as_its_history_tells_it(look: Look, mills: Path) -> None:
    told, shown = overview(look), show("last", mills)
    assert (told["run"], told["status"], told["live"], told["phase"]) == (shown.run.id, "answered", False, "")
    assert told["questions"] == list(shown.run.task.questions) if shown.run.task else False
    assert told["spent"]["calls"] == shown.run.usage.calls
    assert told["spent"]["cost_usd"] == pytest.approx(shown.run.usage.cost_usd)
    assert told["slices"] == {"ready": 0, "running": 0, "done": 19, "failed": 1, "dropped": 0, "split": 0}
    assert told["places"] == {"busy": 0, "of": 8}
    assert [one["slice"] for one in told["failures"]] == [slice_ for slice_, _ in shown.failures]
    assert told["limits"] == {"cost_usd": 5.0, "calls": 10_000_000, "requests_per_minute": 4_000, "depth": 8}
    assert (told["sessions"][0]["places"], told["sessions"][0]["window"]) == (8, 32_768)


def test_what_the_graph_holds_is_counted(look: Look) -> None:
    graph = overview(look)["graph"]
    assert graph["findings"] == graph["counts"]["finding"] == len(look.graph) == 380
    assert graph["counts"]["source"] == 2
    assert (graph["contradictions"], graph["contradictions_exact"]) == (16, True)
    assert graph["fingerprint"] == look.graph.fingerprint()


def test_a_sentence_of_the_answer_leads_to_a_finding_and_its_very_words(look: Look) -> None:
    answer = overview(look)["answer"]
    assert answer["complete"]
    for statement in answer["statements"]:
        for number in statement["citations"]:
            citation = answer["citations"][number]
            assert citation["n"] == number
            node = ENDPOINTS["node"](look, citation["finding"])
            assert node["node"]["text"] == statement["text"] == citation["quote"]
            assert node["evidence"][0]["where"] == citation["where"]
            piece = ENDPOINTS["source"](look, citation["source_id"], at=citation["start"])
            assert piece["text"].startswith(citation["quote"])


def test_every_reply_is_json_as_browsers_read_it_also_of_a_hostile_run(hostile: Path) -> None:
    with open_run("last", hostile) as opened:
        look = Look(opened)
        branch = ENDPOINTS["plan"](look)["branches"][0]["key"]
        asked = {
            "node": [look.graph.best(1)[0].id],
            "source": [look.graph.best(1)[0].evidence[0].source],
            "plan": [branch],
            "slice": [ENDPOINTS["plan"](look, branch)["slices"][0]["id"]],
            "call": [ENDPOINTS["calls"](look)["rows"][0]["key"]],
        }
        told = {name: endpoint(look, *asked.get(name, [])) for name, endpoint in ENDPOINTS.items()}
    for name, reply in told.items():
        assert json.loads(json.dumps(reply, allow_nan=False)) == reply, name
    assert HOSTILE in told["nodes"]["rows"][0]["text"]
    assert HOSTILE in told["source"]["text"]


async def test_a_run_is_looked_into_while_it_goes_on(tmp_path: Path) -> None:
    path, now = tmp_path / "swarm.db", [0.0]
    async with Stage(path, Script(findings=100, left=3)) as stage:
        await stage.open()
        with open_run("last", path) as opened:
            look = Look(opened, lambda: stage.now, lambda: now[0])
            told = overview(look)
            assert (told["status"], told["phase"], told["answer"]) == ("running", "dispatch", None)
            assert (told["coverage"]["read"], told["coverage"]["planned"]) == (0, told["coverage"]["chars"])
            await stage.work(2)
            await stage.begin_call(4)
            assert overview(look)["version"] == told["version"], "no look so soon after the last one"
            now[0] += 10
            later = overview(look)
            assert later["version"] > told["version"]
            assert later["slices"]["running"] == later["places"]["busy"] == 1
            assert later["latest"][0]["claim"] == "Mill 20 was rebuilt in 1710 and driven by water."
            assert later["coverage"]["read"] > 0 < later["coverage"]["failed"]
            await stage.end(stopped="interrupted")
            now[0] += 10
            last = overview(look)
            assert (last["live"], last["answer"]["stopped"], last["coverage"]["planned"]) == (
                False,
                "interrupted",
                0,
            )


def test_a_limit_that_is_set_to_none_is_told_apart_from_one_that_is_not_set() -> None:
    told = limits(Limits(cost_usd=float("inf"), each_slice=Limits(tokens=5)))
    assert told == {"cost_usd": None, "depth": 8, "each_slice": {"tokens": 5, "depth": 8}}


def test_work_leads_from_its_answer_to_the_result_that_it_rests_on(work: Look) -> None:
    told = overview(work)
    assert (told["mode"], told["status"], told["slices"]["done"]) == ("work", "answered", 3)
    (citation,) = told["answer"]["citations"]
    assert citation["source"] == "result of part/inner"
    piece = ENDPOINTS["source"](work, citation["source_id"])
    assert (piece["text"], piece["marks"][0]["findings"]) == ("It is 40 m long.", [citation["finding"]])
