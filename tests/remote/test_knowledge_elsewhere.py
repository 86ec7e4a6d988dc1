"""What tools that ask the run and its material give on a worker is what they give where the run is coordinated.

The provider is SIMULATED: what it says comes from the request itself.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from swarm.program import Program, Role
from swarm.prompts.acting import REPORT
from swarm.run import Swarm
from swarm.store.opening import open_store
from swarm.task import Task
from swarm.testing.provider import Provider
from swarm.testing.seen import Seen
from tests.recipes.crew import order
from tests.remote.conftest import Embedded, working

RUN = "run"
KNOWN = "The keeper of the lighthouse was called Ida."
MATERIAL = {"log.txt": f"1870.\n{KNOWN}\nShe had a boat.\n", "sea.txt": "The sea was rough in March.\n"}
QUESTION = "What did gather come to? Who kept the lighthouse?"
_ID = re.compile(r"\[?(f[0-9a-f]{6,})\]?")


def turn(*calls: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {"says": "", "calls": [{"name": name, "arguments": given} for name, given in calls]}


def report(result: str, **more: Any) -> tuple[str, dict[str, Any]]:
    usual = {"status": "done", "summary": result, "notes": "", "findings": [], "decisions": [], "look_up": []}
    return REPORT, usual | {"proposed": [], "artifacts": [], "result": result} | more


def hands(seen: Seen) -> dict[str, Any]:
    if "Your piece: plan." in seen.text:
        return turn((REPORT, {"orders": plan_of(seen.text), "drop": [], "reason": "so"}))
    if "Your piece: judge" in seen.text:
        more = "replan" if "- answer (" not in seen.text else "done"
        missing = ["an answer"] if more == "replan" else []
        return turn((REPORT, {"verdict": more, "reason": "as it stands", "missing": missing}))
    piece = seen.text.rpartition("<piece>\n")[2].partition("\n")[0]
    done = len(seen.turns)
    if piece == "Gather":
        found = {"claim": "Ida kept the lighthouse.", "quote": KNOWN, "relevance": 0.9}
        table = {"name": "table.csv", "media": "csv", "text": "name\nIda\n"}
        last = report("Ida was the keeper.", findings=[found], decisions=["Names are given in full."])
        last[1]["artifacts"] = [table]
        return turn(("open_source", {"path": "c/log.txt"})) if not done else turn(last)
    if piece == "Use":
        steps = [
            [("search_graph", {"question": "Who kept the lighthouse?"}), ("search_sources", {"words": "keeper"})],
            [("ask_coordinator", {"question": QUESTION}), ("open_source", {"path": "table.csv"})],
            [("subtask", {"objective": "Look for the boat"})],
            [report("It is used.")],
        ]
        if done == 1 and (found_id := _ID.search(seen.turns[0][1][0])) is not None:
            steps[1].append(("open_finding", {"finding": found_id[1]}))
        return turn(*steps[min(done, 3)])
    steps = [[("search_sources", {"words": "boat"})], [report("She had a boat.")]]
    return turn(*steps[min(done, 1)])


def plan_of(text: str) -> list[dict[str, Any]]:
    if "The plan so far" not in text:
        sources = {"sources": ["c/log.txt"]}
        return [order("gather", "Gather", **sources), order("use", "Use", needs=["gather"]), order("more", "More")]
    return [order("answer", "Answer", needs=["use"])] if '"use" asks: ' in text else []


async def gives(folder: Path, provider: Provider, *, elsewhere: bool) -> dict[str, str]:
    """What each use of a tool gave, by who used it and when."""
    folder.mkdir()
    store = str(folder / "swarm.db")
    tools = ("search_graph", "open_finding", "search_sources", "open_source", "ask_coordinator", "subtask")
    asks = {part: Role(name=part, tools=("search_graph",)) for part in ("planner", "judge")}
    plan = Program(**asks, roles=(Role(tools=tools, view_tokens=0),))
    engine = Embedded(2)
    swarm = Swarm(
        "openai:any", store=store, base_url=provider.openai_url, window=16_000, concurrency=2,
        engine=engine if elsewhere else "local",
    )  # fmt: skip
    task = Task(questions=("Who kept the lighthouse?",), paths=("c",), mode="work")
    if elsewhere:
        async with working(store, engine, plan):
            answer = await swarm.run(task, run_id=RUN, plan=plan)
    else:
        answer = await swarm.run(task, run_id=RUN, plan=plan)
    assert answer.complete, answer.stopped
    with open_store(store, read_only=True) as opened:
        records = opened.journal.records(RUN, "tool")
        gave = {one.key: json.dumps([one.body["tool"], one.body["text"]]) for one in records}
        gave |= {f"slice {one.key}": "" for one in opened.journal.records(RUN, "slice")}
    return gave


@pytest.fixture
def material(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c").mkdir()
    for name, text in MATERIAL.items():
        (tmp_path / "c" / name).write_text(text)


async def test_what_is_asked_of_the_run_is_answered_as_where_it_is_coordinated(
    tmp_path: Path, material: None
) -> None:
    with Provider(window=16_000, hands=hands) as provider:
        here = await gives(tmp_path / "here", provider, elsewhere=False)
        there = await gives(tmp_path / "there", provider, elsewhere=True)
    assert there == here
    told = "\n".join(here.values())
    known = ("Names are given in full", "gather (done)", "use (planned)", "Ida was the keeper", "It stands here")
    for words in known:
        assert words in told, words
    assert json.dumps(["open_source", "name\nIda"]) in here.values(), "an artifact"
    assert "slice answer" in here, "the planner hears of what was asked"
