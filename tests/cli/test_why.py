"""`swarm why` and `swarm diff`: what they print, for a person and for a program."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from swarm.testing.staged import Script, staged


@pytest.fixture
def store(tmp_path: Path) -> str:
    asyncio.run(staged(tmp_path / "swarm.db", Script(findings=60, each=10, hostile=True)))
    return "swarm.db"


@pytest.fixture
def run_id(swarm, tmp_path: Path) -> str:
    (tmp_path / "a.md").write_text("# Mill\nThe mill burnt in \x1b[31m1812. Ann Smith owns the mill.\n")
    (tmp_path / "b.md").write_text("# Again\nIt rained on the forge. Bob Brown owns the mill now.\n")
    done = swarm("ask", "Who owns the mill?", "a.md", "b.md", "--json", "--quiet")
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["run_id"])


def test_why_prints_the_way_down_in_eighty_columns(swarm, run_id: str) -> None:
    done = swarm("why", run_id, "Bob Brown")
    assert done.returncode == 0, done.stderr
    for part in (
        "sentence ", "It cites", "b.md:2, characters", ">>Bob Brown owns the mill now.<<", "It rests on 1",
        "Found by", "the task asks: Who owns", "Cost", "its own: 1 call",
    ):  # fmt: skip
        assert part in done.stdout, part
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_prompts_are_shown_line_by_line_with_the_reply(swarm, run_id: str) -> None:
    plain = swarm("why", run_id, "Bob Brown")
    assert "[system]" not in plain.stdout
    done = swarm("why", run_id, "Bob Brown", "--prompts")
    assert "    | [system]" in done.stdout
    assert "takes it as it is typed" in done.stdout
    assert "its key is the recorded call's" in done.stdout
    assert "    reply" in done.stdout
    assert "named by the model that wrote the sentence" in done.stdout


def test_why_is_one_object_for_a_program(swarm, run_id: str) -> None:
    told = json.loads(swarm("why", run_id, "1", "--json").stdout)
    assert told["found"]["what"] == "sentence"
    assert told["cited"][0]["text"]
    assert told["calls"][0]["prompt"] is None
    prompted = json.loads(swarm("why", run_id, "1", "--json", "--prompts").stdout)
    assert told["cited"][0]["text"] in prompted["calls"][0]["prompt"]["text"]


def test_nothing_of_a_hostile_run_reaches_the_terminal(swarm, store: str) -> None:
    for arguments in (("why", "last", "1"), ("why", "last", "Mill 24"), ("diff", "last", "last")):
        done = swarm(*arguments, "--store", store)
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout
        assert "\x07" not in done.stdout
    assert "\\u001b" in swarm("why", "last", "1", "--store", store, "--json").stdout, "a program gets it as it is"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("why", "last", "the moon is cheese"), "says 'the moon is cheese', nor anything like it"),
        (("why", "last", "Mills of Holland, 1"), "nearest are"),
        (("why", "last", " "), "say what to look for"),
        (("why", "none", "1"), "holds no run none"),
        (("why", "last", "1", "--limit", "0"), "--limit"),
        (("diff", "last", "none"), "holds no run none"),
        (("diff", "last", "last", "--store-b", "none.db"), "none.db does not exist"),
    ],
)
def test_a_mistake_is_one_line(swarm, store: str, arguments: tuple[str, ...], complaint: str) -> None:
    done = swarm(*arguments, "--store", store)
    assert done.returncode in (1, 2)
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_diff_says_first_what_is_different(swarm, store: str, tmp_path: Path) -> None:
    asyncio.run(staged(tmp_path / "more.db", Script(findings=90, each=10, places=4, run="more")))
    done = swarm("diff", "last", "last", "--store", store, "--store-b", "more.db")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "A  staged  answered"
    assert lines[3].startswith("B found 80 that A did not, and not 50 that A did; cost")
    assert max(map(len, lines)) <= 90
    told = json.loads(swarm("diff", "last", "last", "--store", store, "--store-b", "more.db", "--json").stdout)
    assert (told["a"]["run"], told["b"]["run"]) == ("staged", "more")
    assert told["findings"]["only_b"] == 80


def test_a_run_and_itself_are_told_in_a_line(swarm, store: str) -> None:
    done = swarm("diff", "last", "last", "--store", store)
    assert "B found what A found; cost the same; took as long." in done.stdout
