"""The runs of a store on the command line: listed, shown, replayed and forgotten."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]

QUESTION = "Who kept the lighthouse at Lime Rock?"


@pytest.fixture(autouse=True)
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "lime-rock.md").write_text("Ida Lewis kept the lighthouse at Lime Rock for thirty-two years.\n")
    (folder / "fastnet.md").write_text("The tower at Fastnet was built of Cornish granite.\n")
    return folder


@pytest.fixture
def asked(swarm: Run) -> str:
    """A run that is over."""
    return str(json.loads(swarm("ask", QUESTION, "notes", "--json").stdout)["run_id"])


def test_runs_are_listed_the_newest_first(swarm: Run, asked: str) -> None:
    swarm("ask", "What was the tower built of?", "notes", "--max-tokens", "10", "--json")
    head, newest, oldest = swarm("runs").stdout.splitlines()
    assert head.split() == ["run", "status", "slices", "calls", "cost", "age", "asked"]
    assert newest.endswith("What was the tower built of?")
    assert "partial" in newest
    assert oldest.startswith(asked)
    assert "answered" in oldest
    assert "$0.00" in oldest
    assert oldest.endswith(f"now  {QUESTION}")
    found = json.loads(swarm("runs", "--json", "--limit", "1").stdout)
    assert found["more"] is True
    assert [run["status"] for run in found["runs"]] == ["partial"]
    assert "... and more: --limit 5" in swarm("runs", "--limit", "1").stdout


def test_a_run_is_shown_with_what_it_came_to(swarm: Run, asked: str) -> None:
    shown = swarm("show", asked[:-3]).stdout
    assert shown.startswith(f"{asked}: answered\nasked: {QUESTION}\nof: notes\nbegun ")
    assert ": extractive" in shown
    assert "slices: 1 of 1 done" in shown
    assert "Ida Lewis" in shown
    assert "go on with" not in shown
    found = json.loads(swarm("show", "last", "--json").stdout)
    assert found["run_id"] == found["answer"]["run_id"] == asked
    assert found["sessions"][0]["limits"]["cost_usd"] is None
    assert found["go_on"] is None


def test_a_partial_run_is_shown_with_the_command_that_goes_on(swarm: Run) -> None:
    swarm("ask", QUESTION, "notes", "--max-tokens", "10", "--store", "my runs.db", "--json")
    shown = swarm("show", "last", "--store", "my runs.db").stdout
    run = shown.partition(":")[0]
    assert shown.startswith(f"{run}: partial (the limit of 10 tokens is reached)")
    assert "limits: tokens 10" in shown
    assert shown.endswith(f"go on with: swarm resume {run} --store 'my runs.db' --max-tokens 20\n")


def test_a_run_is_replayed_and_comes_out_the_same(swarm: Run, asked: str) -> None:
    done = swarm("replay", "last")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{asked} comes out the same: graph ")
    assert json.loads(swarm("replay", asked, "--json").stdout)["same"] is True


def test_a_replay_that_differs_names_the_record_and_fails(swarm: Run, asked: str, tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / ".swarm" / "swarm.db"))
    connection.execute("UPDATE records SET body = replace(body, 'Ida', 'Eda') WHERE kind = 'report'")
    connection.close()
    done = swarm("replay", asked)
    assert done.returncode == 1
    assert "came out otherwise" in done.stderr
    assert "report" in done.stderr


def test_forgetting_deletes_for_good_and_says_what_went(swarm: Run, asked: str, tmp_path: Path) -> None:
    done = swarm("forget", asked)
    assert done.returncode == 2
    assert "give --yes where nobody can be asked" in done.stderr
    done = swarm("forget", asked, "--yes")
    assert done.stdout.startswith(f"forgot {asked}: 4 calls, the graph, and 2 sources with ")
    assert swarm("runs").stdout == "no run yet\n"
    assert b"Cornish" not in (tmp_path / ".swarm" / "swarm.db").read_bytes()
    assert "holds no run" in swarm("show", asked).stderr


@pytest.mark.parametrize("word", ["show", "forget", "replay", "resume", "graph"])
def test_a_run_that_is_not_there_is_one_line(swarm: Run, asked: str, word: str) -> None:
    done = swarm(word, "1999")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "swarm: .swarm/swarm.db holds no run 1999: check the id, or name another --store\n"
    assert "nowhere.db does not exist" in swarm(word, "last", "--store", "nowhere.db").stderr


def test_the_graph_is_found_by_last_too(swarm: Run, asked: str) -> None:
    assert swarm("graph", "last").stdout.startswith(f"graph of {asked}")


def test_the_password_of_a_store_is_never_printed(swarm: Run) -> None:
    url = "postgresql://me:verysecret@127.0.0.1:1/swarm"
    for word in (["runs"], ["show", "last"], ["ask", QUESTION, "notes"]):
        done = swarm(*word, "--store", url)
        assert done.returncode in (1, 2)
        assert "verysecret" not in done.stdout + done.stderr
