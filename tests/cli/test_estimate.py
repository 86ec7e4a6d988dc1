"""What a run will cost is said before anything is sent: printed alone, asked about on a terminal, and kept to."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from swarm.cli.estimate import document, told
from swarm.task import Estimate, Limits, OverLimit, Usage
from swarm.testing.provider import Provider

Run = Callable[..., "subprocess.CompletedProcess[str]"]

PRICES = 'as_of = 2026-11-20\n["openai:any"]\ninput = 2.0\noutput = 10.0\n'
QUESTION = "Where is the key?"

ESTIMATE = Estimate(
    slices=214,
    likely=Usage(calls=241, input_tokens=3_100_000, output_tokens=143_000, cost_usd=7.63),
    most=Usage(calls=9_000, input_tokens=90_000_000, output_tokens=40_000_000, cost_usd=580.0),
    minutes=4.17,
    limits=Limits(cost_usd=5.0, cost_is_default=True),
    spent=Usage(),
    prices=("m: $2 in and $10 out for a million tokens, of 2026-11-20",),
    assumptions=("one thing", "another"),
    over_limit=OverLimit(limit="cost_usd", share=0.52),
)


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(4):
        lines = [f"It rained on day {n} of the year {number}, and nobody went out." for n in range(150)]
        (notes / f"{number}.txt").write_text("\n\n".join([*lines, f"The key is under stone {number}."]))
    (tmp_path / "prices.toml").write_text(PRICES)
    with Provider() as provider:
        yield provider


@pytest.fixture
def paid(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options of a model that costs money, and has nobody to pay."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    monkeypatch.setenv("SWARM_PRICES", "")  # what --prices sets is undone after the test
    return [
        *("--model", "openai:any", "--base-url", provider.openai_url, "--window", "8192"),
        *("--prices", "prices.toml"),
    ]


# What is said


def test_an_estimate_says_the_figures_the_most_the_limit_the_prices_and_what_it_assumes() -> None:
    assert told(ESTIMATE) == [
        "estimate: 214 slices · 241 calls · 3.1M tokens in, 143k out · $7.63 · about 4 min 10 s",
        "at the very most $5.00, by the default limit of $5.00; --max-cost-usd sets another",
        "the limit of $5.00 will likely stop it, with 52% read",
        "price of m: $2 in and $10 out for a million tokens, of 2026-11-20",
        "assuming that one thing; another",
    ]


def test_a_limit_that_the_user_set_is_not_called_the_default_and_what_was_spent_counts() -> None:
    said = told(replace(ESTIMATE, limits=Limits(cost_usd=20.0), spent=Usage(cost_usd=3.0), over_limit=None))
    assert said[1] == "at the very most $17.00, by the limit of $20.00 less $3.00 that were spent"


def test_without_a_limit_the_most_is_what_could_come_to_pass() -> None:
    said = told(replace(ESTIMATE, limits=Limits(cost_usd=float("inf")), over_limit=None))
    assert said[1] == "at the very most $580.00"
    assert document(replace(ESTIMATE, limits=Limits(cost_usd=float("inf"))))["limits"]["cost_usd"] is None


def test_as_json_it_has_the_same_figures() -> None:
    found = json.loads(json.dumps(document(ESTIMATE), allow_nan=False))
    assert found["likely"] == {"calls": 241, "input_tokens": 3_100_000, "output_tokens": 143_000, "cost_usd": 7.63}
    assert found["most"]["under_the_limit_usd"] == 5.0
    assert found["over_limit"] == {"limit": "cost_usd", "share": 0.52}


# swarm estimate


def test_an_estimate_alone_sends_nothing_and_makes_no_run(swarm: Run, paid: list[str], provider: Provider) -> None:
    done = swarm("estimate", QUESTION, "notes", *paid)
    assert (done.returncode, done.stderr) == (0, "")
    first, most, *_ = done.stdout.splitlines()
    assert re.match(r"estimate: \d+ slices · \d+ calls · .* tokens in, .* out · \$0\.\d+ · about", first)
    assert "at the very most $5.00, by the default limit" in most
    assert "$2 in and $10 out for a million tokens, of 2026-11-20 (prices.toml)" in done.stdout
    assert provider.requests == []
    assert swarm("runs").stdout == "no run yet\n"


def test_an_estimate_can_be_json_and_of_a_model_that_costs_nothing(swarm: Run, provider: Provider) -> None:
    found = json.loads(swarm("estimate", QUESTION, "notes", "--json", "--window", "4096").stdout)
    assert found["likely"]["cost_usd"] == 0
    assert found["limits"]["cost_usd"] is None


def test_a_recipe_is_estimated_at_its_first_run_and_writes_nothing(
    swarm: Run, paid: list[str], provider: Provider, tmp_path: Path
) -> None:
    done = swarm("estimate", "run", "audit", "notes", "--check", QUESTION, "--check", "Why?", *paid, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["slices"] == found["likely"]["calls"] - round(found["slices"] * 0.05)
    assert found["slices"] >= 8, "four files, and two questions of each"
    assert provider.requests == []
    assert not (tmp_path / "audit.csv").exists()


def test_an_estimate_takes_ask_as_a_word_and_has_help(swarm: Run, provider: Provider) -> None:
    assert swarm("estimate", "ask", QUESTION, "notes").returncode == 0
    assert "--max-cost-usd" in swarm("estimate", "--help").stdout
    assert "--words" in swarm("estimate", "run", "digest", "--help").stdout
    assert "missing argument 'QUESTION'" in swarm("estimate").stderr


# Before a run


def test_where_nobody_can_be_asked_the_estimate_is_printed_and_the_run_goes_on(
    swarm: Run, paid: list[str], provider: Provider
) -> None:
    done = swarm("ask", QUESTION, "notes", *paid, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("swarm: estimate: ")
    assert json.loads(done.stdout)["status"] == "answered"
    quiet = swarm("ask", f"{QUESTION}?", "notes", *paid, "--json", "--quiet")
    assert quiet.stderr == ""


def test_a_limit_that_is_reached_is_named_and_the_command_that_goes_on_doubles_it(
    swarm: Run, paid: list[str], provider: Provider
) -> None:
    done = swarm("ask", QUESTION, "notes", *paid, "--json", "--max-cost-usd", "0.05")
    found = json.loads(done.stdout)
    assert (done.returncode, found["status"], found["limit"]) == (3, "partial", "cost_usd")
    assert found["usage"]["cost_usd"] <= 0.05
    command = done.stderr.strip().partition("go on with: ")[2]
    assert command == f"swarm resume {found['run_id']} --prices prices.toml --max-cost-usd 0.1"
    again = swarm("resume", "last", "--prices", "prices.toml", "--max-cost-usd", "none", "--json", "--quiet")
    whole = json.loads(again.stdout)
    assert (again.returncode, whole["run_id"], whole["stopped"]) == (0, found["run_id"], None)
    shown = swarm("show", "last").stdout
    assert "limits: cost_usd 0.05" in shown
    assert "limits: cost_usd none, before 0.05" in shown


def test_a_run_goes_on_with_another_model_and_concurrency_for_what_is_left(
    swarm: Run, paid: list[str], provider: Provider
) -> None:
    first = json.loads(swarm("ask", QUESTION, "notes", *paid, "--json", "--quiet", "--max-calls", "7").stdout)
    assert first["limit"] == "calls"
    sent = len(provider.requests)
    more = ["--prices", "prices.toml", "--max-calls", "100", "--concurrency", "2", "--json", "--quiet"]
    done = swarm("resume", first["run_id"][:15], "--model", "openai:other", *more)
    whole = json.loads(done.stdout)
    assert (done.returncode, whole["run_id"], whole["stopped"]) == (0, first["run_id"], None)
    assert {request["model"] for request in provider.requests[:sent]} == {"any"}
    assert {request["model"] for request in provider.requests[sent:]} == {"other"}
    sessions = json.loads(swarm("show", "last", "--json").stdout)["sessions"]
    assert [(one["model"], one["concurrency"]) for one in sessions] == [("openai:any", None), ("openai:other", 2)]


@pytest.mark.parametrize("amount", ["-1", "inf", "nan", "ten"])
def test_an_amount_that_is_none_is_a_mistake(swarm: Run, amount: str) -> None:
    done = swarm("ask", QUESTION, "notes", "--max-cost-usd", amount)
    assert done.returncode == 2
    assert "give dollars, such as 2.50, or none" in done.stderr


def test_a_mistake_in_the_prices_is_one_line(swarm: Run, paid: list[str], tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text('as_of = 2026-11-20\n["openai:any"]\ninput = 2.0\n')
    done = swarm("ask", QUESTION, "notes", *paid)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "swarm: prices.toml:2: openai:any: output is missing\n"


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("\n", 3), ("n\n", 3), ("\x04", 3)])
def test_on_a_terminal_it_is_asked_whether_to_go_on_and_only_yes_is_yes(
    paid: list[str], provider: Provider, tmp_path: Path, typed: str, code: int
) -> None:
    said, ended = on_a_terminal(["ask", QUESTION, "notes", *paid], typed, tmp_path)
    assert "estimate: " in said
    assert "go on? [y/N]" in said
    assert ended == code
    assert bool(provider.requests) is (code == 0)
    if code:
        assert "partial (not approved); go on with: swarm resume " in said


def test_with_yes_nobody_is_asked(paid: list[str], provider: Provider, tmp_path: Path) -> None:
    said, ended = on_a_terminal(["ask", QUESTION, "notes", *paid, "--yes"], "", tmp_path)
    assert "estimate: " in said
    assert "go on?" not in said
    assert ended == 0


def on_a_terminal(arguments: list[str], typed: str, folder: Path) -> tuple[str, int]:
    """Run the command on a terminal of its own, type an answer to the question that it asks: what it said, and its
    exit code."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "swarm"), *arguments],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env={**os.environ, "TERM": "dumb"},
    )  # fmt: skip
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:  # the terminal is gone with the process
            break
        said += part
        if typed and b"[y/N]" in said:
            os.write(ours, typed.encode())
            typed = ""
    os.close(ours)
    return said.decode("utf-8", "replace").replace("\r\n", "\n"), process.wait(30)
