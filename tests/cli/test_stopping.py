"""Ctrl-C, once and twice: what is done is kept, and the way to go on is printed and works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from swarm.testing.provider import Provider
from swarm.tokens import o200k

CALLS_BEFORE = 4


@dataclass
class Valve:
    """Counts texts like any tokenizer, but from the fifth request on it waits to be let through."""

    provider: Provider | None = None
    reached: threading.Event = field(default_factory=threading.Event)
    open: threading.Event = field(default_factory=threading.Event)

    def __call__(self, text: str) -> int:
        assert self.provider is not None
        if len(self.provider.requests) > CALLS_BEFORE:
            self.reached.set()
            self.open.wait(30)
        return o200k(text)


@pytest.fixture
def valve() -> Iterator[Valve]:
    valve = Valve()
    with Provider(tokenizer=valve) as valve.provider:
        yield valve
        valve.open.set()


@pytest.fixture
def start(valve: Valve, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Ask a corpus of many slices, one call at a time, and come back when the fifth call is under way."""
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(8):
        lines = [f"It rained on day {n} of the year {number}, and nobody went out." for n in range(150)]
        (notes / f"{number}.txt").write_text("\n\n".join([*lines, f"The key is under stone {number}."]))
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        assert valve.provider is not None
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "swarm"), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env={**os.environ, "OPENAI_API_KEY": "sk-test-0123456789"},
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def ask(valve: Valve) -> list[str]:
    assert valve.provider is not None
    model = ["--model", "openai:any", "--base-url", valve.provider.openai_url]
    return ["ask", "Where is the key?", "notes", *model, "--window", "8192", "--concurrency", "1", "--json"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_once_it_finishes_what_is_in_flight_and_can_go_on(
    start: Callable[..., subprocess.Popen[str]], valve: Valve, number: signal.Signals
) -> None:
    process = start(*ask(valve))
    assert valve.reached.wait(30)
    process.send_signal(number)
    assert process.stderr is not None
    assert "stopping: calls in flight finish" in process.stderr.readline()
    valve.open.set()
    out, err = process.communicate(timeout=30)
    first = json.loads(out)
    assert process.returncode == 128 + number
    assert (first["status"], first["stopped"]) == ("partial", "interrupted")
    assert first["usage"]["calls"] == CALLS_BEFORE + 1, "the call in flight was finished, and no other was sent"
    assert first["coverage"]["chars_unread"] > 0
    (line,) = err.splitlines()
    command = line.partition("go on with: ")[2]
    assert command == f"swarm resume {first['run_id']}"

    if number == signal.SIGTERM:
        return  # to go on is the same
    again = start(*command.split()[1:], "--json")
    out, err = again.communicate(timeout=30)
    assert again.returncode == 0, err
    whole = json.loads(out)
    assert (whole["run_id"], whole["stopped"], whole["coverage"]["chars_unread"]) == (first["run_id"], None, 0)
    assert valve.provider is not None
    sent = [json.dumps(body, sort_keys=True) for body in valve.provider.requests]
    assert len(sent) == len(set(sent)) == whole["usage"]["calls"], "no call was sent twice"


def test_stopped_twice_it_leaves_at_once_and_says_how_to_go_on(
    start: Callable[..., subprocess.Popen[str]], valve: Valve
) -> None:
    process = start(*ask(valve))
    assert valve.reached.wait(30)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert "Ctrl-C again leaves at once" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)  # the provider still holds the call back
    assert process.returncode == 130
    assert out == ""
    command = err.strip().partition("left at once; go on with: ")[2]
    assert command.startswith("swarm resume ")

    valve.open.set()
    again = start(*command.split()[1:], "--json")
    out, err = again.communicate(timeout=30)
    assert again.returncode == 0, err
    assert json.loads(out)["coverage"]["chars_unread"] == 0


LOOKS_FIRST = '''
"""Looks, and runs nothing yet."""
import asyncio
import sys

from swarm import Answer, Swarm, recipe


@recipe
async def looks(swarm: Swarm, paths: list[str] | None = None) -> Answer | None:
    """Look first."""
    try:
        print("looking", file=sys.stderr, flush=True)
        await asyncio.sleep(600)
    finally:
        print("put away", file=sys.stderr, flush=True)
    return None
'''


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_recipe_that_has_run_nothing_yet_is_ended_at_once_and_puts_its_things_away(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "looks.py").write_text(LOOKS_FIRST)
    process = start("run", "looks.py")
    assert process.stderr is not None
    assert process.stderr.readline() == "looking\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (128 + number, "")
    assert err.splitlines() == ["put away", "swarm: interrupted before anything was run"]
