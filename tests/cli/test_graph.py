"""`swarm graph`: from the command line, what a run knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def run_id(swarm, tmp_path: Path) -> str:
    (tmp_path / "a.md").write_text(
        "# Mill\nThe mill burnt in \x1b[31m1812. It has 12 wheels.\n"
        "Ann Smith owns the mill. The mill was not rebuilt.\n"
    )
    (tmp_path / "b.md").write_text("# Again\nIt rained on the mill. The mill was rebuilt. It has 13 wheels.\n")
    done = swarm("ask", "What happened to the mill?", "a.md", "b.md", "--json", "--quiet")
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["run_id"])


def test_without_an_option_it_tells_what_is_known_and_what_is_disputed(swarm, run_id: str) -> None:
    done = swarm("graph", run_id)
    assert done.returncode == 0, done.stderr
    assert "2 sources" in done.stdout
    assert "disagree:" in done.stdout
    assert "The mill was not rebuilt." in done.stdout
    assert "\x1b" not in done.stdout


def test_a_node_is_opened_to_its_quotation_and_where_it_stands(swarm, run_id: str) -> None:
    found = json.loads(swarm("graph", run_id, "--search", "owns", "--json").stdout)["nodes"]
    done = swarm("graph", run_id, "--open", found[0]["id"][:12])
    assert "a.md:3" in done.stdout
    assert '"Ann Smith owns the mill."' in done.stdout
    opened = json.loads(swarm("graph", run_id, "--open", found[0]["id"], "--json").stdout)
    (evidence,) = opened["evidence"]
    assert evidence["quote"] == "Ann Smith owns the mill."


def test_a_view_is_printed_as_an_agent_would_see_it(swarm, run_id: str) -> None:
    done = swarm("graph", run_id, "--view", "Who owns the mill?", "--tokens", "300")
    assert done.stdout.startswith('<memory run="')
    assert "Ann Smith owns the mill." in done.stdout


def test_it_lists_saves_loads_and_unlearns(swarm, run_id: str, tmp_path: Path) -> None:
    assert "ann smith" in swarm("graph", run_id, "--list", "entity").stdout
    assert len(swarm("graph", run_id, "--list", "contradictions").stdout.splitlines()) == 2
    for name in ("g.json", "g.graphml", "g.html"):
        assert swarm("graph", run_id, "--save", name).returncode == 0
        assert (tmp_path / name).stat().st_size > 1_000
    done = swarm("graph", run_id, "--unlearn", "b.md")
    assert "rested on it alone" in done.stdout
    assert "disagree" not in swarm("graph", run_id).stdout
    told = json.loads(swarm("graph", run_id, "--load", "g.json", "--json").stdout)
    assert told["findings"] == told["before"], "what was removed stays removed"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--open", "zz"], "no node"),
        (["--list", "cats"], "no such kind"),
        (["--save", "g.txt"], "no format"),
        (["--load", "none.json"], "cannot be read"),
        (["--load", "a.md"], "no graph that Swarm saved"),
        (["--unlearn", "c.md"], "knows no source"),
        (["--view", "x", "--search", "y"], "two things"),
        (["--view", "x", "--tokens", "3"], "tokens"),
    ],
)
def test_a_mistake_is_one_line(swarm, run_id: str, arguments: list[str], complaint: str) -> None:
    done = swarm("graph", run_id, *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_run_that_is_not_there_is_one_line(swarm, run_id: str) -> None:
    done = swarm("graph", "nobody")
    assert (done.returncode, done.stdout) == (2, "")
    assert "holds no run nobody" in done.stderr
