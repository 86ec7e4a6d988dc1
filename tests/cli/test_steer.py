"""A word to a run in another process: pause, a new instruction, going on, stop. Each process is a real one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swarm.testing.postgres import LocalPostgres
from swarm.testing.provider import Provider

Start = Callable[..., "subprocess.Popen[str]"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]

SAID = "Mind the gap in the ledger."


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(latency=0.05) as provider:
        yield provider


@pytest.fixture
def ask(provider: Provider, tmp_path: Path) -> Iterator[Start]:
    """Ask a corpus of a dozen slices or more, two calls at a time."""
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(8):
        lines = [f"It rained on day {n} of the year {number}, and nobody went out." for n in range(70)]
        (notes / f"{number}.txt").write_text("\n\n".join([*lines, f"The key is under stone {number}."]))
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        model = ["--model", "openai:any", "--base-url", provider.openai_url]
        command = ["ask", "Where is the key?", "notes", *model, "--window", "6000", "--concurrency", "2", "--json"]
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "swarm"), *command, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env={**os.environ, "OPENAI_API_KEY": "sk-test-0123456789"},
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def texts(requests: list[dict[str, Any]]) -> list[str]:
    return [json.dumps(request) for request in requests]


def paused(provider: Provider, swarm: Run, *store: str) -> int:
    """Pause the run that was begun last; how many requests had come when nothing was in flight any more."""
    done = swarm("pause", "last", *store)
    assert re.fullmatch(r"\S+ is paused; go on with: swarm resume \S+\n", done.stdout), done
    while True:
        provider.tally.wait_for(quiet=True)
        sent = provider.tally.requests
        swarm("runs", "--json", *store)  # meanwhile what was on its way to the server arrives
        if provider.tally.requests == sent:
            return sent


def steered_and_stopped(ask: Start, provider: Provider, swarm: Run, *store: str) -> None:
    process = ask(*store)
    provider.tally.wait_for(requests=4, seconds=20)
    sent = paused(provider, swarm, *store)
    assert json.loads(swarm("runs", "--json", *store).stdout)["runs"][0]["status"] == "paused"
    done = swarm("steer", "last", SAID, *store)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(" goes by it from now on\n")
    assert provider.tally.requests == sent, "nothing was sent while it was paused"

    done = swarm("resume", "last", *store)
    assert done.stdout.endswith(" goes on, in the process that is at it\n"), done
    provider.tally.wait_for(requests=sent + 4)
    done = swarm("stop", "last", *store)
    assert (done.returncode, done.stderr) == (0, "")
    out, err = process.communicate(timeout=30)
    first = json.loads(out)
    assert (process.returncode, first["status"], first["stopped"]) == (3, "partial", "interrupted")
    assert "paused: calls in flight finish" in err
    assert "an instruction came" in err
    asked = texts(provider.requests)
    assert not any(SAID in text for text in asked[:sent])
    assert all(SAID in text for text in asked[sent:])

    shown = json.loads(swarm("show", "last", "--json", *store).stdout)
    assert (shown["instructions"], shown["requests_waiting"]) == ([SAID], 0)
    run = first["run_id"]
    provider.latency = 0.0
    done = swarm("resume", run, "--json", *store)
    whole = json.loads(done.stdout)
    assert (done.returncode, whole["status"], whole["coverage"]["chars_unread"]) == (0, "answered", 0)
    assert provider.tally.repeats == 0, "no call was sent twice"
    assert SAID in texts(provider.requests)[-1], "the answer was asked for with it"
    assert swarm("replay", run, *store).returncode == 0

    done = swarm("steer", run, "And the other one.", *store)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"swarm: the run {run} is over and has its answer: ask anew\n"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")


def test_a_run_is_paused_told_something_goes_on_and_is_stopped(ask: Start, provider: Provider, swarm: Run) -> None:
    steered_and_stopped(ask, provider, swarm)


@pytest.mark.soak  # the mailbox on a server has tests of its own
def test_so_is_one_whose_store_is_on_a_server(
    ask: Start, provider: Provider, swarm: Run, postgres: LocalPostgres
) -> None:
    steered_and_stopped(ask, provider, swarm, "--store", postgres.database())


def test_a_paused_run_hears_ctrl_c_and_what_it_is_told_after_that_when_it_goes_on(
    ask: Start, provider: Provider, swarm: Run
) -> None:
    process = ask()
    provider.tally.wait_for(requests=4, seconds=20)
    sent = paused(provider, swarm)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert json.loads(out)["stopped"] == "interrupted"
    assert provider.tally.requests == sent

    done = swarm("steer", "last", SAID)
    assert done.returncode == 0
    assert " is not at work, and goes by it when it goes on: swarm resume " in done.stdout
    assert "waiting: 1 request, taken when it goes on" in swarm("show", "last").stdout
    for word in ("pause", "stop"):
        done = swarm(word, "last")
        assert (done.returncode, done.stdout) == (2, "")
        assert re.fullmatch(rf"swarm: no process is at the run \S+: there is nothing to {word}\n", done.stderr)
    provider.latency = 0.0
    done = swarm("resume", "last", "--json")
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "answered")
    assert all(SAID in text for text in texts(provider.requests)[sent:])
    assert f"added: {SAID}" in swarm("show", "last").stdout


def test_one_slice_is_cancelled_and_the_others_go_on(ask: Start, provider: Provider, swarm: Run) -> None:
    from swarm.coordinator.records import corpus_of, slices_of
    from swarm.store.opening import open_store

    process = ask()
    provider.tally.wait_for(requests=4, seconds=20)
    paused(provider, swarm)
    run = json.loads(swarm("runs", "--json").stdout)["runs"][0]["run_id"]
    with open_store(read_only=True) as opened:
        corpus = corpus_of(opened.journal, run)
        assert corpus is not None
        last = list(slices_of(opened.journal, run, corpus))[-1]
    done = swarm("stop", run, "--slice", "nonsense")
    assert done.returncode == 2
    assert done.stderr == (
        f"swarm: the run {run} has no slice nonsense: give its id, its name, or its item in a table\n"
    )
    done = swarm("stop", run, "--slice", last.id[:14])
    assert done.stdout == f"{run} leaves the slice {last.id[:14]} alone\n"
    swarm("resume", run)
    out, err = process.communicate(timeout=60)
    answer = json.loads(out)
    assert process.returncode == 3
    assert "a slice was left alone: cancelled by a person" in err
    assert (answer["status"], answer["coverage"]["chars_unread"]) == ("partial", last.chars)
    assert [one["reason"] for one in answer["failures"]] == ["cancelled by a person"]
    assert f"not done: slice {last.id[:12]}: cancelled by a person" in swarm("show", run).stdout
    assert swarm("replay", run).returncode == 0


@pytest.mark.parametrize("words", [("steer", "nobody", "x"), ("pause", "nobody"), ("stop", "nobody")])
def test_a_run_that_is_not_there_is_one_line(swarm: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = swarm(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "swarm: .swarm/swarm.db does not exist: name the store with --store\n"
    (tmp_path / "a.txt").write_text("The key is under the mat.")
    assert swarm("ask", "Where is the key?", "a.txt", "--quiet").returncode == 0
    done = swarm(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == ("swarm: .swarm/swarm.db holds no run nobody: check the id, or name another --store\n")


def test_a_run_that_is_forgotten_leaves_no_word_behind(swarm: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The key is under the mat.")
    assert swarm("ask", "Where is the key?", "a.txt", "--quiet", "--max-slices", "0").returncode == 3
    assert swarm("steer", "last", SAID).returncode == 0
    assert list(tmp_path.glob(".swarm/swarm.db.mail/*/*.json"))
    assert swarm("forget", "last", "--yes").returncode == 0
    assert not (tmp_path / ".swarm/swarm.db.mail").exists()
